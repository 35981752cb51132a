import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

TOLERANCE_SECONDS = 5 * 60


def verify(secret: str, headers: Mapping[str, str], body: bytes, now: int | None = None) -> Any:
    """Verifies a delivery (Standard Webhooks 1.0.0) and returns its event. Raises ValueError if verification fails.

    Pass the raw body, before anything parses it: the signature covers its exact bytes. A delivery can
    arrive more than once, so ignore a `webhook-id` that you have already processed.
    """
    given = {name.lower(): value for name, value in headers.items()}
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        if not given.get(name):
            raise ValueError(f"{name} is missing")
    timestamp = given["webhook-timestamp"]
    now = int(time.time()) if now is None else now
    if abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        raise ValueError("webhook-timestamp is too far from now")
    key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    if not key:
        raise ValueError("the secret is empty")
    signed = f"{given['webhook-id']}.{timestamp}.".encode() + body
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    expected = b"v1," + base64.b64encode(digest)
    # During secret rotation there are several signatures. Other versions never match.
    signatures = given["webhook-signature"].split(" ")
    if not any(hmac.compare_digest(signature.encode(), expected) for signature in signatures):
        raise ValueError("webhook-signature does not match")
    return json.loads(body)
