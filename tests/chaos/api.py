"""Requests that are repeated until they are answered, and recorded with every attempt."""

import http.client
import json
import random
import threading
import time

# A request that is still not answered this long after its first attempt is a violation.
ANSWER_TIMEOUT = 150.0
ATTEMPT_TIMEOUT = 12.0
RETRIED_STATUSES = {408, 429, 500, 502, 503, 504}


# Where these change nothing, they do not use up their key.
CAN_CHANGE_NOTHING = {"restoreTask", "restoreProject", "moveTask", "updateMember"}


def can_be_repeated(record: dict) -> bool:
    """Returns whether a request has a stored answer."""
    is_first = record["operation"] not in CAN_CHANGE_NOTHING | {"repeat"}
    return is_first and record["key"] is not None and record["status"] in (200, 201, 204)


class Unanswered(Exception):
    pass


class Records:
    """Everything that clients sent and received."""

    def __init__(self):
        self.lock = threading.Lock()
        self.requests: list[dict] = []
        self.internal_errors: list[str] = []

    def add(self, record: dict) -> None:
        with self.lock:
            self.requests.append(record)


class Api:
    """A user of the API. It switches to another server after a failure."""

    def __init__(self, name: str, ports: list[int], records: Records, seed: int):
        self.name, self.ports, self.records = name, ports, records
        self.rng = random.Random(f"{seed}/{name}")
        self.token: str | None = None
        self.user_id: str | None = None
        self.count = 0
        self.target = self.rng.randrange(len(ports))
        self.connections: dict[int, http.client.HTTPConnection] = {}

    def call(
        self,
        operation: str,
        method: str,
        path: str,
        body=None,
        *,
        key: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        is_impatient: bool = False,
        is_recorded: bool = True,
    ) -> dict:
        """Sends a request until it has an answer that is final, and returns its record."""
        self.count += 1
        record = {
            "client": self.name,
            "user": self.user_id,
            "operation": operation,
            "method": method,
            "path": path,
            "body": body,
            "key": key,
            "if_match": if_match,
            "if_none_match": if_none_match,
            # The same id on each attempt: each event of the request has it.
            "request_id": f"{self.name}-{self.count}",
            "attempts": [],
            "begin": time.monotonic(),
        }
        self.send(record, is_impatient)
        if is_recorded:
            self.records.add(record)
        if record["status"] is None:
            raise Unanswered(f"{method} {path}: {record['attempts'][-3:]}")
        return record

    def send(self, record: dict, is_impatient: bool) -> None:
        headers = {"X-Request-Id": record["request_id"]}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        for name, value in (
            ("Idempotency-Key", record["key"]),
            ("If-Match", record["if_match"]),
            ("If-None-Match", record["if_none_match"]),
        ):
            if value is not None:
                headers[name] = value
        data = None
        if record["body"] is not None:
            data = json.dumps(record["body"]).encode()
            headers["Content-Type"] = "application/json"
        deadline = record["begin"] + ANSWER_TIMEOUT
        record["status"] = None
        while time.monotonic() < deadline:
            begun = time.monotonic()
            outcome = self.attempt(record["method"], record["path"], data, headers, is_impatient)
            # An impatient client hangs up once, before it reads the answer.
            is_impatient = False
            record["attempts"].append([outcome["outcome"], self.target, round(time.monotonic() - begun, 3)])
            if outcome["outcome"] not in ("lost", "refused", "busy"):
                record.update(outcome, end=time.monotonic())
                del record["outcome"]
                return
            self.target = self.rng.randrange(len(self.ports))
            time.sleep(0.02 if outcome["outcome"] == "lost" else 0.1)

    def repeat(self, original: dict) -> None:
        """Sends an answered request again. The record of the answer is compared with the first one."""
        fields = ("client", "user", "method", "path", "body", "key", "if_match", "if_none_match", "request_id")
        record = {field: original[field] for field in fields}
        record |= {"operation": "repeat", "of": original["operation"], "attempts": [], "begin": time.monotonic()}
        self.send(record, False)
        self.records.add(record)

    def attempt(self, method: str, path: str, data, headers: dict, hangs_up: bool) -> dict:
        connection = self.connections.get(self.target)
        if connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.ports[self.target], timeout=ATTEMPT_TIMEOUT)
            self.connections[self.target] = connection
        try:
            connection.request(method, path, data, headers)
            if hangs_up:
                time.sleep(self.rng.uniform(0, 0.01))
                raise ConnectionAbortedError
            response = connection.getresponse()
            text = response.read().decode()
        except ConnectionRefusedError:
            self.drop_connection()
            return {"outcome": "refused"}
        except (OSError, http.client.HTTPException):
            self.drop_connection()
            return {"outcome": "lost"}
        if response.status in RETRIED_STATUSES or (response.status == 409 and "IDEMPOTENCY_IN_PROGRESS" in text):
            if response.status == 500:
                self.records.internal_errors.append(f"{method} {path}: {text}")
            return {"outcome": "busy"}
        return {
            "outcome": response.status,
            "status": response.status,
            "text": text,
            "etag": response.headers["ETag"],
            "location": response.headers["Location"],
            "replayed": response.headers["Idempotency-Replayed"] == "true",
        }

    def drop_connection(self) -> None:
        self.connections.pop(self.target).close()

    def register(self, email: str, password: str) -> dict:
        """Creates the account, or logs in if a lost answer had created it."""
        account = {"email": email, "name": self.name, "password": password}
        record = self.call("register", "POST", "/v1/auth/register", account)
        if record["status"] == 409:
            record = self.call("login", "POST", "/v1/auth/login", {"email": email, "password": password})
        session = json.loads(record["text"])
        self.token, self.user_id = session["access_token"], session["user"]["id"]
        return session

    def pages(self, path: str) -> list[dict]:
        """Reads a list of version 1 to its end."""
        found: list[dict] = []
        while True:
            mark = "&" if "?" in path else "?"
            page = self.read(f"{path}{mark}limit=100&offset={len(found)}")
            found += page["data"]
            if not page["meta"]["has_more"]:
                return found

    def read(self, path: str) -> dict:
        record = self.call("read", "GET", path, is_recorded=False)
        if record["status"] != 200:
            raise RuntimeError(f"GET {path} returned {record['status']}: {record['text']}")
        return json.loads(record["text"])

    def feed(self, cursor: str | None = None) -> list[dict]:
        """Reads the feed to its end."""
        found: list[dict] = []
        while True:
            after = f"&cursor={cursor}" if cursor else ""
            page = self.read(f"/v1/events?limit=100{after}")
            found += page["data"]
            cursor = page["meta"]["next_cursor"]
            if not page["meta"]["has_more"]:
                return found
