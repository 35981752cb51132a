"""Rules of requests: an acknowledged change happened, once, as the answer says; a refused one did not happen."""

import collections
import json

from api import CAN_CHANGE_NOTHING
from checks_feed import COMPUTED

READS = {"getTask", "getProject", "listTasks", "listMyInvitations"}
PRIVATE = {
    "register",
    "login",
    "refreshSession",
    "createWebhook",
    "updateWebhook",
    "deleteWebhook",
    "rotateWebhookSecret",
}
EVENTS = {
    "createTask": ["task.created"],
    "updateTask": ["task.updated"],
    "deleteTask": ["task.deleted"],
    "restoreTask": ["task.restored"],
    "moveTask": ["task.moved"],
    "createComment": ["comment.created"],
    "updateComment": ["comment.updated"],
    "deleteComment": ["comment.deleted"],
    "createProject": ["project.created"],
    "updateProject": ["project.updated"],
    "deleteProject": ["project.deleted"],
    "restoreProject": ["project.restored"],
    "createInvitation": ["invitation.created"],
    "acceptInvitation": ["invitation.accepted", "member.added"],
    "declineInvitation": ["invitation.declined"],
    "updateMember": ["member.updated"],
    "removeMember": ["member.removed"],
}
BATCH_EVENTS = {"create": "task.created", "update": "task.updated", "delete": "task.deleted"}
ONE_EVENT = "each acknowledged change has exactly its events"


def check(record: dict, feed: dict[int, dict], violations) -> dict[str, int]:
    groups = collections.defaultdict(list)
    repeats = []
    for each in record["requests"]:
        if each["operation"] == "repeat":
            repeats.append(each)
        else:
            groups[each["request_id"]].append(each)
    events = collections.defaultdict(list)
    for event in feed.values():
        events[event["request_id"]].append(event)
    for request_id in events.keys() - groups.keys():
        violations.add("each event has a request", f"{request_id}: {[event['type'] for event in events[request_id]]}")

    numbers = collections.Counter({"requests": len(record["requests"])})
    for request_id, requests in groups.items():
        for each in requests:
            numbers["lost or uncertain answers"] += is_uncertain(each)
            if each["status"] is None:
                violations.add("each request is answered in the end", describe(each))
            elif each.get("replayed") and not is_uncertain(each) and len(requests) == 1:
                violations.add("only a request that was sent before is replayed", describe(each))
        check_group(requests, events[request_id], violations, numbers)
    check_etags(record["requests"], violations)
    for each in repeats:
        if each["request_id"] in groups:
            check_repeat(each, groups[each["request_id"]][0], violations, numbers)
    for name in ("acknowledged changes", "lost or uncertain answers"):
        if not numbers[name]:
            violations.add("the run shows something", f"0 {name}")
    return dict(numbers)


def is_uncertain(request: dict) -> bool:
    """Returns whether an attempt may have had an effect that the client did not learn of."""
    return any(outcome in ("lost", "busy") for outcome, _, _ in request["attempts"])


def describe(request: dict) -> str:
    return (
        f"{request['request_id']} {request['operation']} {request['path']} {json.dumps(request['body'])[:120]}: "
        f"{request['status']} {request.get('text', '')[:200]} after {request['attempts'][-4:]}"
    )


def check_group(requests: list[dict], events: list[dict], violations, numbers) -> None:
    """Compares requests that share one key with the events they caused."""
    request = next((each for each in requests if each["status"] and each["status"] < 300), requests[0])
    operation, types = request["operation"], [event["type"] for event in events]
    if operation in READS | PRIVATE:
        if types:
            violations.add("a read changes nothing", f"{describe(request)}: {types}")
        return
    if not request["status"] or request["status"] >= 300:
        numbers["refused changes"] += 1
        # Access to a stored answer may be lost, and operations without keys do not remember their first attempt.
        if any(is_uncertain(each) for each in requests) and request["status"] in (None, 403, 404, 409):
            numbers["changes of unknown outcome"] += 1
        elif types:
            violations.add("a refused change does not happen", f"{describe(request)}: {types}")
        return
    numbers["acknowledged changes"] += 1
    numbers["replayed after a lost answer"] += any(each["replayed"] for each in requests)
    for other in requests:
        if other["status"] != request["status"] or other["text"] != request["text"] or other["etag"] != request["etag"]:
            violations.add("requests with one key have one answer", f"{describe(request)} and {describe(other)}")
    if not has_expected_events(request, types):
        violations.add(ONE_EVENT, f"{describe(request)}: {types}")
    elif types and request["status"] != 204:
        check_content(request, events, violations)


