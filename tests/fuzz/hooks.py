"""What Schemathesis has to know about this API beyond its OpenAPI document.

`tests/fuzz/run` sets the environment: FUZZ_URL (the server), FUZZ_TOKEN and FUZZ_USER_ID (the account under which
nearly all requests go).
"""

import datetime
import json
import os
import string
import urllib.request
import uuid
import zlib

import jsonschema_rs
import schemathesis
from hypothesis import strategies as st
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.meta import TestPhase
from schemathesis.openapi.checks import RejectedPositiveData, UseAfterFree

URL = os.environ["FUZZ_URL"]
TOKEN = os.environ["FUZZ_TOKEN"]
USER_ID = os.environ["FUZZ_USER_ID"]

PASSWORD = "correct horse battery"


# String formats. For those it does not know Schemathesis would draw any text, and get no further than the validation.

ZONES = [
    "UTC",
    "Africa/Nairobi",
    "America/Argentina/Buenos_Aires",
    "America/New_York",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Asia/Tokyo",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Europe/London",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
]
# Printable ASCII, of which a character is a byte: the limit of 72 counts bytes, that of the schema characters.
PRINTABLE = string.ascii_letters + string.digits + string.punctuation + " "
LOCAL_PART = st.text(string.ascii_letters + string.digits, min_size=1, max_size=32)
DOMAIN = st.sampled_from(["example.com", "example.org", "mail.example.net", "xn--bcher-kva.example"])

schemathesis.openapi.format("iana-time-zone", st.sampled_from(ZONES))
schemathesis.openapi.format("password", st.text(PRINTABLE, min_size=8, max_size=72))
schemathesis.openapi.format("email", st.builds("{}@{}".format, LOCAL_PART, DOMAIN))


# Callers. One account makes the requests, except for those that would end its session: after them all would be 401.


