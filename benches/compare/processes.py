"""Servers under load: their start, processor time and memory."""

import http.client
import json
import os
import socket
import subprocess
import time
from pathlib import Path

SERVER_CORE = 0
LOAD_CORE = 1
STARTUP_TIMEOUT = 30

# Settings besides the defaults: no limits, so that one client may send everything, and cheap passwords.
SETTINGS = {
    "HOST": "127.0.0.1",
    "LOG_FORMAT": "json",
    "BCRYPT_COST": "4",
    "ACCESS_TOKEN_TTL_SECONDS": "86400",
    "RATE_LIMIT_AUTH_PER_MINUTE": "0",
    "RATE_LIMIT_REFRESH_PER_MINUTE": "0",
    "RATE_LIMIT_API_PER_MINUTE": "0",
    "MAX_TASKS_PER_PROJECT": "0",
    "MAX_STORED_BYTES_PER_USER": "0",
}


def cpu_seconds(pid):
    """Processor time of all threads of a process, also of those that ended, in nanosecond resolution."""
    return time.clock_gettime((~pid << 3) | 2)


def status(pid, name):
    """A size from /proc/PID/status in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024 / 1e6
    raise KeyError(name)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """A running server, pinned to one core."""

    def __init__(self, binary, url, folder):
        self.port = free_port()
        settings = SETTINGS | {"PORT": str(self.port), "DATABASE_URL": url, "DATA_DIR": str(folder)}
        command = ["taskset", "--cpu-list", str(SERVER_CORE), str(binary)]
        begin = time.monotonic()
        # The working directory holds no `.env` of a developer. Logs are written, as in production, and discarded.
        self.process = subprocess.Popen(command, cwd=folder, env=settings, stdout=subprocess.DEVNULL)
        self.pid = self.process.pid
        while not self.is_ready():
            if self.process.poll() is not None:
                raise SystemExit(f"{binary} ended with status {self.process.returncode}")
            if time.monotonic() - begin > STARTUP_TIMEOUT:
                raise SystemExit(f"{binary} was not ready within {STARTUP_TIMEOUT} s")
            time.sleep(0.0005)
        self.startup = time.monotonic() - begin

    def is_ready(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port)) as connection:
                connection.sendall(b"GET /health/ready HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
                return connection.recv(64).startswith(b"HTTP/1.1 200")
        except OSError:
            return False

    def request(self, method, path, token="", body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        if response.status not in (200, 201):
            raise SystemExit(f"{method} {path}: {response.status} {content[:500]}")
        return json.loads(content)

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Postgres:
    """A local PostgreSQL server, whose processes are pinned and counted."""

    def __init__(self, url):
        self.url = url
        first_line = "SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)"
        self.pid = int(self.execute(first_line))
        for pid in [self.pid, *self.children()]:
            os.sched_setaffinity(pid, {SERVER_CORE})

    def execute(self, statement, database=None):
        command = ["psql", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--command", statement]
        url = self.database_url(database) if database else self.url
        return subprocess.run([*command, url], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def database_url(self, name):
        address, _, options = self.url.partition("?")
        return f"{address.rpartition('/')[0]}/{name}" + (f"?{options}" if options else "")

    def children(self):
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def cpu_seconds(self):
        """Processor time of all processes, also of those that ended."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        ended = (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
        total = cpu_seconds(self.pid) + ended
        for pid in self.children():
            try:
                total += cpu_seconds(pid)
            except OSError:
                pass  # Ended since, and is counted with those in the next measurement.
        return total
