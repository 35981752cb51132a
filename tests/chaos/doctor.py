#!/usr/bin/env python3
"""Proves that the checker can fail: falsifies the record of a run in one way at a time, and expects violations.

doctor.py RECORD
"""

import copy
import json
import pathlib
import sys

from checker import check


def first(record: dict, operation: str, status: int) -> dict:
    found = [each for each in record["requests"] if each["operation"] == operation and each["status"] == status]
    return found[len(found) // 2]


def feeds(record: dict) -> list[list[dict]]:
    return list(record["feeds"].values())


def event_of(record: dict, kind: str) -> int:
    found = [event["sequence"] for event in feeds(record)[0] if event["type"] == kind]
    return found[len(found) // 2]


def remove_event(record: dict, number: int) -> None:
    for user, events in record["feeds"].items():
        record["feeds"][user] = [event for event in events if event["sequence"] != number]


def change_event(record: dict, number: int, change) -> None:
    for events in feeds(record):
        for event in events:
            if event["sequence"] == number:
                change(event)


def an_acknowledged_task_is_lost(record: dict) -> None:
    found = record["projects"][0]
    lost = found["tasks"].pop()
    found["tasks_v2"] = [task for task in found["tasks_v2"] if task["id"] != lost["id"]]
    found["project"]["task_counts"]["total"] -= 1


def an_event_is_lost(record: dict) -> None:
    remove_event(record, event_of(record, "task.updated"))


def an_event_is_lost_without_a_hole(record: dict) -> None:
    number = event_of(record, "task.created")
    remove_event(record, number)
    for events in feeds(record):
        for event in events:
            event["sequence"] -= event["sequence"] > number


def a_change_takes_effect_twice(record: dict) -> None:
    original = event_of(record, "task.created")
    last = max(event["sequence"] for events in feeds(record) for event in events)
    for events in feeds(record):
        for event in [event for event in events if event["sequence"] == original]:
            twin = copy.deepcopy(event) | {"sequence": last + 1, "id": "twin"}
            twin["data"]["id"] = "twin"
            events.append(twin)


def an_acknowledged_update_is_overwritten(record: dict) -> None:
    first(record, "updateTask", 200)["request_id"] += "-lost"


def a_refused_change_happens(record: dict) -> None:
    refused = first(record, "updateTask", 200)
    refused |= {"status": 412, "attempts": [[412, 0, 0.1]], "text": json.dumps({"current": {"version": 0}})}


def a_counter_is_wrong(record: dict) -> None:
    record["projects"][1]["project"]["task_counts"]["done"] += 1


def a_previous_value_is_wrong(record: dict) -> None:
    change_event(
        record, event_of(record, "task.updated"), lambda event: event["previous"].update(title="Another title")
    )


def a_reader_misses_an_event(record: dict) -> None:
    reader = record["readers"][0]
    everything = [event for events in feeds(record) for event in events]
    own = {
        event["project_id"]
        for event in everything
        if event["type"] == "project.created" and event["data"]["owner_id"] == reader["user"]
    }
    own -= {event["project_id"] for event in everything if event["type"] == "project.deleted"}
    # Of the projects of others, it need not have received what happened before it became a member.
    required = {event["sequence"] for event in everything if event["project_id"] in own}
    found = [each for each in reader["received"] if each[0] in required]
    reader["received"].remove(found[len(found) // 2])


def a_reader_receives_an_event_twice(record: dict) -> None:
    received = record["readers"][0]["received"]
    received.insert(len(received) // 2, received[len(received) // 2])


def a_webhook_misses_an_event(record: dict) -> None:
    messages = record["accepted"]["/hook1"]
    missing = messages[len(messages) // 2][1]
    record["accepted"]["/hook1"] = [message for message in messages if message[1] != missing]


def a_webhook_message_has_another_id(record: dict) -> None:
    record["accepted"]["/hook1"][0][1] = "another"


def a_tag_stands_for_two_representations(record: dict) -> None:
    tasks = [each for each in record["requests"] if each["operation"] == "updateTask" and each["status"] == 200]
    by_path: dict[str, dict] = {}
    for each in tasks:
        if each["path"] in by_path:
            each["etag"] = by_path[each["path"]]["etag"]
            return
        by_path[each["path"]] = each


def if_match_lets_a_change_through(record: dict) -> None:
    versions = {
        (json.loads(each["text"])["id"], json.loads(each["text"])["version"]): each["etag"]
        for each in record["requests"]
        if each["operation"] == "getTask" and each["status"] == 200
    }
    for each in record["requests"]:
        if each["operation"] == "updateTask" and each["status"] == 200 and each["if_match"]:
            task = json.loads(each["text"])
            if older := versions.get((task["id"], task["version"] - 2)):
                each["if_match"] = older
                return
    raise LookupError("no update with If-Match whose task was read before")


def a_read_goes_back(record: dict) -> None:
    updates = {
        each["path"]: each for each in record["requests"] if each["operation"] == "updateTask" and each["status"] == 200
    }
    for each in record["requests"]:
        update = updates.get(each["path"])
        if each["operation"] == "getTask" and each["status"] == 200 and update and each["begin"] < update["begin"]:
            each["begin"], each["end"] = update["end"] + 1, update["end"] + 2
            return


def a_stored_answer_is_another(record: dict) -> None:
    repeat = next(each for each in record["requests"] if each["operation"] == "repeat" and each["status"] == 201)
    repeat["text"] += " "


def a_walk_misses_a_task(record: dict) -> None:
    walk = min(record["walks"], key=lambda walk: len(walk["events"]))
    named = {event["data"].get("id") for event in walk["events"]}
    walk["tasks"].remove(next(task for task in walk["tasks"] if task["id"] not in named))


def a_comment_is_lost(record: dict) -> None:
    next(found for found in record["projects"] if found["comments"])["comments"].pop()


def a_member_keeps_an_old_role(record: dict) -> None:
    members = record["projects"][0]["members"]
    next(each for each in members if each["role"] == "editor")["role"] = "viewer"


def a_server_panics(record: dict) -> None:
    record["problems"].append("thread panicked")


FALSIFICATIONS = [
    an_acknowledged_task_is_lost,
    an_event_is_lost,
    an_event_is_lost_without_a_hole,
    a_change_takes_effect_twice,
    an_acknowledged_update_is_overwritten,
    a_refused_change_happens,
    a_counter_is_wrong,
    a_previous_value_is_wrong,
    a_reader_misses_an_event,
    a_reader_receives_an_event_twice,
    a_webhook_misses_an_event,
    a_webhook_message_has_another_id,
    a_tag_stands_for_two_representations,
    if_match_lets_a_change_through,
    a_read_goes_back,
    a_stored_answer_is_another,
    a_walk_misses_a_task,
    a_comment_is_lost,
    a_member_keeps_an_old_role,
    a_server_panics,
]


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    text = pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")
    if check(json.loads(text))[0]:
        sys.exit("the record has violations of its own")
    missed = []
    for falsify in FALSIFICATIONS:
        record = json.loads(text)
        name = falsify.__name__.replace("_", " ")
        try:
            falsify(record)
        except (LookupError, StopIteration):
            # A short run may lack the requests.
            print(f"  skipped: {name}")
            continue
        violations, _ = check(record)
        if violations:
            print(f"  found: {name} ({', '.join(violations.found)})")
        else:
            missed.append(name)
            print(f"  MISSED: {name}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
