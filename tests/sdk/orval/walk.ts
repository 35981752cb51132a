import * as api from "./client/client.js";
import { signIn } from "./request.js";
import { assert, done, newAccount, randomUUID, unhandled } from "./steps.js";

const ada = newAccount("Ada");
const grace = newAccount("Grace");

/** Narrows a response to the status that it must have. */
function expect<R extends { status: number; data: unknown }, S extends R["status"]>(
  response: R,
  status: S,
): Extract<R, { status: S }> {
  assert.equal(response.status, status, JSON.stringify(response.data));
  return response as Extract<R, { status: S }>;
}

expect(await api.register(ada), 201);
const graceToken = expect(await api.register(grace), 201).data.access_token;
done("register");

const session = expect(await api.login({ email: ada.email, password: ada.password }), 200).data;
assert.equal(session.user.email, ada.email);
signIn(session.access_token);
done("log in");

const project = expect(await api.createProject({ name: "Renovation" }), 201).data;
const start = expect(await api.listProjectTasksV2(project.id), 200).data.meta.sync_cursor;
done("create a project");

const headers = { "Idempotency-Key": randomUUID() };
const create = () => api.createTask(project.id, { title: "Choose the tiles", description: "Matte" }, { headers });
const task = expect(await create(), 201).data;
const again = expect(await create(), 201);
assert.deepEqual(again.data, task);
assert.equal(again.headers.get("idempotency-replayed"), "true");
done("create a task and retry it with the same key");

const second = expect(await api.createTask(project.id, { title: "Paint", status: "in_progress" }), 201).data;
const finished = expect(await api.createTask(project.id, { title: "Measure", status: "done" }), 201).data;
const found: string[] = [];
let cursor: string | null = null;
let pages = 0;
do {
  const filters: api.ListProjectTasksV2Params = { status: ["todo", "in_progress"], limit: 1, ...(cursor && { cursor }) };
  const page: api.TaskCursorPage = expect(await api.listProjectTasksV2(project.id, filters), 200).data;
  found.push(...page.data.map(({ id }) => id));
  cursor = page.meta.next_cursor;
  pages++;
} while (cursor !== null);
assert.deepEqual([found, pages], [[second.id, task.id], 2]);
done("page by cursor with a filter of two values");

const cleared = expect(await api.updateTask(task.id, { description: null }), 200).data;
assert.equal(cleared.description, null);
assert.equal(cleared.title, task.title);
done("clear a field with null");

const stale = await api.updateTask(
  task.id,
  { title: "Choose other tiles" },
  { headers: { "If-Match": again.headers.get("etag") ?? "" } },
);
const current: api.Task = expect(stale, 412).data.current;
assert.equal(current.description, null);
done("receive the current task with a 412");

const forbidden = await api.getTask(task.id, { headers: { authorization: `Bearer ${graceToken}` } });
assert.equal(expect(forbidden, 403).data.error, "FORBIDDEN");
done("receive a 403");

const invalid = expect(await api.register({ ...newAccount("Alan"), timezone: "Mars/Olympus" }), 400).data;
const detail = invalid.details?.[0];
assert.deepEqual([detail?.in, detail?.field, detail?.code], ["body", "timezone", "format"]);
done("receive typed details of a 400");

const batch = await api.batchTasks(project.id, {
  operations: [
    { op: "create", title: "Order the tiles" },
    { op: "update", task_id: second.id, title: "Paint the ceiling" },
    { op: "delete", task_id: finished.id },
  ],
});
assert.deepEqual(
  expect(batch, 200).data.results.map((result) => result?.title ?? null),
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

const feed = expect(await api.listEvents({ cursor: start, project_id: project.id }), 200).data;
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

expect(await api.deleteTask(task.id), 204);
assert.equal(expect(await api.getTask(task.id), 404).data.error, "NOT_FOUND");
done("delete a task");

const webhook = expect(
  await api.createWebhook({ url: "https://hooks.example.com/tasks", events: ["task.created"] }),
  201,
).data;
const rotated = expect(await api.rotateWebhookSecret(webhook.id, { overlap_seconds: 60 }), 200).data;
assert.match(webhook.secret, /^whsec_/);
assert.match(rotated.secret, /^whsec_/);
assert.notEqual(rotated.secret, webhook.secret);
done("create a webhook and rotate its secret");
