import { createClient } from "./client/client/index.js";
import * as api from "./client/index.js";
import { assert, baseUrl, done, newAccount, randomUUID, unhandled } from "./steps.js";

let token = "";
const client = createClient({ baseUrl, auth: () => token });
const ada = newAccount("Ada");
const grace = newAccount("Grace");

/** Returns the data of a response that must have succeeded. */
function ok<T>({ data, error }: { data?: T; error?: unknown }): NonNullable<T> {
  assert.ok(data, JSON.stringify(error));
  return data;
}

ok(await api.register({ client, body: ada }));
token = ok(await api.register({ client, body: grace })).access_token;
const graceToken = token;
done("register");

const session = ok(await api.login({ client, body: { email: ada.email, password: ada.password } }));
assert.equal(session.user.email, ada.email);
token = session.access_token;
done("log in");

const project = ok(await api.createProject({ client, body: { name: "Renovation" } }));
const path = { project_id: project.id };
const start = ok(await api.listProjectTasksV2({ client, path })).meta.sync_cursor;
done("create a project");

const key = randomUUID();
const create = () =>
  api.createTask({
    client,
    path,
    headers: { "Idempotency-Key": key },
    body: { title: "Choose the tiles", description: "Matte" },
  });
const task = ok(await create());
const again = await create();
assert.deepEqual(ok(again), task);
assert.equal(again.response?.headers.get("idempotency-replayed"), "true");
done("create a task and retry it with the same key");

const second = ok(await api.createTask({ client, path, body: { title: "Paint", status: "in_progress" } }));
const finished = ok(await api.createTask({ client, path, body: { title: "Measure", status: "done" } }));
const found: string[] = [];
let cursor: string | null = null;
let pages = 0;
do {
  const query: api.ListProjectTasksV2Data["query"] = { status: ["todo", "in_progress"], limit: 1, ...(cursor && { cursor }) };
  const page: api.TaskCursorPage = ok(await api.listProjectTasksV2({ client, path, query }));
  found.push(...page.data.map(({ id }) => id));
  cursor = page.meta.next_cursor;
  pages++;
} while (cursor !== null);
assert.deepEqual([found, pages], [[second.id, task.id], 2]);
done("page by cursor with a filter of two values");

const cleared = await api.updateTask({ client, path: { task_id: task.id }, body: { description: null } });
assert.equal(ok(cleared).description, null);
assert.equal(ok(cleared).title, task.title);
done("clear a field with null");

const stale = await api.updateTask({
  client,
  path: { task_id: task.id },
  headers: { "If-Match": again.response?.headers.get("etag") ?? "" },
  body: { title: "Choose other tiles" },
});
assert.equal(stale.response?.status, 412);
assert.ok(stale.error && "current" in stale.error);
const current: api.Task = stale.error.current;
assert.equal(current.description, null);
done("receive the current task with a 412");

const forbidden = await api.getTask({ client, path: { task_id: task.id }, auth: graceToken });
assert.equal(forbidden.response?.status, 403);
assert.equal(forbidden.error?.error, "FORBIDDEN");
done("receive a 403");

const invalid = await api.register({ client, body: { ...newAccount("Alan"), timezone: "Mars/Olympus" } });
assert.equal(invalid.response?.status, 400);
const detail = invalid.error?.details?.[0];
assert.deepEqual([detail?.in, detail?.field, detail?.code], ["body", "timezone", "format"]);
done("receive typed details of a 400");

const batch = await api.batchTasks({
  client,
  path,
  body: {
    operations: [
      { op: "create", title: "Order the tiles" },
      { op: "update", task_id: second.id, title: "Paint the ceiling" },
      { op: "delete", task_id: finished.id },
    ],
  },
});
assert.deepEqual(
  ok(batch).results.map((result) => result?.title ?? null),
  ["Order the tiles", "Paint the ceiling", null],
);
done("run a batch");

function describe(event: api.Event): string {
  switch (event.type) {
    case "project.created":
    case "project.updated":
    case "project.deleted":
    case "project.restored":
      return event.data.name;
    case "task.created":
    case "task.updated":
    case "task.deleted":
    case "task.restored":
    case "task.moved":
      return `${event.type}: ${event.data.title}`;
    case "comment.created":
    case "comment.updated":
    case "comment.deleted":
      return event.data.body;
    case "member.added":
    case "member.updated":
    case "member.removed":
      return event.data.name;
    case "invitation.created":
    case "invitation.accepted":
    case "invitation.declined":
    case "invitation.revoked":
      return event.data.email;
    default:
      return unhandled(event);
  }
}

const feed = ok(await api.listEvents({ client, query: { cursor: start, project_id: project.id } }));
assert.deepEqual(feed.data.map(describe), [
  "task.created: Choose the tiles",
  "task.created: Paint",
  "task.created: Measure",
  "task.updated: Choose the tiles",
  "task.created: Order the tiles",
  "task.updated: Paint the ceiling",
  "task.deleted: Measure",
]);
done("read events by their type");

const { stream } = await api.streamEvents({ client, query: { cursor: start, type: ["task.updated"] } });
const streamed = await stream.next();
assert.ok(!streamed.done);
const event: api.Event = streamed.value;
assert.ok(event.type === "task.updated");
assert.equal(event.data.title, "Choose the tiles");
await stream.return(undefined);
done("stream a typed event");

const deleted = await api.deleteTask({ client, path: { task_id: task.id } });
assert.equal(deleted.response?.status, 204);
assert.equal((await api.getTask({ client, path: { task_id: task.id } })).error?.error, "NOT_FOUND");
done("delete a task");

const webhook = ok(
  await api.createWebhook({ client, body: { url: "https://hooks.example.com/tasks", events: ["task.created"] } }),
);
const rotated = ok(await api.rotateWebhookSecret({ client, path: { webhook_id: webhook.id }, body: { overlap_seconds: 60 } }));
assert.match(webhook.secret, /^whsec_/);
assert.match(rotated.secret, /^whsec_/);
assert.notEqual(rotated.secret, webhook.secret);
done("create a webhook and rotate its secret");
process.exit();
