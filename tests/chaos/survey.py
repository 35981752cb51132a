"""The state after the load, read through the API."""

import time

from api import Api, can_be_repeated

# Leases of killed workers expire after 30 seconds.
DRAIN_TIMEOUT = 150.0


def drain(readers: list, receiver, hooks: dict[str, dict], feeds) -> None:
    """Waits until every reader and every webhook has received the end of the feed, or a deadline passes."""
    deadline = time.monotonic() + DRAIN_TIMEOUT
    events = feeds()
    while time.monotonic() < deadline:
        missing = 0
        for path, hook in hooks.items():
            with receiver.lock:
                accepted = {identity for _, identity, _ in receiver.accepted[path]}
            missing += sum(1 for event in events.values() if is_for(hook, event) and event["id"] not in accepted)
        late = [reader for reader in readers if reader.is_alive() and not has_all(reader, events)]
        if not missing and not late:
            return
        time.sleep(0.5)


def is_for(hook: dict, event: dict) -> bool:
    return event["project_id"] == hook["project"] and event["sequence"] > hook["begin"]


def has_all(reader, events: dict[int, dict]) -> bool:
    """Returns whether the reader has the last event of the project that it certainly sees."""
    last = max((number for number, event in events.items() if event["project_id"] == reader.own_project), default=0)
    return reader.last() >= last


def survey(apis: list[Api], clients: list, world) -> dict:
    """Reads all resources as their owners see them."""
    found = {"users": [], "feeds": {}, "projects": [], "walks": [], "webhooks": {}}
    for api, client in zip(apis, clients):
        found["users"].append(api.user_id)
        found["feeds"][api.user_id] = api.feed()
        owned = api.pages("/v1/projects?role=owner&sort=created_at") + api.pages("/v1/projects?role=owner&deleted=true")
        found["projects"] += [read_project(api, project) for project in owned]
        found["webhooks"][api.user_id] = api.pages("/v1/webhooks?sort=created_at")
        for walk in client.walks:
            found["walks"].append(walk | {"events": api.feed(walk["sync_cursor"])})
    return found


def read_project(api: Api, project: dict) -> dict:
    path = f"/v1/projects/{project['id']}"
    if project["deleted_at"]:
        return {"project": project}
    tasks = api.pages(f"{path}/tasks?sort=created_at&dir=asc")
    comments = []
    for task in tasks:
        comments += api.pages(f"/v1/tasks/{task['id']}/comments")
    return {
        "project": settled(api, path, tasks),
        "tasks": tasks,
        "tasks_v2": all_v2(api, f"/v2/projects/{project['id']}/tasks"),
        "trash": api.pages(f"{path}/tasks?deleted=true"),
        "members": api.pages(f"{path}/members"),
        "invitations": api.pages(f"{path}/invitations"),
        "comments": comments,
    }


def settled(api: Api, path: str, tasks: list[dict]) -> dict:
    """Reads a project until the job has computed its percentage, or a deadline passes."""
    done = sum(1 for task in tasks if task["status"] == "done")
    deadline = time.monotonic() + 60
    while True:
        project = api.read(path)
        if (
            project["completion_percentage"] == (100 * done // len(tasks) if tasks else 0)
            or time.monotonic() > deadline
        ):
            return project
        time.sleep(0.2)


def all_v2(api: Api, path: str) -> list[dict]:
    found, cursor = [], None
    while True:
        page = api.read(f"{path}?limit=100" + (f"&cursor={cursor}" if cursor else ""))
        found += page["data"]
        cursor = page["meta"]["next_cursor"]
        if not cursor:
            return found


def repeat_sample(apis: list[Api], records: list[dict], rng, size: int) -> None:
    """Repeats requests from the whole run: their stored answers outlive all faults."""
    by_name = {api.name: api for api in apis}
    answered = [each for each in records if can_be_repeated(each)]
    for record in rng.sample(answered, min(size, len(answered))):
        by_name[record["client"]].repeat(record)
