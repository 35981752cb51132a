// Follows a feed by the recipe that the API's users are shown: follow.mjs API CURSOR.
//
// Prints each event that is applied, {"token": refused} when a token is asked for, and {"listed": true} when everything
// is listed anew, to go on from the cursor `anew`. It ends when its input does.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

// The packages are not beside the recipe.
const require = createRequire(`${process.env.TEST_NODE_CLIENTS}/`);
const source = readFileSync(new URL("../../openapi/recipes/follow_events.mjs", import.meta.url), "utf8");
const resolved = source.replace('"eventsource"', JSON.stringify(pathToFileURL(require.resolve("eventsource"))));
const { follow } = await import(`data:text/javascript;base64,${Buffer.from(resolved).toString("base64")}`);

const say = (what) => console.log(JSON.stringify(what));

const [api, cursor] = process.argv.slice(2);
const stop = follow(api, cursor, {
  accessToken: async (refused) => {
    say({ token: refused });
    return refused ? "another" : "secret";
  },
  apply: say,
  listAnew: async () => {
    say({ listed: true });
    return "anew";
  },
});

process.stdin.resume().on("end", stop);
