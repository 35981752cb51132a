import * as api from "./client/index.js";
import { assert, baseUrl, done, newAccount, randomUUID, unhandled } from "./steps.js";

const ada = newAccount("Ada");
const grace = newAccount("Grace");

/** Returns the body of the error response that a request must have failed with. */
async function failure(status: number, request: Promise<unknown>): Promise<unknown> {
  const error: unknown = await request.then(
    () => assert.fail("the request did not fail"),
    (error: unknown) => error,
  );
  assert.ok(error instanceof api.ResponseError, String(error));
  assert.equal(error.response.status, status);
  return error.response.json();
}

const auth = new api.AuthApi(new api.Configuration({ basePath: baseUrl }));
await auth.register({ register: ada });
const graceToken = (await auth.register({ register: grace })).accessToken;
done("register");

const session = await auth.login({ login: { email: ada.email, password: ada.password } });
assert.equal(session.user.email, ada.email);
const configuration = new api.Configuration({ basePath: baseUrl, accessToken: session.accessToken });
const tasks = new api.TasksApi(configuration);
done("log in");

const project = await new api.ProjectsApi(configuration).createProject({ createProject: { name: "Renovation" } });
const projectId = project.id;
const start = (await tasks.listProjectTasksV2({ projectId })).meta.syncCursor;
done("create a project");

const request = {
  projectId,
  idempotencyKey: randomUUID(),
  createTask: { title: "Choose the tiles", description: "Matte" },
};
const task = await tasks.createTask(request);
const again = await tasks.createTaskRaw(request);
assert.deepEqual(await again.value(), task);
assert.equal(again.raw.headers.get("idempotency-replayed"), "true");
done("create a task and retry it with the same key");

const second = await tasks.createTask({ projectId, createTask: { title: "Paint", status: "in_progress" } });
const finished = await tasks.createTask({ projectId, createTask: { title: "Measure", status: "done" } });
const found: string[] = [];
let cursor: string | null = null;
let pages = 0;
do {
  const page: api.TaskCursorPage = await tasks.listProjectTasksV2({
    projectId,
    status: ["todo", "in_progress"],
    limit: 1,
    ...(cursor && { cursor }),
  });
  found.push(...page.data.map(({ id }) => id));
  cursor = page.meta.nextCursor;
  pages++;
} while (cursor !== null);
assert.deepEqual([found, pages], [[second.id, task.id], 2]);
done("page by cursor with a filter of two values");

const cleared = await tasks.updateTask({ taskId: task.id, updateTask: { description: null } });
assert.equal(cleared.description, null);
assert.equal(cleared.title, task.title);
done("clear a field with null");

const stale = await failure(
  412,
  tasks.updateTask({
    taskId: task.id,
    ifMatch: again.raw.headers.get("etag") ?? "",
    updateTask: { title: "Choose other tiles" },
  }),
);
const current: api.Task = api.StaleTaskFromJSON(stale).current;
assert.equal(current.description, null);
done("receive the current task with a 412");

const stranger = new api.TasksApi(new api.Configuration({ basePath: baseUrl, accessToken: graceToken }));
const forbidden = api.ApiErrorFromJSON(await failure(403, stranger.getTask({ taskId: task.id })));
assert.equal(forbidden.error, "FORBIDDEN");
done("receive a 403");

const invalid = await failure(400, auth.register({ register: { ...newAccount("Alan"), timezone: "Mars/Olympus" } }));
const detail = api.ApiErrorFromJSON(invalid).details?.[0];
assert.deepEqual([detail?._in, detail?.field, detail?.code], ["body", "timezone", "format"]);
done("receive typed details of a 400");

const batch = await tasks.batchTasks({
  projectId,
  taskBatch: {
    operations: [
      { op: "create", title: "Order the tiles" },
      { op: "update", taskId: second.id, title: "Paint the ceiling" },
      { op: "delete", taskId: finished.id },
    ],
  },
});
assert.deepEqual(
  batch.results.map((result) => result?.title ?? null),
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

const feed = await new api.EventsApi(configuration).listEvents({ cursor: start, projectId });
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

await tasks.deleteTask({ taskId: task.id });
assert.equal(api.ApiErrorFromJSON(await failure(404, tasks.getTask({ taskId: task.id }))).error, "NOT_FOUND");
done("delete a task");

const webhooks = new api.WebhooksApi(configuration);
const webhook = await webhooks.createWebhook({
  createWebhook: { url: "https://hooks.example.com/tasks", events: ["task.created"] },
});
const rotated = await webhooks.rotateWebhookSecret({ webhookId: webhook.id, rotateSecret: { overlapSeconds: 60 } });
assert.match(webhook.secret, /^whsec_/);
assert.match(rotated.secret, /^whsec_/);
assert.notEqual(rotated.secret, webhook.secret);
done("create a webhook and rotate its secret");
