// Verifies webhook deliveries with the official library and with the published recipe.
//
// Each input line is {"secret", "headers", "body", "now"}; `now`, in seconds, defaults to the current time. Prints
// {"official", "recipe", "event"} for each: `true` or the error of both verifications, and the event from the recipe.
// Exits at the end of its input.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

// Resolves packages that are not installed next to this file.
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
  // The library reads the time from `Date.now` only.
  Date.now = typeof now === "number" ? () => now * 1000 : clock;
  const [official] = attempt(() => new Webhook(secret).verify(received, headers));
  const [verdict, event] = attempt(() => recipe.verify(secret, headers, received));
  const [fetched] = attempt(() => recipe.verify(secret, new Headers(headers), received));
  if (fetched !== verdict) throw new Error(`With Fetch headers the recipe returns ${fetched}, otherwise ${verdict}.`);
  console.log(JSON.stringify({ official, recipe: verdict, event }));
}
