"""Schemathesis hooks: what the OpenAPI document cannot express about this API.

`tests/fuzz/run` sets the environment: FUZZ_URL (the server), FUZZ_TOKEN and FUZZ_USER_ID (the account of nearly all
requests).
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


# String formats. Schemathesis generates arbitrary text for unknown formats, which validation would reject.

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
# ASCII only: the limit of 72 counts bytes, the limit in the schema counts characters.
PRINTABLE = string.ascii_letters + string.digits + string.punctuation + " "
LOCAL_PART = st.text(string.ascii_letters + string.digits, min_size=1, max_size=32)
DOMAIN = st.sampled_from(["example.com", "example.org", "mail.example.net", "xn--bcher-kva.example"])

schemathesis.openapi.format("iana-time-zone", st.sampled_from(ZONES))
# Weak passwords are refused, which the schema cannot express.
schemathesis.openapi.format("password", st.text(PRINTABLE, max_size=58).map("correct horse {}".format))
schemathesis.openapi.format("email", st.builds("{}@{}".format, LOCAL_PART, DOMAIN))


# Callers. One account makes all requests, except those that would end its session.


def call(method: str, path: str, body: dict | None = None, token: str = "") -> dict:
    """Sends a request that must succeed, to set up the test."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, method=method, data=data, headers=headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        text = response.read()
    return json.loads(text) if text else {}


def register() -> tuple[str, str]:
    """Creates an account and returns its e-mail address and an access token."""
    email = f"fuzz-{uuid.uuid4()}@example.com"
    session = call("POST", "/v1/auth/register", {"email": email, "name": "Fuzz", "password": PASSWORD})
    return email, session["access_token"]


SESSIONS_EMAIL, _ = register()


def new_session() -> str:
    """Starts a session of the account whose sessions may be ended."""
    credentials = {"email": SESSIONS_EMAIL, "password": PASSWORD}
    return call("POST", "/v1/auth/login", credentials)["access_token"]


def new_account() -> str:
    """Creates an account that no other request uses and returns its access token."""
    return register()[1]


# Duration of event streams, which end with their token.
STREAM = datetime.timedelta(milliseconds=700)


def new_short_token() -> str:
    """Creates a token that expires after `STREAM`."""
    end = datetime.datetime.now(datetime.UTC) + STREAM
    token = {"name": "A moment", "scopes": ["read"], "expires_at": end.isoformat(timespec="milliseconds")}
    # In a separate account, because the number of tokens per account is limited.
    return call("POST", "/v1/me/api-tokens", token, new_account())["token"]


CALLERS = {
    "streamEvents": new_short_token,
    # Listing and revoking sessions use the same account.
    "listSessions": new_session,
    "revokeSession": new_session,
    "logout": new_session,
    "changePassword": new_account,
    "deleteMe": new_account,
    # Their number per account is limited.
    "createApiToken": new_account,
    "createWebhook": new_account,
}


def operation_id(operation) -> str | None:
    return operation.definition.raw.get("operationId")


@schemathesis.auth(refresh_interval=None)
class Caller:
    """Authenticates requests to operations that require it."""

    def get(self, case, context):
        if not context.operation.definition.raw.get("security"):
            return None
        caller = CALLERS.get(operation_id(context.operation))
        return caller() if caller else TOKEN

    def set(self, case, data, context):
        case.headers["Authorization"] = f"Bearer {data}"


# Existing resources. Schemathesis reuses ids from earlier responses. Otherwise it generates random UUIDs, which would
# always be 404.


def new_project(token: str = TOKEN) -> str:
    return call("POST", "/v1/projects", {"name": "Fuzz"}, token)["id"]


def new_task() -> str:
    return call("POST", f"/v1/projects/{new_project()}/tasks", {"title": "Fuzz"}, TOKEN)["id"]


def new_comment() -> str:
    return call("POST", f"/v1/tasks/{new_task()}/comments", {"body": "Fuzz"}, TOKEN)["id"]


# A host that never resolves (RFC 6761).
UNREACHABLE_URL = "https://hook.invalid/"


def new_webhook() -> str:
    """Creates a disabled webhook for test events only, to an unreachable URL."""
    webhook = {"url": UNREACHABLE_URL, "events": ["webhook.test"], "enabled": False}
    return call("POST", "/v1/webhooks", webhook, TOKEN)["id"]


WEBHOOK = new_webhook()


def shared_webhook() -> str:
    """Returns the webhook shared by all operations that do not delete one: their number per account is limited."""
    global WEBHOOK
    # Schemathesis may have found its id in a list and deleted it.
    if not any(webhook["id"] == WEBHOOK for webhook in call("GET", "/v1/webhooks?limit=100", token=TOKEN)["data"]):
        WEBHOOK = new_webhook()
    return WEBHOOK


def new_delivery() -> dict[str, str]:
    """Creates a delivery and returns its path parameters."""
    webhook = shared_webhook()
    return {"webhook_id": webhook, "delivery_id": call("POST", f"/v1/webhooks/{webhook}/test", token=TOKEN)["id"]}


def invite(project: str, email: str, token: str = TOKEN) -> str:
    body = {"email": email, "role": "editor"}
    return call("POST", f"/v1/projects/{project}/invitations", body, token)["id"]


def new_invitation() -> dict[str, str]:
    """Creates an invitation and returns the path parameters for revoking it."""
    project = new_project()
    return {"project_id": project, "invitation_id": invite(project, "fuzz@example.com")}


