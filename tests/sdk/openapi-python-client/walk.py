"""Uses the client of openapi-python-client against the server at SDK_URL."""

import os
import uuid
from http import HTTPStatus
from typing import Any, TypeVar

from pocket_tasks_client import AuthenticatedClient, Client
from pocket_tasks_client.api.auth import login, register
from pocket_tasks_client.api.events import list_events
from pocket_tasks_client.api.projects import create_project
from pocket_tasks_client.api.tasks import batch_tasks, create_task, delete_task, get_task, list_project_tasks_v2, update_task
from pocket_tasks_client.api.webhooks import create_webhook, rotate_webhook_secret
from pocket_tasks_client.models import (
    ApiError,
    BatchCreate,
    BatchCreateOp,
    BatchDelete,
    BatchDeleteOp,
    BatchUpdate,
    BatchUpdateOp,
    CreateProject,
    CreateTask,
    CreateWebhook,
    EventPage,
    Login,
    Project,
    Register,
    RotateSecret,
    Session,
    StaleTask,
    Task,
    TaskBatch,
    TaskBatchResult,
    TaskCreatedEvent,
    TaskCursorPage,
    TaskDeletedEvent,
    TaskStatus,
    TaskUpdatedEvent,
    UpdateTask,
    WebhookEventName,
    WebhookWithSecret,
)
from pocket_tasks_client.types import UNSET, Response, Unset

URL = os.environ["SDK_URL"]
PASSWORD = "correct horse battery staple"
T = TypeVar("T")


def parsed(response: Response[Any], model: type[T], status: HTTPStatus = HTTPStatus.OK) -> T:
    assert response.status_code == status, response.content
    assert isinstance(response.parsed, model), response.parsed
    return response.parsed


def account(name: str) -> Register:
    return Register(name=name, email=f"{name.lower()}-{uuid.uuid4()}@example.com", password=PASSWORD)


def done(step: str) -> None:
    print(f"  ok  {step}")


anonymous = Client(base_url=URL)
ada = account("Ada")
parsed(register.sync_detailed(client=anonymous, body=ada), Session, HTTPStatus.CREATED)
grace = parsed(register.sync_detailed(client=anonymous, body=account("Grace")), Session, HTTPStatus.CREATED)
done("register")

session = parsed(login.sync_detailed(client=anonymous, body=Login(email=ada.email, password=PASSWORD)), Session)
assert session.user.email == ada.email
client = AuthenticatedClient(base_url=URL, token=session.access_token)
done("log in")

project = parsed(
    create_project.sync_detailed(client=client, body=CreateProject(name="Renovation")), Project, HTTPStatus.CREATED
)
start = parsed(list_project_tasks_v2.sync_detailed(project.id, client=client), TaskCursorPage).meta.sync_cursor
done("create a project")


def create(body: CreateTask, key: str | Unset = UNSET) -> Response[Any]:
    return create_task.sync_detailed(project.id, client=client, body=body, idempotency_key=key)


key = str(uuid.uuid4())
tiles = CreateTask(title="Choose the tiles", description="Matte")
task = parsed(create(tiles, key), Task, HTTPStatus.CREATED)
again = create(tiles, key)
assert parsed(again, Task, HTTPStatus.CREATED) == task
assert again.headers["idempotency-replayed"] == "true"
done("create a task and retry it with the same key")

second = parsed(create(CreateTask(title="Paint", status=TaskStatus.IN_PROGRESS)), Task, HTTPStatus.CREATED)
finished = parsed(create(CreateTask(title="Measure", status=TaskStatus.DONE)), Task, HTTPStatus.CREATED)
found: list[uuid.UUID] = []
cursor: str | None | Unset = UNSET
pages = 0
while cursor is not None:
    response = list_project_tasks_v2.sync_detailed(
        project.id, client=client, status=[TaskStatus.TODO, TaskStatus.IN_PROGRESS], limit=1, cursor=cursor
    )
    page = parsed(response, TaskCursorPage)
    found += [item.id for item in page.data]
    cursor = page.meta.next_cursor
    pages += 1
assert (found, pages) == ([second.id, task.id], 2), found
done("page by cursor with a filter of two values")

cleared = parsed(update_task.sync_detailed(task.id, client=client, body=UpdateTask(description=None)), Task)
assert (cleared.description, cleared.title) == (None, task.title)
done("clear a field with null")

stale = update_task.sync_detailed(
    task.id, client=client, body=UpdateTask(title="Choose other tiles"), if_match=again.headers["etag"]
)
current: Task = parsed(stale, StaleTask, HTTPStatus.PRECONDITION_FAILED).current
assert current.description is None
done("receive the current task with a 412")

stranger = AuthenticatedClient(base_url=URL, token=grace.access_token)
forbidden = parsed(get_task.sync_detailed(task.id, client=stranger), ApiError, HTTPStatus.FORBIDDEN)
assert forbidden.error == "FORBIDDEN"
done("receive a 403")

alan = account("Alan")
alan.timezone = "Mars/Olympus"
invalid = parsed(register.sync_detailed(client=anonymous, body=alan), ApiError, HTTPStatus.BAD_REQUEST)
assert not isinstance(invalid.details, Unset)
detail = invalid.details[0]
assert (detail.in_, detail.field, detail.code) == ("body", "timezone", "format")
done("receive typed details of a 400")

batch = TaskBatch(
    operations=[
        BatchCreate(op=BatchCreateOp.CREATE, title="Order the tiles"),
        BatchUpdate(op=BatchUpdateOp.UPDATE, task_id=second.id, title="Paint the ceiling"),
        BatchDelete(op=BatchDeleteOp.DELETE, task_id=finished.id),
    ]
)
results = parsed(batch_tasks.sync_detailed(project.id, client=client, body=batch), TaskBatchResult).results
assert [item and item.title for item in results] == ["Order the tiles", "Paint the ceiling", None]
done("run a batch")

feed = parsed(list_events.sync_detailed(client=client, cursor=start, project_id=project.id), EventPage)
seen = []
for event in feed.data:
    match event:
        case TaskCreatedEvent():
            seen.append(f"created {event.data.title}")
        case TaskUpdatedEvent():
            seen.append(f"updated {event.data.title}")
        case TaskDeletedEvent():
            seen.append(f"deleted {event.data.title}")
        case _:
            raise AssertionError(event)
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

assert delete_task.sync_detailed(task.id, client=client).status_code == HTTPStatus.NO_CONTENT
missing = parsed(get_task.sync_detailed(task.id, client=client), ApiError, HTTPStatus.NOT_FOUND)
assert missing.error == "NOT_FOUND"
done("delete a task")

webhook = parsed(
    create_webhook.sync_detailed(
        client=client,
        body=CreateWebhook(url="https://hooks.example.com/tasks", events=[WebhookEventName.TASK_CREATED]),
    ),
    WebhookWithSecret,
    HTTPStatus.CREATED,
)
rotated = parsed(
    rotate_webhook_secret.sync_detailed(webhook.id, client=client, body=RotateSecret(overlap_seconds=60)),
    WebhookWithSecret,
)
assert webhook.secret.startswith("whsec_") and rotated.secret.startswith("whsec_")
assert rotated.secret != webhook.secret
done("create a webhook and rotate its secret")