def has_expected_events(request: dict, types: list[str]) -> bool:
    operation = request["operation"]
    if operation == "batchTasks":
        return types == [BATCH_EVENTS[each["op"]] for each in request["body"]["operations"]]
    if not types:
        return operation in CAN_CHANGE_NOTHING
    if operation == "removeMember":
        return types[0] == "member.removed" and set(types[1:]) <= {"task.updated"}
    if operation == "moveTask":
        # Two for a move between projects. The neighbours of a narrow gap have new positions.
        return 1 <= types.count("task.moved") <= 2 and set(types) <= {"task.moved", "task.updated"}
    return types == EVENTS[operation]


def check_content(request: dict, events: list[dict], violations) -> None:
    """The answer is the resource of the event, and has what the request asked for."""
    answer = json.loads(request["text"])
    if request["operation"] == "batchTasks":
        pairs = zip(request["body"]["operations"], answer["results"], events, strict=True)
    else:
        kinds = {"acceptInvitation": "member.added", "moveTask": "task.moved"}
        kind = kinds.get(request["operation"])
        event = next(each for each in events if kind in (None, each["type"]))
        asked = request["body"] if request["operation"].startswith(("create", "update")) else None
        pairs = [(asked, answer, event)]
    for asked, result, event in pairs:
        if result is None:
            continue
        ignored = COMPUTED if event["type"].startswith("project.") else set()
        differing = {field for field in result if field not in ignored and result[field] != event["data"].get(field)}
        if differing:
            violations.add("the answer is the resource of the event", f"{describe(request)}: {differing} in {event}")
        for field, value in (asked or {}).items():
            if field not in ("op", "task_id") and event["data"].get(field) != value:
                violations.add("the change is the one that was asked for", f"{describe(request)}: {field} in {event}")


def check_repeat(repeat: dict, original: dict, violations, numbers) -> None:
    numbers["repeated requests"] += 1
    if repeat["status"] in (403, 404):
        # The task may be in a project of others by now.
        numbers["repeated without access"] += 1
        return
    same = all(repeat[field] == original[field] for field in ("status", "text", "etag", "location"))
    if not same or not repeat["replayed"]:
        violations.add("a repeated request has its first answer", f"{describe(original)}, then {describe(repeat)}")


def check_etags(requests: list[dict], violations) -> None:
    """A tag stands for one representation, and `If-Match` for one version."""
    representations: dict[tuple, str] = {}
    tags: dict[tuple, str] = {}
    versions: dict[tuple, int] = {}
    for each in requests:
        if not each.get("etag") or each["status"] not in (200, 201) or each["operation"] in PRIVATE:
            continue
        identity = json.loads(each["text"])["id"]
        if representations.setdefault((identity, each["etag"]), each["text"]) != each["text"]:
            violations.add("a tag stands for one representation", f"{describe(each)}: {each['etag']}")
        if tags.setdefault((identity, each["text"]), each["etag"]) != each["etag"]:
            violations.add("a representation has one tag", f"{describe(each)}: {each['etag']}")
        versions[identity, each["etag"]] = json.loads(each["text"])["version"]
    for each in requests:
        if not each["if_match"] or each["operation"] == "repeat" or each["status"] not in (200, 412):
            continue
        identity = each["path"].split("/")[3]
        seen = versions.get((identity, each["if_match"]))
        body = json.loads(each["text"])
        if seen is None:
            continue
        if each["status"] == 200 and body["version"] != seen + 1:
            violations.add("If-Match lets no change in between", f"{describe(each)}: seen {seen}")
        if each["status"] == 412 and body["current"]["version"] == seen:
            violations.add("If-Match refuses only what has changed", f"{describe(each)}: seen {seen}")