def new_invitation_to_the_account() -> dict[str, str]:
    """Creates an invitation from another account to this one."""
    token = new_account()
    return {"invitation_id": invite(new_project(token), EMAIL, token)}


def new_member() -> dict[str, str]:
    """Adds another account to a project."""
    project = new_project()
    email, token = register()
    member = call("POST", f"/v1/invitations/{invite(project, email)}/accept", token=token)
    return {"project_id": project, "user_id": member["user_id"]}


EMAIL = call("GET", "/v1/me", token=TOKEN)["email"]

# Factories for path parameters. The project is last, because resources in a project bring their own.
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

# Collections from which restorable resources are deleted.
COLLECTIONS = {"restoreProject": "/v1/projects", "restoreTask": "/v1/tasks"}


def is_kept(value) -> bool:
    """Returns true for a quarter of all values. Depends on the value only, so that failures are reproducible."""
    return zlib.crc32(str(value).encode()) % 4 == 0


def use_existing_resources(case) -> None:
    operation, path = operation_id(case.operation), case.path_parameters
    done = {draw.parameter_name for draw in case.meta.pool_draws}
    for name, create in EXISTING.items():
        if name not in path or name in done or is_kept(path[name]):
            continue
        created = create(operation)
        path.update(created)
        done.update(created)
        if operation in COLLECTIONS:
            call("DELETE", f"{COLLECTIONS[operation]}/{path[name]}", token=TOKEN)


# Rules that no schema can express. Requests that are meant to be valid are adjusted to them, so that they pass
# validation. Where a request still breaks one of these rules, a rejection is correct.


@schemathesis.hook
def map_case(context, case):
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return case
    # In the stateful phase, ids come from previous steps.
    if case.meta.phase.name != TestPhase.STATEFUL and isinstance(case.path_parameters, dict):
        use_existing_resources(case)
    query = case.query if isinstance(case.query, dict) else {}
    body = case.body if isinstance(case.body, dict) else {}
    # Drop parameters that were null in a previous response.
    for name in [name for name, value in query.items() if value is None]:
        del query[name]
    if "page" in query and "offset" in query:
        del query["offset"]
    # Random cursors, tags and keys are invalid: mostly omit the cursor, match any tag, and use a new key.
    if "cursor" in query and not is_kept(query["cursor"]):
        del query["cursor"]
    for name, valid in {"If-Match": "*", "Idempotency-Key": str(uuid.uuid4())}.items():
        if name in case.headers and not is_kept(case.headers[name]):
            case.headers[name] = valid
    if query.get("assignee_id") not in (None, "me", "none"):
        query["assignee_id"] = USER_ID
    # The caller is the only user who is certainly a member.
    if body.get("assignee_id") is not None:
        body["assignee_id"] = USER_ID
    if body.get("expires_at") is not None:
        body["expires_at"] = "2999-01-01T00:00:00Z"
    # Random URLs are rarely allowed for webhooks.
    if operation_id(case.operation) in {"createWebhook", "updateWebhook"} and "url" in body and not is_kept(body["url"]):
        body["url"] = UNREACHABLE_URL
    if operation_id(case.operation) == "changePassword" and "current_password" in body:
        body["current_password"] = PASSWORD
    return case


BEYOND_THE_SCHEMA = {
    "conflict",  # mutually exclusive parameters
    "duplicate",  # labels that are equal after trimming
    "incorrect",  # wrong current password
    "reference",  # unknown id
}


REJECTIONS_BEYOND_THE_SCHEMA = {
    # The validity of cursors, tags, keys and mailed tokens depends on previous requests.
    "INVALID_CURSOR",
    "INVALID_TOKEN",
    "PRECONDITION_FAILED",
    "IDEMPOTENCY_KEY_REUSED",
    # URLs are parsed as in browsers, and must not lead to a private network.
    "WEBHOOK_URL_FORBIDDEN",
}


def breaks_only_rules_beyond_the_schema(response) -> bool:
    try:
        body = json.loads(response.content)
        if body["error"] in REJECTIONS_BEYOND_THE_SCHEMA:
            return True
        # The example of a time is in the past, and `expires_at` must be in the future.
        details = [detail for detail in body["details"] if (detail["field"], detail["code"]) != ("expires_at", "minimum")]
        codes = {detail["code"] for detail in details}
    except (ValueError, KeyError, TypeError):
        return False
    return bool(body["details"]) and codes <= BEYOND_THE_SCHEMA


# Schemathesis considers every text an invalid value of a format that it does not know.
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


# Ids that exist again after a deletion.
RESTORED: set[str] = set()


@schemathesis.hook
def after_call(context, case, response):
    if (operation_id(case.operation) or "").startswith("restore") and response.status_code == 200:
        RESTORED.update(str(value) for value in case.path_parameters.values())


def was_restored(case) -> bool:
    return any(str(value) in RESTORED for value in (case.path_parameters or {}).values())


def is_no_longer_pending(response) -> bool:
    """Returns whether an invitation was rejected with 409: revoked invitations still exist."""
    return response.status_code == 409 and b"INVITATION_NOT_PENDING" in response.content


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Drops failures that are caused by rules beyond the schema."""
    if isinstance(failure, RejectedPositiveData):
        return not breaks_only_rules_beyond_the_schema(response)
    if isinstance(failure, AcceptedNegativeData):
        return not has_a_valid_body_after_all(case)
    if isinstance(failure, UseAfterFree):
        return not was_restored(case) and not is_no_longer_pending(response)
    return True
