"""Rules of the state: it is what the feed says, reads never go back, and counters are counts."""

import collections
import json

from checks_feed import COMPUTED


def check(record: dict, feed: dict[int, dict], states: dict, violations) -> None:
    check_reads(record["requests"], states, violations)
    tasks = {}
    for found in record["projects"]:
        project = found["project"]
        state = states.get(("project", project["id"]))
        if state is None:
            violations.add("each resource has events", f"project {project['id']}")
            continue
        same(without(state.data), without(project), "the state is what the feed says", violations)
        if "tasks" in found:
            check_project(found, states, violations)
            tasks[project["id"]] = {task["id"]: task for task in found["tasks"]}
    listed = {found["project"]["id"] for found in record["projects"]}
    for kind, *identity in states:
        if kind == "project" and identity[0] not in listed:
            violations.add("nothing is lost", f"project {identity[0]}")
    for walk in record["walks"]:
        check_walk(walk, tasks[walk["project"]], violations)
    check_webhooks(record, violations)
    for problem in record["storage"]:
        violations.add("the database is intact, and no job is dead", problem)


def without(project: dict) -> dict:
    return {field: value for field, value in project.items() if field not in COMPUTED}


def same(expected, found, rule: str, violations) -> None:
    if expected != found:
        violations.add(rule, f"expected {json.dumps(expected)[:280]}, found {json.dumps(found)[:280]}")


def compare(expected: list[dict], found: list[dict], what: str, violations, key: str = "id") -> None:
    """Compares resources of the feed with a list."""
    by_id = {each[key]: each for each in found}
    if len(by_id) != len(found):
        violations.add("a list has each resource once", what)
    wanted = {each[key]: each for each in expected}
    for identity in wanted.keys() - by_id.keys():
        violations.add("nothing is lost", f"{what}: {wanted[identity]}")
    for identity in by_id.keys() - wanted.keys():
        violations.add("nothing appears without an event", f"{what}: {by_id[identity]}")
    for identity in wanted.keys() & by_id.keys():
        same(wanted[identity], by_id[identity], "the state is what the feed says", violations)


def check_project(found: dict, states: dict, violations) -> None:
    project = found["project"]
    identity = project["id"]
    name = f"project {identity}"
    own = [state for (kind, *_), state in states.items() if kind == "task" and state.data["project_id"] == identity]
    live = [state.data for state in own if state.data["deleted_at"] is None]
    compare(live, found["tasks"], f"{name}, tasks of v1", violations)
    compare(live, found["tasks_v2"], f"{name}, tasks of v2", violations)
    compare([state.data for state in own if state.data["deleted_at"]], found["trash"], f"{name}, trash", violations)

    done = sum(1 for task in live if task["status"] == "done")
    same({"total": len(live), "done": done}, project["task_counts"], "counters are counts", violations)
    same(
        100 * done // len(live) if live else 0,
        project["completion_percentage"],
        "the percentage follows the counts",
        violations,
    )
    positions = collections.Counter(task["position"] for task in found["tasks"])
    if doubled := [position for position, count in positions.items() if count > 1]:
        violations.add("each task has a position of its own", f"{name}: {doubled[:5]}")

    ids = {task["id"] for task in live}
    comments = [
        state.data
        for (kind, *_), state in states.items()
        if kind == "comment" and not state.is_removed and state.data["task_id"] in ids
    ]
    compare(comments, found["comments"], f"{name}, comments", violations)
    # A pending invitation shows the present name of its project.
    unnamed = [
        {field: value for field, value in each.items() if field != "project_name"} for each in found["invitations"]
    ]
    invitations = [
        {field: value for field, value in state.data.items() if field != "project_name"}
        for (kind, *_), state in states.items()
        if kind == "invitation" and state.data["project_id"] == identity
    ]
    compare(invitations, unnamed, f"{name}, invitations", violations)
    members = [
        state.data
        for (kind, *rest), state in states.items()
        if kind == "member" and rest[0] == identity and not state.is_removed
    ]
    others = [member for member in found["members"] if member["user_id"] != project["owner_id"]]
    compare(members, others, f"{name}, members", violations, key="user_id")
    if len(others) + 1 != len(found["members"]):
        violations.add("a project has one owner", name)


def check_reads(requests: list[dict], states: dict, violations) -> None:
    """A read shows a state that existed, and never an older one than was seen before it began."""
    seen = collections.defaultdict(list)  # of a task: begin, end, version
    for each in requests:
        if each["operation"] == "repeat" or each["status"] not in (200, 201):
            continue
        is_read = each["operation"] in ("getTask", "listTasks")
        if is_read or each["operation"] in ("createTask", "updateTask", "moveTask", "restoreTask"):
            body = json.loads(each["text"])
            for task in body.get("data", [body]):
                # A replayed answer shows the past.
                if not each["replayed"]:
                    seen[task["id"]].append((each["begin"], each["end"], task["version"], is_read))
                if is_read and task not in known_versions(states, task):
                    violations.add("a read shows a committed state", f"{each['path']}: {task}")
    for identity, observations in seen.items():
        ends = sorted((end, version) for _, end, version, _ in observations)
        newest, index = 0, 0
        for begin, _, version, _ in sorted(observations):
            while index < len(ends) and ends[index][0] < begin:
                newest = max(newest, ends[index][1])
                index += 1
            if version < newest:
                violations.add("a read never goes back", f"task {identity}: version {version} after {newest}")


def known_versions(states: dict, task: dict) -> list[dict]:
    state = states.get(("task", task["id"]))
    return state.versions[task["version"]] if state else []


def check_walk(walk: dict, final: dict, violations) -> None:
    """A list by cursor, completed by the events after its `sync_cursor`, is the final state."""
    tasks = {task["id"]: task for task in walk["tasks"]}
    if len(tasks) != len(walk["tasks"]):
        violations.add("a walk by cursor has each task once", walk["project"])
    for event in walk["events"]:
        if event["type"].startswith("task.") and event["project_id"] == walk["project"]:
            data = event["data"]
            if data["deleted_at"] or data["project_id"] != walk["project"]:
                tasks.pop(data["id"], None)
            else:
                tasks[data["id"]] = data
    if tasks != final:
        differing = [identity for identity in tasks.keys() | final.keys() if tasks.get(identity) != final.get(identity)]
        violations.add("a walk and the events after it are the final state", f"{walk['project']}: {differing[:5]}")


def check_webhooks(record: dict, violations) -> None:
    expected = {hook["id"] for hook in record["hooks"].values()}
    unknown = set()
    for each in record["requests"]:
        if each["operation"] == "createWebhook" and each["status"] == 201:
            expected.add(json.loads(each["text"])["id"])
        if each["operation"] == "deleteWebhook":
            (expected.discard if each["status"] == 204 else unknown.add)(each["path"].split("/")[3])
    found = [webhook["id"] for webhooks in record["webhooks"].values() for webhook in webhooks]
    if len(set(found)) != len(found) or (set(found) ^ expected) - unknown:
        violations.add("each acknowledged webhook exists once", str(set(found) ^ expected))
