"""Rules of the feed: one order without holes, changes that follow from each other, and readers that miss nothing."""

import collections

from readers import digest

# Fields of a project that are not its own: of the reader, or recalculated beside it.
COMPUTED = {"role", "task_counts", "completion_percentage"}
# An invitation has the name of its project, which changes without it.
NOT_IN_PREVIOUS = {"version", "updated_at", "project_name"} | COMPUTED


def union(record: dict, violations) -> dict[int, dict]:
    """Merges what all users read. Owners together see every event."""
    feed: dict[int, dict] = {}
    for user, events in record["feeds"].items():
        last = 0
        for event in events:
            if event["sequence"] <= last:
                violations.add("the feed is in order", f"{user} read {event['sequence']} after {last}")
            last = event["sequence"]
            known = feed.setdefault(event["sequence"], event)
            if known != event:
                violations.add("all users read the same event", f"{known} and {event}")
    numbers = sorted(feed)
    if numbers and numbers != list(range(1, len(numbers) + 1)):
        present = set(numbers)
        holes = [number for number in range(1, numbers[-1]) if number not in present]
        violations.add("sequence numbers have no hole", f"{holes[:20]} of {numbers[-1]}")
    if len({event["id"] for event in feed.values()}) != len(feed):
        violations.add("each event has an id of its own", "an id occurs twice")
    return dict(sorted(feed.items()))


def resource_of(event: dict) -> tuple:
    kind = event["type"].split(".")[0]
    data = event["data"]
    return (kind, event["project_id"], data["user_id"]) if kind == "member" else (kind, data["id"])


class State:
    """A resource as the events describe it."""

    def __init__(self, event: dict):
        self.event, self.data, self.is_removed = event, event["data"], False
        self.versions = collections.defaultdict(list)
        self.versions[self.data.get("version")].append(self.data)


def check(record: dict, feed: dict[int, dict], violations) -> dict[tuple, State]:
    """Replays the feed, and returns the resources at its end."""
    states: dict[tuple, State] = {}
    for event in feed.values():
        key = resource_of(event)
        state = states.get(key)
        if event["type"] in ("member.added",) or event["type"].endswith(".created"):
            if state is not None and not (key[0] == "member" and state.is_removed):
                violations.add("a resource is created once", f"{event['sequence']} {event['type']} {key}")
            if event["previous"] is not None or event["data"].get("version", 1) != 1:
                violations.add("a creation has version 1 and no previous values", str(event))
            states[key] = State(event)
        elif state is None or (state.is_removed and event["type"] != "task.updated"):
            violations.add("a change follows a creation", f"{event['sequence']} {event['type']} {key}")
        else:
            problem = chain_problem(state, event)
            if problem:
                violations.add(
                    "each change follows from the one before", f"{event['sequence']} {event['type']}: {problem}"
                )
            state.is_removed = event["type"] in ("comment.deleted", "member.removed")
            state.event, state.data = event, event["data"]
            state.versions[event["data"].get("version")].append(event["data"])
    digests = {number: digest(event) for number, event in feed.items()}
    for reader in record["readers"]:
        check_reader(reader, feed, digests, violations)
    for path, hook in record["hooks"].items():
        check_webhook(path, hook, record["accepted"][path], feed, digests, violations)
    return states


def chain_problem(state: State, event: dict) -> str | None:
    before, after = state.data, event["data"]
    changed = {
        field: before.get(field)
        for field in after
        if field not in NOT_IN_PREVIOUS and before.get(field) != after[field]
    }
    previous = {field: value for field, value in (event["previous"] or {}).items() if field not in COMPUTED}
    if event["type"] in ("comment.deleted", "member.removed"):
        return None if before == after and not previous else f"the last state is {before}, not {after}"
    is_second_half = (
        event["type"] == state.event["type"] == "task.moved"
        and before == after
        and event["request_id"] == state.event["request_id"]
        and event["previous"] == state.event["previous"]
        and event["project_id"] != state.event["project_id"]
    )
    if is_second_half:
        return None
    if previous != changed:
        return f"previous is {previous}, but {changed} changed"
    if "version" in after:
        # Only new positions of neighbours keep the version.
        is_rebalanced = event["type"] == "task.updated" and set(changed) == {"position"}
        step = after["version"] - before["version"]
        if step != 1 and not (step == 0 and is_rebalanced):
            return f"version {before['version']} became {after['version']}"
    return None


def stable_since(user: str, events: list[dict]) -> int | None:
    """Returns the sequence number after which the user has seen all events of a project; `None` for no member."""
    since = None
    for event in events:
        number = event["sequence"]
        if event["type"] == "project.created" and event["data"]["owner_id"] == user:
            since = 0
        elif event["type"] == "member.added" and event["data"]["user_id"] == user:
            since = number
        elif event["type"] == "member.removed" and event["data"]["user_id"] == user:
            since = None
        elif event["type"] in ("project.deleted", "project.restored") and since is not None:
            # Readers reload a project that comes back.
            since = number
    return since


def check_reader(reader: dict, feed: dict[int, dict], digests: dict[int, str], violations) -> None:
    name, last, received = reader["name"], reader["begin"], set()
    for number, identity, checksum in reader["received"]:
        if number <= last:
            violations.add("a reader receives each event once, in order", f"{name}: {number} after {last}")
        last = number
        received.add(number)
        event = feed.get(number)
        if event is None or event["id"] != identity or digests[number] != checksum:
            violations.add("a reader receives the events of the feed", f"{name}: {number} {identity}, feed: {event}")
        elif reader["project"] and event["project_id"] != reader["project"]:
            violations.add("a reader receives only the project it asked for", f"{name}: {number}")
    owners = {
        event["project_id"]: event["data"]["owner_id"] for event in feed.values() if event["type"] == "project.created"
    }
    projects = collections.defaultdict(list)
    for event in feed.values():
        projects[event["project_id"]].append(event)
    since = {project: stable_since(reader["user"], events) for project, events in projects.items()}
    for number, event in feed.items():
        project = event["project_id"]
        begin = since[project]
        if begin is None or number <= max(begin, reader["begin"]) or (reader["project"] not in (None, project)):
            continue
        if event["type"].startswith("invitation.") and owners.get(project) != reader["user"]:
            continue
        if number not in received:
            violations.add("a reader misses no event", f"{name}: {number} {event['type']}; it received up to {last}")


def check_webhook(path: str, hook: dict, accepted: list, feed: dict, digests: dict, violations) -> None:
    by_id = {event["id"]: event for event in feed.values()}
    for _, identity, checksum in accepted:
        event = by_id.get(identity)
        if event is None or digests[event["sequence"]] != checksum:
            violations.add("a webhook receives the events of the feed", f"{path}: {identity}, feed: {event}")
        elif event["project_id"] != hook["project"]:
            violations.add("a webhook receives only its project", f"{path}: {event['sequence']}")
    received = {identity for _, identity, _ in accepted}
    for number, event in feed.items():
        if event["project_id"] == hook["project"] and number > hook["begin"] and event["id"] not in received:
            violations.add("a webhook receives each event at least once", f"{path}: {number} {event['type']}")
