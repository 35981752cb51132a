#!/usr/bin/env python3
"""Compares what clients were told with the state and the feed after a run.

checker.py RECORD...    prints the violations in records of runs; the status is 1 if there are any

It knows the API from its documentation only, and nothing of the server's code.
"""

import collections
import json
import pathlib
import sys

import checks_feed
import checks_requests
import checks_state

MAX_SHOWN = 10


class Violations:
    """Violations by rule."""

    def __init__(self):
        self.found: dict[str, list[str]] = collections.defaultdict(list)

    def add(self, rule: str, text: str) -> None:
        self.found[rule].append(text)

    def __bool__(self) -> bool:
        return bool(self.found)

    def report(self) -> str:
        lines = []
        for rule, texts in self.found.items():
            lines.append(f"VIOLATED: {rule} ({len(texts)})")
            lines += [f"    {text[:600]}" for text in texts[:MAX_SHOWN]]
        return "\n".join(lines)


def check(record: dict) -> tuple[Violations, dict]:
    """Returns the violations in a record, and the numbers of what was compared."""
    violations = Violations()
    for problem in record["problems"]:
        violations.add("servers and clients behave", problem)
    for error in record["internal_errors"]:
        violations.add("no request is answered with 500", error)
    feed = checks_feed.union(record, violations)
    numbers = checks_requests.check(record, feed, violations)
    states = checks_feed.check(record, feed, violations)
    checks_state.check(record, feed, states, violations)
    numbers |= {
        "events": len(feed),
        "events received by readers": sum(len(each["received"]) for each in record["readers"]),
        "webhook messages": sum(len(each) for each in record["accepted"].values()),
    }
    return violations, numbers


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    failed = False
    for path in sys.argv[1:]:
        violations, numbers = check(json.loads(pathlib.Path(path).read_text(encoding="utf-8")))
        print(", ".join(f"{count} {name}" for name, count in numbers.items()))
        if violations:
            failed = True
            print(violations.report())
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
