"""Readers of the feed: streams, polls, and a receiver of webhooks."""

import base64
import hashlib
import hmac
import http.client
import http.server
import json
import threading
import time

from api import Api


def digest(event: dict) -> str:
    """Digest of the JSON value of an event, which is the same in every reader."""
    return hashlib.sha256(json.dumps(event, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


class Reader(threading.Thread):
    """Keeps all that one reader received, in order, over all its connections."""

    def __init__(self, name: str, api: Api, project: str | None, cursor: str, begin: int):
        super().__init__(name=name, daemon=True)
        self.api, self.project, self.cursor, self.begin = api, project, cursor, begin
        self.own_project = project
        self.received: list[tuple[int, str, str]] = []
        self.connections = 0
        self.stop = threading.Event()
        self.failure: str | None = None

    def run(self) -> None:
        while not self.stop.is_set():
            try:
                self.read()
            except (OSError, http.client.HTTPException, ValueError):
                # Also a line that was cut off by the end of the server.
                time.sleep(0.1)
            except Exception as error:  # noqa: BLE001 - reported with the results of the run
                self.failure = f"{self.name}: {type(error).__name__}: {error}"
                return

    def keep(self, event: dict) -> None:
        self.received.append((event["sequence"], event["id"], digest(event)))

    def last(self) -> int:
        return self.received[-1][0] if self.received else self.begin

    def result(self) -> dict:
        return {
            "name": self.name,
            "user": self.api.user_id,
            "project": self.project,
            "begin": self.begin,
            "received": self.received,
            "connections": self.connections,
        }


class Poller(Reader):
    """Polls `listEvents` with pages of random size."""

    def read(self) -> None:
        project = f"&project_id={self.project}" if self.project else ""
        page = self.api.read(f"/v1/events?limit={self.api.rng.randrange(1, 101)}&cursor={self.cursor}{project}")
        self.connections += 1
        for event in page["data"]:
            self.keep(event)
        self.cursor = page["meta"]["next_cursor"]
        if not page["meta"]["has_more"]:
            self.stop.wait(self.api.rng.uniform(0.1, 1.0))


class Streamer(Reader):
    """Follows `streamEvents`, resumes after the last event, and sometimes hangs up."""

    def read(self) -> None:
        port = self.api.rng.choice(self.api.ports)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        project = f"?project_id={self.project}" if self.project else ""
        headers = {"Authorization": f"Bearer {self.api.token}", "Last-Event-ID": self.cursor}
        try:
            connection.request("GET", f"/v1/events/stream{project}", headers=headers)
            response = connection.getresponse()
            if response.status != 200:
                text = response.read().decode()
                if response.status not in (429, 500, 503, 504):
                    raise RuntimeError(f"the stream was refused with {response.status}: {text}")
                time.sleep(0.2)
                return
            self.connections += 1
            fields: dict[str, str] = {}
            while not self.stop.is_set():
                line = response.readline()
                if not line.endswith(b"\n"):
                    return
                line = line.decode().rstrip("\n")
                if line == "":
                    self.dispatch(fields)
                    fields = {}
                    if self.api.rng.random() < 0.001:
                        return
                elif not line.startswith(":"):
                    name, _, value = line.partition(": ")
                    fields[name] = value
        finally:
            connection.close()

    def dispatch(self, fields: dict) -> None:
        if "data" in fields and fields["data"]:
            self.keep(json.loads(fields["data"]))
        # As browsers do: the id counts when its message is complete.
        self.cursor = fields.get("id", self.cursor)


class Receiver:
    """Receives webhooks. Some messages are refused, answered late or not at all; these must come again."""

    def __init__(self, port: int, rng):
        self.port, self.rng = port, rng
        self.lock = threading.Lock()
        self.secrets: dict[str, str] = {}  # of a path
        self.accepted: dict[str, list[tuple[int | None, str, str]]] = {}
        self.problems: list[str] = []
        self.refused = 0
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.receive(self.path, self.headers, body)
                if status is None:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 128

            def handle_error(self, *arguments) -> None:
                # The sender may end while it waits for the answer.
                pass

        self.server = Server(("127.0.0.1", port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"

    def receive(self, path: str, headers, body: bytes) -> int | None:
        dice = self.rng.random()
        with self.lock:
            secret = self.secrets.get(path)
            if secret is None:
                # A webhook of the load itself, whose secret changes.
                return 204
            problem = self.problem(secret, headers, body)
            if problem:
                self.problems.append(f"{path}: {problem}")
            if dice < 0.03:
                self.refused += 1
            else:
                event = json.loads(body)
                self.accepted[path].append((event["sequence"], headers["webhook-id"], digest(event)))
        if dice < 0.02:
            return 500
        if dice < 0.03:
            return None
        if dice < 0.04:
            time.sleep(1)
        return 204

    @staticmethod
    def problem(secret: str, headers, body: bytes) -> str | None:
        identity, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = f"{identity}.{timestamp}.".encode() + body
        expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        if expected not in headers["webhook-signature"].split():
            return f"the signature of {identity} is wrong"
        if abs(int(timestamp) - time.time()) > 60:
            return f"the timestamp of {identity} is {timestamp}"
        if json.loads(body)["id"] != identity:
            return f"webhook-id {identity} is not the id of the event"
        return None
