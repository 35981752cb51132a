// Reads a stream of events, as a browser would: events.mjs URL [LAST_EVENT_ID], with the access token in TOKEN.
//
// Prints {"type", "lastEventId", "data"} for each event, {"open": n} when it is connected for the nth time, and
// {"error": code} when it is not any more: the code of an answer that makes it give up, or null when it tries again. It
// ends when its input does.

import { createRequire } from "node:module";

// The packages are not beside this file.
const require = createRequire(`${process.env.TEST_NODE_CLIENTS}/`);
const { EventSource } = require("eventsource");

const TYPES = {
  project: ["created", "updated", "deleted", "restored"],
  task: ["created", "updated", "deleted", "restored", "moved"],
  comment: ["created", "updated", "deleted"],
  member: ["added", "updated", "removed"],
  invitation: ["created", "accepted", "declined", "revoked"],
  webhook: ["test"],
};

const [url, lastEventId] = process.argv.slice(2);
const authorization = { Authorization: `Bearer ${process.env.TOKEN}` };
// What it knows itself by and by goes before what it began with.
const begun = lastEventId === undefined ? {} : { "Last-Event-ID": lastEventId };

const say = (what) => console.log(JSON.stringify(what));

const source = new EventSource(url, {
  fetch: (input, init) => fetch(input, { ...init, headers: { ...begun, ...init.headers, ...authorization } }),
});
let opened = 0;
source.addEventListener("open", () => say({ open: ++opened }));
source.addEventListener("error", ({ code }) => say({ error: code ?? null }));
// `message` is what an event without a type is.
const types = Object.entries(TYPES).flatMap(([resource, verbs]) => verbs.map((verb) => `${resource}.${verb}`));
for (const type of [...types, "message"]) {
  source.addEventListener(type, ({ lastEventId, data }) => say({ type, lastEventId, data }));
}

process.stdin.resume().on("end", () => process.exit());
