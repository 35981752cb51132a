// Verifies deliveries of webhooks twice: by the official library, and by the recipe that the API's users are shown.
//
// Each line of its input is {"secret", "headers", "body", "now"}, where `now` is in seconds, and the current time
// without it. For each it prints {"official", "recipe", "event"}: `true` or why not, and what the recipe makes of it.
// It ends when its input does.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

// The packages are not beside this file.
const require = createRequire(`${process.env.TEST_NODE_CLIENTS}/`);
const { Webhook } = require("standardwebhooks");
const typescript = require("typescript");

const source = readFileSync(new URL("../../openapi/recipes/verify_webhook.ts", import.meta.url), "utf8");
const { outputText } = typescript.transpileModule(source, {
  compilerOptions: { module: typescript.ModuleKind.ESNext, target: typescript.ScriptTarget.ES2022 },
});
const recipe = await import(`data:text/javascript;base64,${Buffer.from(outputText).toString("base64")}`);

const clock = Date.now;

function attempt(verify) {
  try {
    return [true, verify()];
  } catch (error) {
    return [error.message, null];
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { secret, headers, body, now } = JSON.parse(line);
  const received = Buffer.from(body);
  // The library asks nobody else.
  Date.now = typeof now === "number" ? () => now * 1000 : clock;
  const [official] = attempt(() => new Webhook(secret).verify(received, headers));
  const [verdict, event] = attempt(() => recipe.verify(secret, headers, received));
  const [fetched] = attempt(() => recipe.verify(secret, new Headers(headers), received));
  if (fetched !== verdict) throw new Error(`With the headers of Fetch the recipe says ${fetched}, and ${verdict} else.`);
  console.log(JSON.stringify({ official, recipe: verdict, event }));
}
