"""Restarts two servers behind nginx under load; see `tests/rolling/run`. Standard library only."""

import asyncio
import base64
import collections
import os
import pathlib
import re
import secrets
import signal
import socket
import sys
import time
import urllib.parse
import urllib.request
import uuid

from http_client import Client, Refused, chunks, read_head

ROUNDS = int(os.environ.get("ROLLING_ROUNDS", "5"))
DELAY = os.environ.get("ROLLING_DELAY", "5")
CLIENTS = int(os.environ.get("ROLLING_CLIENTS", "16"))


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def key() -> list:
    return [("Idempotency-Key", uuid.uuid4().hex)]


class Server:
    """A server process, which keeps its port and secrets over restarts."""

    def __init__(self, binary: str, scratch: pathlib.Path, number: int, shared: dict):
        self.binary, self.number, self.port = binary, number, free_port()
        self.folder = scratch / f"server-{number}"
        self.folder.mkdir()
        self.variables = shared | {"PORT": str(self.port), "DATA_DIR": str(self.folder)}
        self.process = None

    async def start(self) -> None:
        log = open(self.folder / "log", "ab")
        self.process = await asyncio.create_subprocess_exec(
            self.binary, cwd=self.folder, env=self.variables, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.returncode is not None:
                sys.exit((self.folder / "log").read_text())
            try:
                await asyncio.to_thread(urllib.request.urlopen, f"http://127.0.0.1:{self.port}/health/ready", None, 2)
                return
            except OSError:
                await asyncio.sleep(0.05)
        sys.exit(f"server {self.number} is not ready after a minute")

    async def stop(self) -> float:
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        status = await asyncio.wait_for(self.process.wait(), 60)
        if status != 0:
            sys.exit(f"server {self.number} exited with {status}")
        return time.monotonic() - begun


class User:
    """Writes tasks into a project of its own, and follows its events."""

    def __init__(self, port: int):
        self.port, self.client = port, Client(port)
        self.created, self.titles, self.events = [], {}, []
        self.statuses, self.failures, self.slowest = collections.Counter(), [], 0.0
        self.reconnects, self.last_id = 0, None

    async def begin(self) -> None:
        body = {"email": f"{uuid.uuid4().hex}@example.com", "name": "Ada", "password": "correct horse"}
        _, _, session = await self.client.send("POST", "/v1/auth/register", body)
        self.client.token = session["access_token"]
        _, _, project = await self.client.send("POST", "/v1/projects", {"name": "Rolling"})
        self.project = f"/v1/projects/{project['id']}"

    async def request(self, method, path, body=None, headers=(), expect=200):
        begun = time.monotonic()
        try:
            status, received, answer = await self.client.send(method, path, body, headers)
        except (Refused, OSError) as error:
            self.statuses["no response"] += 1
            self.failures.append(f"{method} {path}: {error}")
            return None
        self.slowest = max(self.slowest, time.monotonic() - begun)
        self.statuses[status] += 1
        if status != expect:
            self.failures.append(f"{method} {path}: {status} {answer}")
            return None
        return received, answer

    async def work(self, stopping: asyncio.Event) -> None:
        number = 0
        while not stopping.is_set():
            number += 1
            # Every fourth one cannot be repeated by the balancer after a lost connection.
            keys = key() if number % 4 else []
            made = await self.request("POST", f"{self.project}/tasks", {"title": f"Task {number}"}, keys, 201)
            if not made:
                continue
            task = made[1]
            self.created.append(task["id"])
            self.titles[task["id"]] = task["title"]
            path = f"/v1/tasks/{task['id']}"
            await self.request("GET", path)
            changed = await self.request("PATCH", path, {"title": f"Changed {number}"}, key())
            if changed:
                self.titles[task["id"]] = f"Changed {number}"
            await self.request("GET", f"{self.project}/tasks?limit=20")

    async def follow(self, stopping: asyncio.Event) -> None:
        """Follows the stream, and resumes it after the last event that was received."""
        while not stopping.is_set():
            try:
                await self.read_stream()
            except (OSError, asyncio.IncompleteReadError, ValueError):
                pass
            self.reconnects += 1
            await asyncio.sleep(0.05)

    async def read_stream(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        resume = f"Last-Event-ID: {self.last_id}\r\n" if self.last_id else ""
        writer.write((f"GET /v1/events/stream?type=task.created HTTP/1.1\r\nHost: localhost\r\n{resume}"
                      f"Authorization: Bearer {self.client.token}\r\n\r\n").encode())
        try:
            status, _ = await read_head(reader)
            if status != 200:
                self.failures.append(f"stream: {status}")
                return
            text = ""
            async for chunk in chunks(reader):
                text += chunk.decode()
                while "\n\n" in text:
                    message, text = text.split("\n\n", 1)
                    fields = dict(line.split(": ", 1) for line in message.split("\n") if ": " in line)
                    self.last_id = fields.get("id", self.last_id)
                    if fields.get("event") == "task.created":
                        self.events.append(re.search(r'"data":\{"id":"([^"]+)"', fields["data"])[1])
        finally:
            writer.close()

    async def stored(self) -> dict:
        """Returns the titles of the stored tasks; each id must appear once."""
        found, page = [], 1
        while True:
            _, _, answer = await self.client.send("GET", f"{self.project}/tasks?limit=100&page={page}")
            found += [(task["id"], task["title"]) for task in answer["data"]]
            if len(answer["data"]) < 100:
                break
            page += 1
        assert len(found) == len(dict(found)), "a task is listed twice"
        return dict(found)


def start_nginx(nginx, configuration, scratch, servers):
    port = free_port()
    text = pathlib.Path(configuration).read_text()
    for number, server in enumerate(servers, 1):
        assert f"127.0.0.1:300{number}" in text
        text = text.replace(f"127.0.0.1:300{number}", f"127.0.0.1:{server.port}")
    text = text.replace("listen 8080", f"listen 127.0.0.1:{port}")
    temporary = "".join(f"{kind}_temp_path {scratch}/{kind};\n" for kind in
                        ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    path = scratch / "nginx.conf"
    path.write_text(f"daemon off; pid {scratch}/nginx.pid; worker_processes 2; error_log {scratch}/nginx.log;\n"
                    f"events {{ worker_connections 1024; }}\nhttp {{ access_log off;\n{temporary}\n{text} }}\n")
    return port, asyncio.create_subprocess_exec(nginx, "-c", str(path), "-e", f"{scratch}/nginx.log")


async def wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        except OSError:
            await asyncio.sleep(0.05)
    sys.exit("nginx does not listen")


async def main() -> None:
    binary, admin, database, nginx, configuration, scratch = sys.argv[1:]
    scratch = pathlib.Path(scratch)
    url = urllib.parse.urlsplit(admin)._replace(path=f"/{database}").geturl()
    off = {f"RATE_LIMIT_{name}_PER_MINUTE": "0" for name in ("AUTH", "REFRESH", "API")}
    shared = off | {
        "DATABASE_URL": url, "JWT_SECRET": secrets.token_hex(32), "LOG_FORMAT": "json", "BCRYPT_COST": "4",
        "ENCRYPTION_KEY": base64.b64encode(secrets.token_bytes(32)).decode(), "TRUSTED_PROXY_HOPS": "1",
        "SHUTDOWN_DELAY_SECONDS": DELAY,
    }
    servers = [Server(binary, scratch, number, shared) for number in (1, 2)]
    await asyncio.gather(*(server.start() for server in servers))
    port, starting = start_nginx(nginx, configuration, scratch, servers)
    proxy = await starting
    await wait_for(port)
    users = [User(port) for _ in range(CLIENTS)]
    await asyncio.gather(*(user.begin() for user in users))
    stopping = asyncio.Event()
    following = [asyncio.create_task(user.follow(stopping)) for user in users]
    await asyncio.sleep(1)
    working = [asyncio.create_task(user.work(stopping)) for user in users]
    stops, begun = [], time.monotonic()
    await asyncio.sleep(2)
    for _ in range(ROUNDS):
        for server in servers:
            stops.append(await server.stop())
            await server.start()
            await asyncio.sleep(1)
    stopping.set()
    await asyncio.gather(*working)
    took = time.monotonic() - begun
    problems = [failure for user in users for failure in user.failures]
    for user in users:
        stored = await user.stored()
        problems += [f"lost: {task}" for task in user.created if stored.get(task) != user.titles[task]]
        problems += [f"stored without an acknowledgement: {task}" for task in stored.keys() - set(user.created)]
        deadline = time.monotonic() + 20
        while len(user.events) < len(user.created) and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        if sorted(user.events) != sorted(user.created):
            missed, counts = set(user.created) - set(user.events), collections.Counter(user.events)
            repeated = [task for task, count in counts.items() if count > 1]
            problems.append(f"stream: {len(missed)} events missed, {len(repeated)} repeated")
    for task in following:
        task.cancel()
    proxy.send_signal(signal.SIGQUIT)
    for server in servers:
        await server.stop()
    statuses = sum((user.statuses for user in users), collections.Counter())
    print(f"{ROUNDS} restarts of each of 2 servers in {took:.0f} s, each stopped in at most {max(stops):.1f} s")
    print(f"requests: {sum(statuses.values())}, by status: {dict(statuses)}")
    print(f"acknowledged tasks: {sum(len(user.created) for user in users)}, "
          f"events: {sum(len(user.events) for user in users)}, "
          f"streams resumed: {sum(user.reconnects for user in users)}")
    print(f"slowest request: {max(user.slowest for user in users):.2f} s")
    for problem in problems[:20]:
        print(f"  {problem}")
    if problems:
        print((scratch / "nginx.log").read_text()[-2000:])
        sys.exit(f"{len(problems)} problems")


asyncio.run(main())
