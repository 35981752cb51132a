"""Compares servers with the bare handlers, in turns: see ../README.md."""

import argparse
import datetime
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import plot
import report
from processes import Postgres
from subject import PocketTasks, Subject

OPERATIONS = ["get", "list 20", "create"]
WARM_UP_SECONDS = 1
# Deferred work, such as jobs, belongs to the requests: a turn ends when the server is idle.
IDLE_SECONDS, IDLE_SHARE, MAX_WAIT_SECONDS = 0.2, 0.02, 10
STARTS = 9
# The allocator returns memory to the system some seconds after the start.
SETTLING_SECONDS = 4


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bare", required=True, help="binary of the bare handlers")
    parser.add_argument("--results", required=True, type=Path, help="folder of the results")
    parser.add_argument("--postgres", help="URL of a local PostgreSQL server, as a superuser")
    parser.add_argument("--engines", default="SQLite,PostgreSQL")
    parser.add_argument("--operations", default=",".join(OPERATIONS))
    parser.add_argument("--connections", default="1,32")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="duration of a turn")
    parser.add_argument("--revision", default="", help="revision of the source, for the report")
    parser.add_argument("binaries", nargs="+", help="[NAME=]PATH of servers to measure")
    return parser.parse_args()


def wait_until_idle(subject):
    """Waits until the server and its database do nothing."""
    end = time.monotonic() + MAX_WAIT_SECONDS
    before = sum(subject.cpu())
    while time.monotonic() < end:
        time.sleep(IDLE_SECONDS)
        now = sum(subject.cpu())
        if now - before < IDLE_SECONDS * IDLE_SHARE:
            return
        before = now


def turn(subject, operation, connections, seconds):
    """Loads one server, and returns rate, latency and processor time per request."""
    before = subject.cpu()
    load = subject.load(operation, connections, seconds)
    wait_until_idle(subject)
    after = subject.cpu()
    # wrk counts the requests that were answered in time. Each connection had one more, in progress on average.
    requests = load["requests"] + connections / 2
    server, database = [(b - a) * 1e6 / requests for a, b in zip(before, after)]
    return {
        "requests_per_second": load["requests"] * 1e6 / load["microseconds"],
        "p50_us": load["p50"],
        "p99_us": load["p99"],
        "failed": load["errors"],
        "response_bytes": load["bytes"] / load["requests"],
        "server_cpu_us": server,
        "database_cpu_us": database,
        "cpu_us": server + database,
    }


def measure_requests(subjects, options):
    """Lets the servers take turns, and returns the medians of each."""
    turns = {}
    operations = options.operations.split(",")
    for operation in operations:
        for subject in subjects:
            turn(subject, operation, 8, WARM_UP_SECONDS)
    for number in range(options.rounds):
        for operation in operations:
            for connections in map(int, options.connections.split(",")):
                # Each begins in half of the rounds.
                for subject in subjects if number % 2 == 0 else reversed(subjects):
                    result = turn(subject, operation, connections, options.seconds)
                    turns.setdefault((operation, connections, subject.name), []).append(result)
    rows = []
    for (operation, connections, name), results in turns.items():
        bare = turns[operation, connections, "bare"]
        row = {"operation": operation, "connections": connections, "server": name}
        row |= {key: statistics.median(result[key] for result in results) for key in results[0]}
        row["failed"] = sum(result["failed"] for result in results)
        row["times_bare"] = statistics.median(a["cpu_us"] / b["cpu_us"] for a, b in zip(results, bare))
        rows.append(row)
    return sorted(rows, key=lambda row: (OPERATIONS.index(row["operation"]), row["connections"]))


def measure_start(subject):
    """Memory under load, then starts on the existing database, with the memory some seconds after one request."""
    peak = subject.memory("VmHWM")
    times = []
    for _ in range(STARTS):
        subject.server.stop()
        subject.server = subject.start()
        subject.server.request("GET", subject.requests["list 20"].path, subject.token)
        times.append(subject.server.startup * 1000)
    time.sleep(SETTLING_SECONDS)
    return {
        "server": subject.name,
        "start_ms": statistics.median(times),
        "memory_idle_mb": subject.memory("VmRSS"),
        "memory_idle_anonymous_mb": subject.memory("RssAnon"),
        "memory_peak_mb": peak,
        "binary_mb": subject.binary.stat().st_size / 1e6,
    }


def measure(postgres, binaries, folder, options):
    subjects = [Subject("bare", options.bare, folder, postgres)]
    try:
        for name, path in binaries:
            subjects.append(PocketTasks(name, path, folder, postgres))
        return {"requests": measure_requests(subjects, options), "servers": [measure_start(it) for it in subjects]}
    finally:
        for subject in subjects:
            subject.remove()


def main():
    options = arguments()
    binaries = []
    for argument in options.binaries:
        name, separator, path = argument.rpartition("=")
        binaries.append((name if separator else Path(path).name, path))
    results = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "revision": options.revision,
        "rounds": options.rounds,
        "seconds": options.seconds,
        "machine": report.machine(),
        "engines": {},
    }
    for engine in options.engines.split(","):
        folder = Path(tempfile.mkdtemp(prefix="pocket-tasks-bench-"))
        try:
            postgres = Postgres(options.postgres) if engine == "PostgreSQL" else None
            results["engines"][engine] = measure(postgres, binaries, folder, options)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    table = report.markdown(results)
    print(table)
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "latest.md").write_text(table)
    (options.results / "latest.json").write_text(json.dumps(results, indent=1) + "\n")
    (options.results / "latest.svg").write_text(plot.svg(results))


if __name__ == "__main__":
    main()
