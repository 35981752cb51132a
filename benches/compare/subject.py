"""A server that is measured, with its database and the requests that it is sent."""

import json
import os
import shutil
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

from processes import LOAD_CORE, Server, cpu_seconds, status

HERE = Path(__file__).parent
TASKS = 1_000
LIMIT = 20


def new_task(number):
    return {
        "title": f"Order tiles of kind {number}",
        "description": "Matte, 20 x 20 cm. Ask for a sample first.",
        "priority": "medium",
        "due_at": "2030-01-31T09:00:00.000Z",
        "labels": ["kitchen", "shopping"],
    }


@dataclass
class Request:
    path: str
    body: str = ""


class Subject:
    """Started and filled with TASKS tasks in one project; tasks are created in another."""

    def __init__(self, name, binary, folder, postgres):
        self.name, self.binary, self.postgres = name, Path(binary).resolve(), postgres
        self.folder = folder / name
        self.folder.mkdir()
        if postgres:
            self.database = f"bench_{name}_{uuid.uuid4().hex[:8]}".replace("-", "_")
            postgres.execute(f'CREATE DATABASE "{self.database}"')
            self.url = postgres.database_url(self.database)
        else:
            self.url = f"sqlite://{self.folder}/bench.db"
        self.server = self.start()
        self.token = ""
        self.fill()

    def start(self):
        return Server(self.binary, self.url, self.folder)

    def fill(self):
        read, written = self.projects()
        path = f"/v1/projects/{read}/tasks"
        for number in range(TASKS):
            task = self.server.request("POST", path, self.token, new_task(number))
        self.requests = {
            "get": Request(f"/v1/tasks/{task['id']}"),
            "list 20": Request(self.list_path(read)),
            "create": Request(f"/v1/projects/{written}/tasks", json.dumps(new_task(0))),
        }
        if self.postgres:
            self.postgres.execute("VACUUM ANALYZE", self.database)

    def projects(self):
        return uuid.uuid4(), uuid.uuid4()

    def list_path(self, project):
        return f"/v1/projects/{project}/tasks?limit={LIMIT}"

    def load(self, operation, connections, seconds):
        """Loads the server and returns the output of wrk."""
        request = self.requests[operation]
        command = ["taskset", "--cpu-list", str(LOAD_CORE), "wrk", "--threads", "1", "--latency"]
        command += ["--connections", str(connections), "--duration", f"{seconds}s", "--timeout", "10s"]
        command += ["--script", str(HERE / "wrk.lua"), "--header", f"Authorization: Bearer {self.token}"]
        command += [f"http://127.0.0.1:{self.server.port}{request.path}"]
        environment = os.environ | ({"BODY": request.body} if request.body else {})
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
        result = json.loads(output.strip().splitlines()[-1])
        if result["errors"] > result["requests"] / 100 or not result["requests"]:
            raise SystemExit(f"{self.name}, {operation}: requests failed\n{output}")
        return result

    def cpu(self):
        """Processor time of the server and of the database."""
        return cpu_seconds(self.server.pid), self.postgres.cpu_seconds() if self.postgres else 0.0

    def memory(self, name):
        return status(self.server.pid, name)

    def remove(self):
        self.server.stop()
        if self.postgres:
            self.postgres.execute(f'DROP DATABASE "{self.database}" WITH (FORCE)')
        shutil.rmtree(self.folder)


class PocketTasks(Subject):
    def projects(self):
        account = {"email": "ada@example.com", "name": "Ada", "password": "correct horse battery"}
        self.token = self.server.request("POST", "/v1/auth/register", body=account)["access_token"]
        projects = [self.server.request("POST", "/v1/projects", self.token, {"name": name}) for name in ("Read", "Written")]
        return [project["id"] for project in projects]

    def list_path(self, project):
        return f"/v2/projects/{project}/tasks?limit={LIMIT}"
