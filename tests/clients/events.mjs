// Reads an event stream as a browser does: events.mjs URL [LAST_EVENT_ID], with the access token in TOKEN.
//
// Prints {"type", "lastEventId", "data"} for each event, {"open": n} for the nth connection, and {"error": code} when it
// ends: the status that closes the stream, or null before a reconnection. Exits at the end of its input.

import { createRequire } from "node:module";

// Resolves packages that are not installed next to this file.
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
// Later ids, from the EventSource itself, override the initial one.
const initial = lastEventId === undefined ? {} : { "Last-Event-ID": lastEventId };

const print = (value) => console.log(JSON.stringify(value));

const source = new EventSource(url, {
  fetch: (input, init) => fetch(input, { ...init, headers: { ...initial, ...init.headers, ...authorization } }),
});
let opened = 0;
source.addEventListener("open", () => print({ open: ++opened }));
source.addEventListener("error", ({ code }) => print({ error: code ?? null }));
// Events without a type are named `message`.
const types = Object.entries(TYPES).flatMap(([resource, verbs]) => verbs.map((verb) => `${resource}.${verb}`));
for (const type of [...types, "message"]) {
  source.addEventListener(type, ({ lastEventId, data }) => print({ type, lastEventId, data }));
}

process.stdin.resume().on("end", () => process.exit());
