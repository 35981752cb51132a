"""One run on one database: load, faults, survey. Writes a record, which `checker.py` judges.

main.py SEED SECONDS BINARY FOLDER [POSTGRES_URL]    PostgreSQL is controlled by TEST_POSTGRES_PG_CTL
"""

import json
import os
import pathlib
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time

import schedule
from api import Api, Records
from clients import Client
from processes import Instance, Postgres, Supervisor, free_port
from readers import Poller, Receiver, Streamer
from survey import drain, repeat_sample, survey
from world import PASSWORD, World

# At least four: a client works in the projects of two others, and is the guest of a third.
CLIENTS = max(4, int(os.environ.get("CHAOS_CLIENTS", "6")))
PAUSE = float(os.environ.get("CHAOS_PAUSE_SECONDS", "0.02"))


def variables(folder: pathlib.Path, database_url: str) -> dict:
    limits = (
        "RATE_LIMIT_AUTH_PER_MINUTE",
        "RATE_LIMIT_REFRESH_PER_MINUTE",
        "RATE_LIMIT_API_PER_MINUTE",
        "MAIL_PER_RECIPIENT_PER_HOUR",
        "MAIL_PER_RECIPIENT_PER_DAY",
        "INVITATIONS_PER_USER_PER_DAY",
        "LOGIN_FAILURES_PER_MINUTE",
        "LOGIN_FAILURES_PER_HOUR",
        "WEBHOOK_DELIVERIES_PER_HOST_PER_SECOND",
        "WEBHOOK_DELIVERIES_PER_USER_PER_MINUTE",
        "MAX_CONNECTIONS_PER_ADDRESS",
    )
    return (
        dict.fromkeys(limits, "0")
        | {
            "HOST": "127.0.0.1",
            "DATABASE_URL": database_url,
            "DATA_DIR": str(folder / "data"),
            "BCRYPT_COST": "4",
            "ACCESS_TOKEN_TTL_SECONDS": "86400",
            "REFRESH_GRACE_SECONDS": "300",
            "WEBHOOK_ALLOW_HTTP": "true",
            "WEBHOOK_ALLOW_CIDRS": "127.0.0.1",
            "WEBHOOK_ALLOW_PORTS": "*",
            "WEBHOOK_RETRY_SECONDS": ",".join(["0", "1", "2"] + ["3"] * 47),
            "JWT_SECRET": "chaos " * 8,
            "ENCRYPTION_KEY": "Y2hhb3MgY2hhb3MgY2hhb3MgY2hhb3MgY2hhb3MgISE=",
            "LOG_FORMAT": "json",
            "RUST_LOG": "info",
            "PATH": os.environ["PATH"],
        }
        | {name: value for name, value in os.environ.items() if name.startswith("LLVM_") or name == "TMPDIR"}
    )