def call(method: str, path: str, body: dict | None = None, token: str = "") -> dict:
    """Makes a request that the test itself needs, and that must succeed."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, method=method, data=data, headers=headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        text = response.read()
    return json.loads(text) if text else {}


def register() -> tuple[str, str]:
    """Makes an account; gives its address and an access token."""
    email = f"fuzz-{uuid.uuid4()}@example.com"
    session = call("POST", "/v1/auth/register", {"email": email, "name": "Fuzz", "password": PASSWORD})
    return email, session["access_token"]


SESSIONS_EMAIL, _ = register()


def new_session() -> str:
    """Begins a session of the account whose sessions may be ended."""
    credentials = {"email": SESSIONS_EMAIL, "password": PASSWORD}
    return call("POST", "/v1/auth/login", credentials)["access_token"]


def new_account() -> str:
    """Begins the only session of an account that no other request uses."""
    return register()[1]


# How long a stream of events lasts here: it ends with its token.
STREAM = datetime.timedelta(milliseconds=700)


def new_short_token() -> str:
    """Makes a token that ends before anybody waits for long."""
    end = datetime.datetime.now(datetime.UTC) + STREAM
    token = {"name": "A moment", "scopes": ["read"], "expires_at": end.isoformat(timespec="milliseconds")}
    # Of an account of its own, which may have only so many.
    return call("POST", "/v1/me/api-tokens", token, new_account())["token"]


CALLERS = {
    "streamEvents": new_short_token,
    # The listed sessions are the ones to revoke: both see the same account.
    "listSessions": new_session,
    "revokeSession": new_session,
    "logout": new_session,
    "changePassword": new_account,
    "deleteMe": new_account,
    # An account may have only so many.
    "createApiToken": new_account,
    "createWebhook": new_account,
}


def operation_id(operation) -> str | None:
    return operation.definition.raw.get("operationId")


@schemathesis.auth(refresh_interval=None)
class Caller:
    """Signs requests to the operations that ask for it."""

    def get(self, case, context):
        if not context.operation.definition.raw.get("security"):
            return None
        caller = CALLERS.get(operation_id(context.operation))
        return caller() if caller else TOKEN

    def set(self, case, data, context):
        case.headers["Authorization"] = f"Bearer {data}"


# Existing resources. Schemathesis knows the ids in the answers it has seen; where it had none to take, its random UUID
# is the id of nothing, and the answer would be 404 every time.


def new_project(token: str = TOKEN) -> str:
    return call("POST", "/v1/projects", {"name": "Fuzz"}, token)["id"]


def new_task() -> str:
    return call("POST", f"/v1/projects/{new_project()}/tasks", {"title": "Fuzz"}, TOKEN)["id"]


def new_comment() -> str:
    return call("POST", f"/v1/tasks/{new_task()}/comments", {"body": "Fuzz"}, TOKEN)["id"]


# A host that by its very name is not there (RFC 6761).
NOWHERE = "https://hook.invalid/"


def new_webhook() -> str:
    """Makes a webhook of an account that has nothing happen, so that nothing is sent but tests, and those to nowhere."""
    webhook = {"url": NOWHERE, "events": ["webhook.test"], "enabled": False}
    return call("POST", "/v1/webhooks", webhook, TOKEN)["id"]


WEBHOOK = new_webhook()


def shared_webhook() -> str:
    """The webhook that serves all but the operations that end one: an account may have only so many."""
    global WEBHOOK
    # Its id is in the lists, out of which Schemathesis may have taken it to delete it.
    if not any(webhook["id"] == WEBHOOK for webhook in call("GET", "/v1/webhooks?limit=100", token=TOKEN)["data"]):
        WEBHOOK = new_webhook()
    return WEBHOOK


def new_delivery() -> dict[str, str]:
    """Makes a delivery; gives what names it in a path."""
    webhook = shared_webhook()
    return {"webhook_id": webhook, "delivery_id": call("POST", f"/v1/webhooks/{webhook}/test", token=TOKEN)["id"]}


def invite(project: str, email: str, token: str = TOKEN) -> str:
    body = {"email": email, "role": "editor"}
    return call("POST", f"/v1/projects/{project}/invitations", body, token)["id"]


def new_invitation() -> dict[str, str]:
    """Invites somebody; gives what names the invitation in the path of who takes it back."""
    project = new_project()
    return {"project_id": project, "invitation_id": invite(project, "fuzz@example.com")}


def new_invitation_to_the_account() -> dict[str, str]:
    """Has the account be invited by another one."""
    token = new_account()
    return {"invitation_id": invite(new_project(token), EMAIL, token)}


def new_member() -> dict[str, str]:
    """Makes another account a member of a project."""
    project = new_project()
    email, token = register()
    member = call("POST", f"/v1/invitations/{invite(project, email)}/accept", token=token)
    return {"project_id": project, "user_id": member["user_id"]}


EMAIL = call("GET", "/v1/me", token=TOKEN)["email"]

# What makes the resources that a path names. The project comes last, because what is in one brings its own.
EXISTING = {
    "user_id": lambda _: new_member(),
    "invitation_id": lambda operation: (
        new_invitation() if operation == "revokeInvitation" else new_invitation_to_the_account()
    ),
    "comment_id": lambda _: {"comment_id": new_comment()},
    "delivery_id": lambda _: new_delivery(),
    "webhook_id": lambda operation: {"webhook_id": new_webhook() if operation == "deleteWebhook" else shared_webhook()},
    "task_id": lambda _: {"task_id": new_task()},
    "project_id": lambda _: {"project_id": new_project()},
}

# Where what can be restored is deleted.
COLLECTIONS = {"restoreProject": "/v1/projects", "restoreTask": "/v1/tasks"}


def stays(value) -> bool:
    """A quarter stays as it is. The choice hangs on the value alone, so that a failing case fails again."""
    return zlib.crc32(str(value).encode()) % 4 == 0


def name_something_that_exists(case) -> None:
    operation, path = operation_id(case.operation), case.path_parameters
    done = {draw.parameter_name for draw in case.meta.pool_draws}
    for name, create in EXISTING.items():
        if name not in path or name in done or stays(path[name]):
            continue
        created = create(operation)
        path.update(created)
        done.update(created)
        if operation in COLLECTIONS:
            call("DELETE", f"{COLLECTIONS[operation]}/{path[name]}", token=TOKEN)


# Rules that no schema can express. Where a request is meant to be valid it is made to keep them, so that it gets
# further than the validation; where it breaks one of them nevertheless, being refused is right.


@schemathesis.hook
def map_case(context, case):
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return case
    # In the stateful phase the ids come from the steps before.
    if case.meta.phase.name != TestPhase.STATEFUL and isinstance(case.path_parameters, dict):
        name_something_that_exists(case)
    query = case.query if isinstance(case.query, dict) else {}
    body = case.body if isinstance(case.body, dict) else {}
    # What was null in the answer of a step before is nothing to ask for.
    for name in [name for name, value in query.items() if value is None]:
        del query[name]
    if "page" in query and "offset" in query:
        del query["offset"]
    # No cursor, tag or key is right by chance: most walks begin, most tags name whatever is there, most keys are new.
    if "cursor" in query and not stays(query["cursor"]):
        del query["cursor"]
    for name, good in {"If-Match": "*", "Idempotency-Key": str(uuid.uuid4())}.items():
        if name in case.headers and not stays(case.headers[name]):
            case.headers[name] = good
    if query.get("assignee_id") not in (None, "me", "none"):
        query["assignee_id"] = USER_ID
    # Of hardly anybody else is it certain that they are a member.
    if body.get("assignee_id") is not None:
        body["assignee_id"] = USER_ID
    if body.get("expires_at") is not None:
        body["expires_at"] = "2999-01-01T00:00:00Z"
    # Hardly any text is an address to which webhooks may be sent.
    if operation_id(case.operation) in {"createWebhook", "updateWebhook"} and "url" in body and not stays(body["url"]):
        body["url"] = NOWHERE
    if operation_id(case.operation) == "changePassword" and "current_password" in body:
        body["current_password"] = PASSWORD
    return case


BEYOND_THE_SCHEMA = {
    "conflict",  # two parameters that exclude each other
    "duplicate",  # labels that are the same once they are trimmed
    "incorrect",  # not the current password
    "reference",  # an id of nothing that the caller may use
}


REFUSALS_BEYOND_THE_SCHEMA = {
    # What is wrong with a cursor, a tag, a key or a token from a mail depends on what was before.
    "INVALID_CURSOR",
    "INVALID_TOKEN",
    "PRECONDITION_FAILED",
    "IDEMPOTENCY_KEY_REUSED",
    # The address is read as browsers read it, and is not to lead into a network that is not public.
    "WEBHOOK_URL_FORBIDDEN",
}


def breaks_only_rules_beyond_the_schema(response) -> bool:
    try:
        body = json.loads(response.content)
        if body["error"] in REFUSALS_BEYOND_THE_SCHEMA:
            return True
        # The example of a time has passed, which is nothing for a time to come.
        details = [detail for detail in body["details"] if (detail["field"], detail["code"]) != ("expires_at", "minimum")]
        codes = {detail["code"] for detail in details}
    except (ValueError, KeyError, TypeError):
        return False
    return bool(body["details"]) and codes <= BEYOND_THE_SCHEMA


# Where Schemathesis breaks a format, it takes every text for a breach of the formats that it does not know itself.
FORMATS = {"iana-time-zone": ZONES.__contains__, "password": lambda text: len(text.encode()) <= 72}


def has_a_valid_body_after_all(case) -> bool:
    negative = [location for location in case.meta.components if case.meta.is_negative_at(location)]
    if negative != [ParameterLocation.BODY] or not isinstance(case.body, dict):
        return False
    declared = case.operation.get_body_for_media_type(case.media_type)
    if declared is None:
        return False
    validator = jsonschema_rs.Draft202012Validator(declared.validation_schema, formats=FORMATS, validate_formats=True)
    return validator.is_valid(case.body)


# What was deleted and restored is there again.
RESTORED: set[str] = set()


@schemathesis.hook
def after_call(context, case, response):
    if (operation_id(case.operation) or "").startswith("restore") and response.status_code == 200:
        RESTORED.update(str(value) for value in case.path_parameters.values())


def was_restored(case) -> bool:
    return any(str(value) in RESTORED for value in (case.path_parameters or {}).values())


def is_no_longer_pending(response) -> bool:
    """An invitation that was taken back is there, and cannot be taken back again or answered."""
    return response.status_code == 409 and b"INVITATION_NOT_PENDING" in response.content


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Keeps a failure, unless it is one of what Schemathesis cannot know."""
    if isinstance(failure, RejectedPositiveData):
        return not breaks_only_rules_beyond_the_schema(response)
    if isinstance(failure, AcceptedNegativeData):
        return not has_a_valid_body_after_all(case)
    if isinstance(failure, UseAfterFree):
        return not was_restored(case) and not is_no_longer_pending(response)
    return True
