// Follows the feed with the published recipe: follow.mjs API CURSOR.
//
// Prints each applied event, {"token": rejected} when a token is requested, and {"reloaded": true} when the lists are
// read again, after which it continues from the cursor `reloaded`. Exits at the end of its input.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

// Resolves packages that are not installed next to the recipe.
const require = createRequire(`${process.env.TEST_NODE_CLIENTS}/`);
const source = readFileSync(new URL("../../openapi/recipes/follow_events.mjs", import.meta.url), "utf8");
const resolved = source.replace('"eventsource"', JSON.stringify(pathToFileURL(require.resolve("eventsource"))));
const { follow } = await import(`data:text/javascript;base64,${Buffer.from(resolved).toString("base64")}`);

const print = (value) => console.log(JSON.stringify(value));

const [api, cursor] = process.argv.slice(2);
const stop = follow(api, cursor, {
  accessToken: async (rejected) => {
    print({ token: rejected });
    return rejected ? "another" : "secret";
  },
  apply: print,
  reload: async () => {
    print({ reloaded: true });
    return "reloaded";
  },
});

process.stdin.resume().on("end", stop);
