import createClient from "openapi-fetch";
import type { components, paths } from "./client/schema.js";
import { assert, baseUrl, done, newAccount, randomUUID, unhandled } from "./steps.js";

type Schemas = components["schemas"];

const client = createClient<paths>({ baseUrl });
const ada = newAccount("Ada");
const grace = newAccount("Grace");

/** Returns the data of a response that must have succeeded. */
function ok<T>({ data, error }: { data?: T; error?: unknown }): NonNullable<T> {
  assert.ok(data, JSON.stringify(error));
  return data;
}

ok(await client.POST("/v1/auth/register", { body: ada }));
const graceToken = ok(await client.POST("/v1/auth/register", { body: grace })).access_token;
done("register");

const session = ok(await client.POST("/v1/auth/login", { body: { email: ada.email, password: ada.password } }));
assert.equal(session.user.email, ada.email);
client.use({
  onRequest({ request }) {
    if (!request.headers.has("authorization")) request.headers.set("authorization", `Bearer ${session.access_token}`);
    return request;
  },
});
done("log in");

const project = ok(await client.POST("/v1/projects", { body: { name: "Renovation" } }));
const path = { project_id: project.id };
const start = ok(await client.GET("/v2/projects/{project_id}/tasks", { params: { path } })).meta.sync_cursor;
done("create a project");

const key = randomUUID();
const create = () =>
  client.POST("/v1/projects/{project_id}/tasks", {
    params: { path, header: { "Idempotency-Key": key } },
    body: { title: "Choose the tiles", description: "Matte" },
  });
const task = ok(await create());
const again = await create();
assert.deepEqual(ok(again), task);
assert.equal(again.response.headers.get("idempotency-replayed"), "true");
done("create a task and retry it with the same key");

const createTask = async (body: Schemas["CreateTask"]) =>
  ok(await client.POST("/v1/projects/{project_id}/tasks", { params: { path }, body }));
const second = await createTask({ title: "Paint", status: "in_progress" });
const finished = await createTask({ title: "Measure", status: "done" });
const found: string[] = [];
let cursor: string | null = null;
let pages = 0;
do {
  const page: Schemas["TaskCursorPage"] = ok(
    await client.GET("/v2/projects/{project_id}/tasks", {
      params: { path, query: { status: ["todo", "in_progress"], limit: 1, ...(cursor && { cursor }) } },
    }),
  );
  found.push(...page.data.map(({ id }) => id));
  cursor = page.meta.next_cursor;
  pages++;
} while (cursor !== null);
assert.deepEqual([found, pages], [[second.id, task.id], 2]);
done("page by cursor with a filter of two values");

const one = { task_id: task.id };
const cleared = ok(await client.PATCH("/v1/tasks/{task_id}", { params: { path: one }, body: { description: null } }));
assert.equal(cleared.description, null);
assert.equal(cleared.title, task.title);
done("clear a field with null");

const stale = await client.PATCH("/v1/tasks/{task_id}", {
  params: { path: one, header: { "If-Match": again.response.headers.get("etag") ?? "" } },
  body: { title: "Choose other tiles" },
});
assert.equal(stale.response.status, 412);
assert.ok(stale.error && "current" in stale.error);
const current: Schemas["Task"] = stale.error.current;
assert.equal(current.description, null);
done("receive the current task with a 412");

const forbidden = await client.GET("/v1/tasks/{task_id}", {
  params: { path: one },
  headers: { authorization: `Bearer ${graceToken}` },
});
assert.equal(forbidden.response.status, 403);
assert.equal(forbidden.error?.error, "FORBIDDEN");
done("receive a 403");

const invalid = await client.POST("/v1/auth/register", { body: { ...newAccount("Alan"), timezone: "Mars/Olympus" } });
assert.equal(invalid.response.status, 400);
const detail = invalid.error?.details?.[0];
assert.deepEqual([detail?.in, detail?.field, detail?.code], ["body", "timezone", "format"]);
done("receive typed details of a 400");

const batch = await client.POST("/v1/projects/{project_id}/tasks/batch", {
  params: { path },
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

function describe(event: Schemas["Event"]): string {
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

const feed = ok(await client.GET("/v1/events", { params: { query: { cursor: start, project_id: project.id } } }));
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

const deleted = await client.DELETE("/v1/tasks/{task_id}", { params: { path: one } });
assert.equal(deleted.response.status, 204);
assert.equal((await client.GET("/v1/tasks/{task_id}", { params: { path: one } })).error?.error, "NOT_FOUND");
done("delete a task");

const webhook = ok(
  await client.POST("/v1/webhooks", { body: { url: "https://hooks.example.com/tasks", events: ["task.created"] } }),
);
const rotated = ok(
  await client.POST("/v1/webhooks/{webhook_id}/rotate-secret", {
    params: { path: { webhook_id: webhook.id } },
    body: { overlap_seconds: 60 },
  }),
);
assert.match(webhook.secret, /^whsec_/);
assert.match(rotated.secret, /^whsec_/);
assert.notEqual(rotated.secret, webhook.secret);
done("create a webhook and rotate its secret");