class Run:
    def __init__(self, seed: int, seconds: float, binary: str, folder: pathlib.Path, postgres_url: str | None):
        self.seed, self.seconds, self.folder = seed, seconds, folder
        self.rng = random.Random(f"{seed}/run")
        self.problems: list[str] = []
        self.records = Records()
        control = os.environ.get("TEST_POSTGRES_PG_CTL")
        self.postgres = Postgres(postgres_url, control) if postgres_url else None
        self.database = folder / "data" / "chaos.db"
        settings = variables(folder, postgres_url or f"sqlite://{self.database}")
        ports = [free_port(self.rng) for _ in range(2 if postgres_url else 1)]
        self.instances = [
            Instance(number, binary, folder, settings, port, self.problems) for number, port in enumerate(ports)
        ]
        self.supervisor = Supervisor(self.instances, self.postgres, self.rng)
        self.receiver = Receiver(free_port(self.rng), self.rng)
        self.apis = [Api(f"client{number}", ports, self.records, seed) for number in range(CLIENTS)]
        self.world, self.stop = World(), threading.Event()
        self.clients: list[Client] = []
        self.readers: list = []
        self.hooks: dict[str, dict] = {}

    def prepare(self) -> None:
        """Creates the accounts, a project of each, its editors, readers and webhook."""
        for number, api in enumerate(self.apis):
            api.register(f"client{number}@example.com", PASSWORD)
            self.world.users.append(api.user_id)
            client = Client(number, api, self.world, self.stop, self.receiver, PAUSE)
            login = api.call(
                "login", "POST", "/v1/auth/login", {"email": f"client{number}@example.com", "password": PASSWORD}
            )
            client.refresh_token = json.loads(login["text"])["refresh_token"]
            self.clients.append(client)
            self.read_from_the_beginning(number, api)
        for client in self.clients:
            created = client.write("createProject", "POST", "/v1/projects", {"name": f"Project of {client.name}"})
            self.world.projects.append(json.loads(created["text"])["id"])
        for number, client in enumerate(self.clients):
            project = self.world.projects[number]
            for other in ((number + 1) % CLIENTS, (number + 2) % CLIENTS):
                invited = client.write(
                    "createInvitation",
                    "POST",
                    f"/v1/projects/{project}/invitations",
                    {"email": f"client{other}@example.com", "role": "editor"},
                )
                invitation = json.loads(invited["text"])["id"]
                self.apis[other].call("acceptInvitation", "POST", f"/v1/invitations/{invitation}/accept")
        begin = max(event["sequence"] for api in self.apis for event in api.feed())
        for number, client in enumerate(self.clients):
            path, project = f"/hook{number}", self.world.projects[number]
            body = {"url": self.receiver.url(f"hook{number}"), "project_id": project, "events": ["*"]}
            created = json.loads(client.write("createWebhook", "POST", "/v1/webhooks", body)["text"])
            self.receiver.accepted[path], self.receiver.secrets[path] = [], created["secret"]
            self.hooks[path] = {"id": created["id"], "project": project, "begin": begin}

    def read_from_the_beginning(self, number: int, api: Api) -> None:
        """Starts a stream of each user, and a poll of every other one."""
        cursor = api.read("/v2/tasks?limit=1")["meta"]["sync_cursor"]
        for kind in (Streamer, Poller)[: 1 + number % 2]:
            reader = kind(
                f"{kind.__name__}{number}",
                Api(f"{kind.__name__}{number}", api.ports, self.records, self.seed),
                None,
                cursor,
                0,
            )
            reader.api.token, reader.api.user_id = api.token, api.user_id
            self.readers.append(reader)
            reader.start()

    def load(self) -> None:
        own = dict(zip((api.user_id for api in self.apis), self.world.projects))
        for reader in self.readers:
            reader.own_project = own[reader.api.user_id]
        for number, project in enumerate(self.world.projects):
            api = self.apis[number]
            cursor = api.read("/v2/tasks?limit=1")["meta"]["sync_cursor"]
            begin = max(event["sequence"] for event in api.feed())
            reader = Streamer(
                f"ProjectStreamer{number}",
                Api(f"project{number}", api.ports, self.records, self.seed),
                project,
                cursor,
                begin,
            )
            reader.api.token, reader.api.user_id = api.token, api.user_id
            self.readers.append(reader)
            reader.start()
        planned = schedule.faults(self.seed, self.seconds, len(self.instances), self.postgres is not None)
        begun = time.monotonic()
        for client in self.clients:
            client.start()
        for fault in planned:
            time.sleep(max(0.0, begun + fault.at - time.monotonic()))
            print(f"  {fault}", flush=True)
            self.supervisor.inflict(fault)
        time.sleep(max(0.0, begun + self.seconds - time.monotonic()))
        self.stop.set()
        for client in self.clients:
            client.join()
        print(
            f"  {len(planned)} faults, {len(self.records.requests)} requests in {time.monotonic() - begun:.0f} s",
            flush=True,
        )

    def finish(self) -> dict:
        """Waits for what is under way, reads the state, and stops the servers."""
        drain(self.readers, self.receiver, self.hooks, self.feed)
        repeat_sample(self.apis, self.records.requests, self.rng, 300)
        found = survey(self.apis, self.clients, self.world)
        last = max(found["feeds"][self.world.users[0]][-1]["sequence"], 0)
        print(f"  feed read up to {last}", flush=True)
        drain(self.readers, self.receiver, self.hooks, self.feed)
        for reader in self.readers:
            reader.stop.set()
        jobs = subprocess.run(
            [self.instances[0].binary, "jobs", "list", "--json"],
            cwd=self.folder,
            env=self.instances[0].variables,
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
        )
        storage = [f"dead job: {job}" for job in json.loads(jobs.stdout) if "dead" in json.dumps(job)]
        self.supervisor.stop_all()
        for thread in (*self.readers, *self.clients):
            if thread.failure:
                self.problems.append(thread.failure)
        return found | {
            "seed": self.seed,
            "requests": self.records.requests,
            "internal_errors": self.records.internal_errors,
            "problems": self.problems + self.receiver.problems + self.panics(),
            "storage": storage + self.integrity(),
            "readers": [reader.result() for reader in self.readers],
            "hooks": self.hooks,
            "accepted": self.receiver.accepted,
        }

    def feed(self) -> dict[int, dict]:
        return {event["sequence"]: event for api in self.apis for event in api.feed()}

    def panics(self) -> list[str]:
        lines = [
            line for instance in self.instances for line in instance.log_path.read_text(errors="replace").splitlines()
        ]
        return [line[:500] for line in lines if "panicked" in line]

    def integrity(self) -> list[str]:
        if self.postgres:
            return []
        connection = sqlite3.connect(self.database)
        found = [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
        found += [f"foreign key: {row}" for row in connection.execute("PRAGMA foreign_key_check")]
        connection.close()
        return found


def main() -> None:
    seed, seconds, binary, folder = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3], pathlib.Path(sys.argv[4])
    folder.mkdir(parents=True)
    (folder / "data").mkdir()
    run = Run(seed, seconds, binary, folder, sys.argv[5] if len(sys.argv) > 5 else None)
    for instance in run.instances:
        instance.start()
    run.supervisor.start()
    try:
        run.prepare()
        run.load()
        record = run.finish()
    finally:
        run.supervisor.is_done.set()
        for instance in run.instances:
            instance.process.kill()
    (folder / "record.json").write_text(json.dumps(record), encoding="utf-8")
    starts = sum(instance.starts for instance in run.instances)
    connections = sum(reader.connections for reader in run.readers)
    failed = sum(instance.failed_starts for instance in run.instances)
    print(
        f"  {starts} starts of servers, {failed} of them without a database; {connections} connections of readers; "
        f"{run.receiver.refused} messages refused by the receiver"
    )
    shutil.rmtree(folder / "data")


if __name__ == "__main__":
    main()
