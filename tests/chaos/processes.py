"""The servers and the database of a run: started again whenever they end."""

import os
import pathlib
import shlex
import signal
import socket
import subprocess
import threading
import time

STOP_TIMEOUT = 45.0


def free_port(rng) -> int:
    """Returns a free port that the system does not assign to outgoing connections, so that it stays free."""
    while True:
        port = rng.randrange(20_000, 32_000)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class Instance:
    """One server process, which is started again if it ends."""

    def __init__(self, number: int, binary: str, folder: pathlib.Path, variables: dict, port: int, problems: list):
        self.number, self.binary, self.folder, self.port = number, binary, folder, port
        self.variables = variables | {"PORT": str(port)}
        self.problems = problems
        self.log_path = folder / f"server-{number}.log"
        self.process: subprocess.Popen | None = None
        self.is_wanted = False
        self.starts = 0
        self.failed_starts = 0
        self.lock = threading.Lock()

    def start(self) -> None:
        with self.lock:
            log = self.log_path.open("ab")
            self.process = subprocess.Popen(
                [self.binary, "serve"],
                cwd=self.folder,
                env=self.variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            log.close()
            self.starts += 1
            self.is_wanted = True

    def kill(self) -> None:
        with self.lock:
            self.is_wanted = False
            self.process.kill()
            self.process.wait()

    def terminate(self) -> None:
        """Stops the server in order. Anything but status 0 within the promised time is a violation."""
        with self.lock:
            self.is_wanted = False
            if self.process.poll() is not None:
                return
            has_started = self.accepts()
            begun = time.monotonic()
            self.process.terminate()
            try:
                status = self.process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self.problems.append(f"server {self.number} did not stop within {STOP_TIMEOUT:.0f} s of SIGTERM")
                self.process.kill()
                self.process.wait()
                return
            # A process that has not installed its handler yet ends by the signal.
            if status != 0 and has_started:
                took = time.monotonic() - begun
                self.problems.append(f"server {self.number} ended with status {status}, {took:.1f} s after SIGTERM")

    def freeze(self, seconds: float) -> None:
        self.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.process.send_signal(signal.SIGCONT)

    def accepts(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def revive(self, database_was_away: bool) -> None:
        """Starts the server again if it ended by itself, which it may do only while the database is away."""
        with self.lock:
            if not self.is_wanted or self.process.poll() is None:
                return
            self.is_wanted = False
            status = self.process.returncode
        if database_was_away:
            self.failed_starts += 1
        else:
            self.problems.append(f"server {self.number} ended by itself with status {status}: see {self.log_path}")
        time.sleep(0.2)
        self.start()


class Postgres:
    """The cluster of `.ci/with-postgres`, controlled by the command in TEST_POSTGRES_PG_CTL."""

    def __init__(self, url: str, control: str):
        self.url, self.command = url, shlex.split(control)
        self.is_down = False
        self.away_until = 0.0

    def control(self, *arguments: str) -> subprocess.CompletedProcess:
        # In `/`, because the user of the database may lack access to the current directory.
        return subprocess.run(
            [*self.command, *arguments],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )

    def stop(self, mode: str) -> None:
        self.is_down = True
        self.control("stop", f"--mode={mode}", "--wait", "--timeout=60")

    def kill(self) -> None:
        self.is_down = True
        status = self.control("status").stdout
        os.kill(int(status.split("PID: ")[1].split(")")[0]), signal.SIGKILL)

    def kill_backend(self, rng) -> None:
        sessions = "backend_type = 'client backend' AND pid <> pg_backend_pid()"
        query = f"SELECT pid FROM pg_stat_activity WHERE {sessions} ORDER BY pid"
        listed = subprocess.run(
            ["psql", "--no-psqlrc", "--tuples-only", "--no-align", self.url, "--command", query],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
        )
        if pids := listed.stdout.split():
            os.kill(int(rng.choice(pids)), signal.SIGKILL)
            self.away_until = time.monotonic() + 10

    def start(self) -> None:
        """Starts the cluster with its previous options. After a kill, its children must end first."""
        deadline = time.monotonic() + 60
        while True:
            # Only `restart` remembers the options, and it also starts a cluster that is down.
            result = self.control("restart", "--mode=immediate", "--wait", "--timeout=60")
            if result.returncode == 0:
                break
            if time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL does not start: {result.stdout}")
            time.sleep(0.3)
        self.is_down = False
        self.away_until = time.monotonic() + 10

    def was_away(self) -> bool:
        return self.is_down or time.monotonic() < self.away_until


class Supervisor(threading.Thread):
    """Starts servers again that ended by themselves, and carries out faults."""

    def __init__(self, instances: list[Instance], postgres: Postgres | None, rng):
        super().__init__(daemon=True)
        self.instances, self.postgres, self.rng = instances, postgres, rng
        self.is_done = threading.Event()

    def run(self) -> None:
        while not self.is_done.wait(0.1):
            for instance in self.instances:
                instance.revive(self.postgres is not None and self.postgres.was_away())

    def inflict(self, fault) -> None:
        instance = self.instances[fault.instance]
        if fault.kind == "kill":
            instance.kill()
        elif fault.kind == "terminate":
            instance.terminate()
        elif fault.kind == "freeze":
            instance.freeze(fault.pause)
            return
        elif fault.kind == "backend kill":
            self.postgres.kill_backend(self.rng)
            return
        else:
            if fault.kind == "kill everything":
                for each in self.instances:
                    each.kill()
            if fault.kind in ("database crash", "database restart"):
                self.postgres.stop("immediate" if fault.kind == "database crash" else "fast")
            else:
                self.postgres.kill()
        time.sleep(fault.pause)
        if fault.kind not in ("kill", "terminate"):
            self.postgres.start()
        for each in self.instances:
            if not each.is_wanted:
                each.start()

    def stop_all(self) -> None:
        self.is_done.set()
        self.join()
        for instance in self.instances:
            instance.terminate()
