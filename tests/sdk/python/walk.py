"""Uses the client of openapi-generator (python) against the server at SDK_URL."""

import os
import uuid
from collections.abc import Callable
from typing import Any

import pocket_tasks
from pocket_tasks import (
    ApiClient,
    ApiError,
    AuthApi,
    BatchCreate,
    BatchDelete,
    BatchOperation,
    BatchUpdate,
    Configuration,
    CreateProject,
    CreateTask,
    CreateWebhook,
    EventsApi,
    Login,
    ProjectsApi,
    Register,
    RotateSecret,
    StaleTask,
    Task,
    TaskBatch,
    TaskCreatedEvent,
    TaskDeletedEvent,
    TasksApi,
    TaskStatus,
    TaskUpdatedEvent,
    UpdateTask,
    WebhookEventName,
    WebhooksApi,
)

URL = os.environ["SDK_URL"]
PASSWORD = "correct horse battery staple"


def account(name: str, timezone: str = "UTC") -> Register:
    email = f"{name.lower()}-{uuid.uuid4()}@example.com"
    return Register(name=name, email=email, password=PASSWORD, timezone=timezone)


def connect(token: str | None = None) -> ApiClient:
    return ApiClient(Configuration(host=URL, access_token=token))


def failure(status: int, request: Callable[[], object]) -> Any:
    """Returns the typed body of the error response that a request must have failed with."""
    try:
        request()
    except pocket_tasks.ApiException as error:
        assert error.status == status, error
        return error.data
    raise AssertionError("the request did not fail")


def done(step: str) -> None:
    print(f"  ok  {step}")


auth = AuthApi(connect())
ada = account("Ada")
auth.register(ada)
grace = auth.register(account("Grace"))
done("register")

session = auth.login(Login(email=ada.email, password=PASSWORD))
assert session.user.email == ada.email
client = connect(session.access_token)
tasks = TasksApi(client)
done("log in")

project = ProjectsApi(client).create_project(CreateProject(name="Renovation"))
start = tasks.list_project_tasks_v2(project.id).meta.sync_cursor
done("create a project")

key = str(uuid.uuid4())
tiles = CreateTask(title="Choose the tiles", description="Matte")
task = tasks.create_task(project.id, tiles, idempotency_key=key)
again = tasks.create_task_with_http_info(project.id, tiles, idempotency_key=key)
assert again.data == task
headers = {name.lower(): value for name, value in (again.headers or {}).items()}
assert headers["idempotency-replayed"] == "true"
done("create a task and retry it with the same key")

second = tasks.create_task(project.id, CreateTask(title="Paint", status=TaskStatus.IN_PROGRESS))
finished = tasks.create_task(project.id, CreateTask(title="Measure", status=TaskStatus.DONE))
found: list[uuid.UUID] = []
cursor: str | None = None
pages = 0
while pages == 0 or cursor is not None:
    page = tasks.list_project_tasks_v2(
        project.id, status=[TaskStatus.TODO, TaskStatus.IN_PROGRESS], limit=1, cursor=cursor
    )
    found += [item.id for item in page.data]
    cursor = page.meta.next_cursor
    pages += 1
assert (found, pages) == ([second.id, task.id], 2), found
done("page by cursor with a filter of two values")

cleared = tasks.update_task(task.id, UpdateTask(description=None))
assert (cleared.description, cleared.title) == (None, task.title)
done("clear a field with null")

change = UpdateTask(title="Choose other tiles")
stale = failure(412, lambda: tasks.update_task(task.id, change, if_match=headers["etag"]))
assert isinstance(stale, StaleTask)
current: Task = stale.current
assert current.description is None
done("receive the current task with a 412")

forbidden = failure(403, lambda: TasksApi(connect(grace.access_token)).get_task(task.id))
assert isinstance(forbidden, ApiError) and forbidden.error == "FORBIDDEN"
done("receive a 403")

invalid = failure(400, lambda: auth.register(account("Alan", "Mars/Olympus")))
assert isinstance(invalid, ApiError) and invalid.details
detail = invalid.details[0]
assert (detail.var_in, detail.var_field, detail.code) == ("body", "timezone", "format")
done("receive typed details of a 400")

operations = [
    BatchOperation(BatchCreate(op="create", title="Order the tiles")),
    BatchOperation(BatchUpdate(op="update", task_id=second.id, title="Paint the ceiling")),
    BatchOperation(BatchDelete(op="delete", task_id=finished.id)),
]
batch = tasks.batch_tasks(project.id, TaskBatch(operations=operations))
assert [item and item.title for item in batch.results] == ["Order the tiles", "Paint the ceiling", None]
done("run a batch")

seen = []
for event in EventsApi(client).list_events(cursor=start, project_id=project.id).data:
    match event.actual_instance:
        case TaskCreatedEvent(data=data):
            seen.append(f"created {data.title}")
        case TaskUpdatedEvent(data=data):
            seen.append(f"updated {data.title}")
        case TaskDeletedEvent(data=data):
            seen.append(f"deleted {data.title}")
        case other:
            raise AssertionError(other)
assert seen == [
    "created Choose the tiles",
    "created Paint",
    "created Measure",
    "updated Choose the tiles",
    "created Order the tiles",
    "updated Paint the ceiling",
    "deleted Measure",
], seen
done("read events by their type")

tasks.delete_task(task.id)
missing = failure(404, lambda: tasks.get_task(task.id))
assert isinstance(missing, ApiError) and missing.error == "NOT_FOUND"
done("delete a task")

webhooks = WebhooksApi(client)
webhook = webhooks.create_webhook(
    CreateWebhook(url="https://hooks.example.com/tasks", events=[WebhookEventName.TASK_DOT_CREATED])
)
rotated = webhooks.rotate_webhook_secret(webhook.id, rotate_secret=RotateSecret(overlap_seconds=60))
assert webhook.secret.startswith("whsec_") and rotated.secret.startswith("whsec_")
assert rotated.secret != webhook.secret
done("create a webhook and rotate its secret")
