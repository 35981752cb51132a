"""Steps of `tests/fuzz/run` that are easier in Python than in a shell. Standard library only.

steps.py free-port
steps.py wait-until-ready URL PID          fails if the process exits, or after a minute
steps.py prepare URL                       creates an account with data; prints its access token and id
steps.py still-signed-in URL TOKEN         fails if the session of the token has ended
steps.py read-log FILE                     fails on 5xx responses, panics and errors; prints the number of requests
steps.py database-url URL NAME             prints the URL with another database name
"""

import collections
import json
import os
import pathlib
import socket
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid


def call(method: str, url: str, token: str | None = None, body: dict | None = None) -> dict:
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, method=method, data=data, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            text = response.read()
    except urllib.error.HTTPError as error:
        sys.exit(f"{method} {url} returned {error.code}: {error.read().decode(errors='replace')}")
    except OSError as error:
        sys.exit(f"{method} {url} failed: {error}")
    return json.loads(text) if text else {}


def free_port() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        print(listener.getsockname()[1])


def wait_until_ready(url: str, pid: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            sys.exit("the server exited before it was ready")
        try:
            with urllib.request.urlopen(f"{url}/health/ready", timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    sys.exit("the server was not ready after a minute")


def prepare(url: str) -> None:
    account = {"email": f"fuzz-{uuid.uuid4()}@example.com", "name": "Fuzz", "password": "correct horse battery"}
    session = call("POST", f"{url}/v1/auth/register", body=account)
    token = session["access_token"]
    for project_name in ("Kitchen", "Garden"):
        project = call("POST", f"{url}/v1/projects", token, {"name": project_name})
        for number in range(1, 26):
            task = {"title": f"Task {number}", "labels": ["fuzz"], "priority": "high" if number % 5 == 0 else "none"}
            call("POST", f"{url}/v1/projects/{project['id']}/tasks", token, task)
    print(token, session["user"]["id"])


def still_signed_in(url: str, token: str) -> None:
    call("GET", f"{url}/v1/me", token)


def statuses(value: object) -> list[int]:
    """Returns the HTTP statuses in a log entry, at any depth."""
    found = []
    for key, item in value.items() if isinstance(value, dict) else ():
        if isinstance(item, dict):
            found += statuses(item)
        elif key.endswith(("status", "status_code")) and str(item).isdigit() and 100 <= int(item) <= 599:
            found.append(int(item))
    return found


def read_log(path: str) -> None:
    requests: collections.Counter[int] = collections.Counter()
    bad = []
    with pathlib.Path(path).open(encoding="utf-8", errors="replace") as log:
        for line in map(str.strip, log):
            try:
                entry = json.loads(line)
            except ValueError:
                entry = {}
            found = statuses(entry)[:1]
            requests.update(found)
            is_error = isinstance(entry, dict) and entry.get("level") == "ERROR"
            if is_error or "panicked" in line or any(status >= 500 for status in found):
                bad.append(line)
    by_status = ", ".join(f"{count} x {status}" for status, count in sorted(requests.items()))
    print(f"Requests in the server's access log: {requests.total()} ({by_status})")
    if not requests:
        sys.exit(f"no request found in {path}: has the format of the access log changed?")
    if bad:
        shown = "\n".join(line[:2000] for line in bad[:20])
        sys.exit(f"{len(bad)} lines of {path} contain panics, errors or 5xx responses. The first:\n{shown}")


def database_url(url: str, name: str) -> None:
    print(urllib.parse.urlsplit(url)._replace(path=f"/{name}").geturl())


STEPS = {
    step.__name__.replace("_", "-"): step
    for step in (free_port, wait_until_ready, prepare, still_signed_in, read_log, database_url)
}

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in STEPS:
        sys.exit(__doc__)
    STEPS[sys.argv[1]](*sys.argv[2:])
