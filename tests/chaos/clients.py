"""The mixed load: users who work on their own and on each other's projects."""

import json
import threading
import time

from api import Api, can_be_repeated
from world import World, new_fields


class Client(threading.Thread):
    """A user with a project, who is also an editor of the projects of the next two."""

    def __init__(self, number: int, api: Api, world: World, stop: threading.Event, receiver, pause: float):
        super().__init__(name=api.name, daemon=True)
        self.number, self.api, self.world, self.stop, self.receiver, self.pause = (
            number,
            api,
            world,
            stop,
            receiver,
            pause,
        )
        self.rng = api.rng
        self.etags: dict[str, str] = {}
        self.trash: list[str] = []
        self.side_projects: list[str] = []
        self.guest_invitation = None
        self.webhooks: list[str] = []
        self.walks: list[dict] = []
        self.refresh_token: str | None = None
        self.failure: str | None = None

    def run(self) -> None:
        actions = {
            self.create_task: 22,
            self.update_task: 18,
            self.update_task_as_seen: 14,
            self.update_stale_task: 3,
            self.place_task: 8,
            self.move_task: 4,
            self.delete_task: 5,
            self.restore_task: 4,
            self.batch: 6,
            self.create_comment: 6,
            self.change_comment: 3,
            self.update_project: 3,
            self.side_project: 2,
            self.guest: 4,
            self.change_webhook: 1,
            self.repeat: 4,
            self.read_task: 10,
            self.list_tasks: 3,
            self.walk: 0.4,
            self.refresh: 1,
        }
        try:
            while not self.stop.is_set():
                self.rng.choices(list(actions), list(actions.values()))[0]()
                time.sleep(self.rng.uniform(0, 2 * self.pause))
        except Exception as error:  # noqa: BLE001 - reported with the results of the run
            self.failure = f"{self.name}: {type(error).__name__}: {error}"

    # --- Helpers

    def project(self) -> tuple[str, int]:
        """A project in which this user is an owner or editor, and its number."""
        count = len(self.world.projects)
        number = (self.number - self.rng.choice([0, 0, 1, 2])) % count
        return self.world.projects[number], number

    def task(self) -> tuple[str, str] | None:
        project, _ = self.project()
        known = self.world.tasks.get(project)
        return (project, self.rng.choice(known)) if known else None

    def write(self, operation: str, method: str, path: str, body=None, **options) -> dict:
        key = f"{self.name}/{self.api.count + 1}"
        record = self.api.call(operation, method, path, body, key=key, is_impatient=self.rng.random() < 0.03, **options)
        if record["etag"]:
            self.etags[json.loads(record["text"]).get("id", "")] = record["etag"]
        return record

    def text(self, prefix: str) -> str:
        """A text that no other request has, so that each update changes something."""
        return f"{prefix} {self.name}/{self.api.count + 1}"

    # --- Tasks

    def create_task(self) -> None:
        project, number = self.project()
        fields = new_fields(self.rng, self.text)
        if self.rng.random() < 0.3:
            # The guest (see `guest`) loses the tasks when it is removed, and may be no member now, which is a 400.
            fields["assignee_id"] = self.world.users[(number + self.rng.choice([0, 1, 3])) % len(self.world.users)]
        record = self.write("createTask", "POST", f"/v1/projects/{project}/tasks", fields)
        if record["status"] == 201:
            self.world.add_task(project, json.loads(record["text"])["id"])

    def update_task(self) -> None:
        if task := self.task():
            self.write("updateTask", "PATCH", f"/v1/tasks/{task[1]}", new_fields(self.rng, self.text))

    def update_task_as_seen(self) -> None:
        if task := self.task():
            seen = self.api.call("getTask", "GET", f"/v1/tasks/{task[1]}")
            if seen["status"] == 200:
                self.write(
                    "updateTask",
                    "PATCH",
                    f"/v1/tasks/{task[1]}",
                    new_fields(self.rng, self.text),
                    if_match=seen["etag"],
                )

    def update_stale_task(self) -> None:
        if task := self.task():
            if etag := self.etags.get(task[1]):
                self.write(
                    "updateTask", "PATCH", f"/v1/tasks/{task[1]}", new_fields(self.rng, self.text), if_match=etag
                )

    def place_task(self) -> None:
        task = self.task()
        if task and len(self.world.tasks[task[0]]) > 1:
            place = {self.rng.choice(["before_id", "after_id"]): self.rng.choice(self.world.tasks[task[0]])}
            self.write("moveTask", "POST", f"/v1/tasks/{task[1]}/move", place)

    def move_task(self) -> None:
        if task := self.task():
            target, _ = self.project()
            record = self.write("moveTask", "POST", f"/v1/tasks/{task[1]}/move", {"project_id": target})
            if record["status"] == 200:
                self.world.add_task(target, task[1])

    def delete_task(self) -> None:
        if task := self.task():
            if self.write("deleteTask", "DELETE", f"/v1/tasks/{task[1]}")["status"] == 204:
                self.trash.append(task[1])

    def restore_task(self) -> None:
        if self.trash:
            task = self.trash.pop(self.rng.randrange(len(self.trash)))
            self.write("restoreTask", "POST", f"/v1/tasks/{task}/restore")

    def batch(self) -> None:
        project, _ = self.project()
        known = self.world.tasks.get(project, [])
        operations = []
        for number in range(self.rng.randrange(1, 12)):
            kind = self.rng.choice(["create", "create", "update", "delete"]) if known else "create"
            operation = {"op": kind}
            if kind != "create":
                operation["task_id"] = self.rng.choice(known)
            if kind != "delete":
                operation |= new_fields(self.rng, self.text)
                operation["title"] += f".{number}"
            operations.append(operation)
        record = self.write("batchTasks", "POST", f"/v1/projects/{project}/tasks/batch", {"operations": operations})
        if record["status"] == 200:
            for operation, task in zip(operations, json.loads(record["text"])["results"]):
                if operation["op"] == "create":
                    self.world.add_task(project, task["id"])

    # --- Comments

    def create_comment(self) -> None:
        if task := self.task():
            record = self.write(
                "createComment", "POST", f"/v1/tasks/{task[1]}/comments", {"body": self.text("Comment")}
            )
            if record["status"] == 201:
                self.world.comments.append((self.number, json.loads(record["text"])["id"]))

    def change_comment(self) -> None:
        own = [comment for author, comment in self.world.comments[-200:] if author == self.number]
        if own:
            comment = self.rng.choice(own)
            if self.rng.random() < 0.3:
                self.write("deleteComment", "DELETE", f"/v1/comments/{comment}")
            else:
                self.write("updateComment", "PATCH", f"/v1/comments/{comment}", {"body": self.text("Comment")})

    # --- Projects and members

    def update_project(self) -> None:
        project = self.world.projects[self.number]
        seen = self.api.call("getProject", "GET", f"/v1/projects/{project}")
        # Its counters change all the time, which must fail no edit.
        record = self.write(
            "updateProject", "PATCH", f"/v1/projects/{project}", {"name": self.text("Project")}, if_match=seen["etag"]
        )
        if record["status"] == 412:
            raise RuntimeError("a project that only its owner edits was refused: " + record["text"])

    def side_project(self) -> None:
        """A project without others, which goes to the trash and comes back."""
        if len(self.side_projects) < 3:
            record = self.write("createProject", "POST", "/v1/projects", {"name": self.text("Side project")})
            if record["status"] == 201:
                self.side_projects.append(json.loads(record["text"])["id"])
            return
        project = self.rng.choice(self.side_projects)
        self.write("createTask", "POST", f"/v1/projects/{project}/tasks", {"title": self.text("Side task")})
        self.write("deleteProject", "DELETE", f"/v1/projects/{project}")
        self.write("restoreProject", "POST", f"/v1/projects/{project}/restore")

    def guest(self) -> None:
        """Moves the guest of this user's project one step further: invited, member, other role, removed."""
        project = self.world.projects[self.number]
        guest = self.world.users[(self.number + 3) % len(self.world.users)]
        invitation = {
            "email": f"client{(self.number + 3) % len(self.world.users)}@example.com",
            "role": self.rng.choice(["viewer", "editor"]),
        }
        record = self.write("createInvitation", "POST", f"/v1/projects/{project}/invitations", invitation)
        if record["status"] == 201:
            return
        path = f"/v1/projects/{project}/members/{guest}"
        step = self.rng.random()
        if step < 0.5:
            self.write("updateMember", "PATCH", path, {"role": self.rng.choice(["viewer", "editor"])})
        else:
            self.write("removeMember", "DELETE", path)
        pending = self.api.call("listMyInvitations", "GET", "/v1/invitations?status=pending")
        for found in json.loads(pending["text"])["data"]:
            answer = self.rng.choice(["accept", "accept", "accept", "decline"])
            self.api.call(f"{answer}Invitation", "POST", f"/v1/invitations/{found['id']}/{answer}")

    def change_webhook(self) -> None:
        if len(self.webhooks) < 3:
            body = {
                "url": self.receiver.url(self.text("extra").replace(" ", "-").replace("/", "-")),
                "events": ["project.created"],
            }
            record = self.write("createWebhook", "POST", "/v1/webhooks", body)
            if record["status"] == 201:
                self.webhooks.append(json.loads(record["text"])["id"])
            return
        webhook = self.webhooks.pop(0)
        self.write("updateWebhook", "PATCH", f"/v1/webhooks/{webhook}", {"description": self.text("Webhook")})
        self.write("rotateWebhookSecret", "POST", f"/v1/webhooks/{webhook}/rotate-secret")
        self.write("deleteWebhook", "DELETE", f"/v1/webhooks/{webhook}")

    # --- Repeated requests, reads and sessions

    def repeat(self) -> None:
        """Sends an answered request with its key again, or a new one on two connections at once."""
        if self.rng.random() < 0.5:
            twin = Api(self.api.name, self.api.ports, self.api.records, self.rng.randrange(1 << 30))
            twin.token, twin.user_id, twin.count = self.api.token, self.api.user_id, self.api.count
            project = self.world.projects[self.number]
            arguments = ("createTask", "POST", f"/v1/projects/{project}/tasks", {"title": self.text("Twin")})
            key = f"{self.name}/{self.api.count + 1}"
            other = threading.Thread(target=lambda: twin.call(*arguments, key=key))
            other.start()
            record = self.api.call(*arguments, key=key)
            other.join()
            if record["status"] == 201:
                self.world.add_task(project, json.loads(record["text"])["id"])
            return
        with self.api.records.lock:
            recent = self.api.records.requests[-200:]
        own = [record for record in recent if record["client"] == self.name and can_be_repeated(record)]
        if own:
            self.api.repeat(self.rng.choice(own))

    def read_task(self) -> None:
        if task := self.task():
            known = self.etags.get(task[1])
            self.api.call("getTask", "GET", f"/v1/tasks/{task[1]}", if_none_match=known)

    def list_tasks(self) -> None:
        project, _ = self.project()
        version = self.rng.choice(["v1", "v2"])
        self.api.call("listTasks", "GET", f"/{version}/projects/{project}/tasks?limit=100&sort=updated_at&dir=desc")

    def walk(self) -> None:
        """Reads all tasks of the own project by cursor. What follows `sync_cursor` must complete them."""
        project = self.world.projects[self.number]
        tasks, cursor, sync_cursor = [], None, None
        while True:
            after = f"&cursor={cursor}" if cursor else ""
            page = self.api.read(f"/v2/projects/{project}/tasks?limit=100{after}")
            tasks += page["data"]
            sync_cursor = sync_cursor or page["meta"]["sync_cursor"]
            cursor = page["meta"]["next_cursor"]
            if not cursor:
                break
        self.walks = [*self.walks[-2:], {"project": project, "tasks": tasks, "sync_cursor": sync_cursor}]

    def refresh(self) -> None:
        """Continues a second session. A lost answer is repeated with the same token."""
        record = self.api.call("refreshSession", "POST", "/v1/auth/refresh", {"refresh_token": self.refresh_token})
        if record["status"] != 200:
            raise RuntimeError(f"a session was lost: {record['text']}")
        self.refresh_token = json.loads(record["text"])["refresh_token"]
