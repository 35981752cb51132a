"""The results as Markdown."""

import os
import platform
import re
from pathlib import Path

# Maximum processor time of a request at 32 connections, as a multiple of the bare handler's.
GOALS = {
    "SQLite": {"get": 1.0, "list 20": 0.8, "create": 0.5},
    "PostgreSQL": {"get": 1.4, "list 20": 1.4, "create": 2.5},
}
GOAL_CONNECTIONS = 32
# Title, key and maximum of a measurement of the whole server.
SERVER_GOALS = [
    ("start to first 200, ms", "start_ms", 50),
    ("memory after one request, MB", "memory_idle_mb", 30),
    ("of it anonymous, MB", "memory_idle_anonymous_mb", None),
    ("peak memory under load, MB", "memory_peak_mb", 80),
    ("binary, MB", "binary_mb", 25),
]


def machine():
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {
        "processor": model[1] if model else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "load_before": os.getloadavg()[0],
    }


def table(head, rows):
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def goal(engine, row):
    if row["connections"] != GOAL_CONNECTIONS or row["server"] == "bare":
        return None
    return GOALS[engine][row["operation"]]


def judged(value, limit, form):
    """A value, with its goal where there is one."""
    text = format(value, form)
    return text if limit is None else f"{text} ({'meets' if value <= limit else 'misses'} {limit})"


def requests_table(engine, rows):
    head = ["operation", "connections", "server", "requests/s", "p50 ms", "p99 ms", "CPU µs", "server + database"]
    lines = []
    for row in rows:
        parts = f"{row['server_cpu_us']:.0f} + {row['database_cpu_us']:.0f}" if row["database_cpu_us"] else ""
        lines.append(
            [
                row["operation"],
                row["connections"],
                row["server"],
                f"{row['requests_per_second']:.0f}" + (f" ({row['failed']} failed)" if row["failed"] else ""),
                f"{row['p50_us'] / 1000:.2f}",
                f"{row['p99_us'] / 1000:.2f}",
                f"{row['cpu_us']:.0f}",
                parts,
                judged(row["times_bare"], goal(engine, row), ".2f"),
            ]
        )
    return table([*head, "multiple of bare"], lines)


def servers_table(servers):
    lines = []
    for title, key, limit in SERVER_GOALS:
        cells = [judged(it[key], limit if it["server"] != "bare" else None, ".1f") for it in servers]
        lines.append([title, *cells])
    return table(["", *(it["server"] for it in servers)], lines)


def markdown(results):
    it = results["machine"]
    lines = [
        f"Measured {results['date']}, {results['revision'] or 'unknown revision'}, on {it['cores']} cores of "
        f"{it['processor']}, Linux {it['kernel']}, load before the start {it['load_before']:.1f}. "
        f"Medians of {results['rounds']} turns of {results['seconds']} s each.\n"
    ]
    for engine, measured in results["engines"].items():
        lines += [f"## {engine}\n", requests_table(engine, measured["requests"]), servers_table(measured["servers"])]
    return "\n".join(lines)
