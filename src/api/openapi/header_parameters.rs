//! Header parameters that follow from the policy of an operation.

use serde_json::{Value, json};

use crate::api::operations::OperationPolicy;

/// An entity tag, for examples.
pub(super) const ETAG_EXAMPLE: &str = "\"Yl3k9Zr0Qm2a.h7TqPw1xVb8N\"";

pub(super) fn of_policy(policy: &OperationPolicy) -> impl Iterator<Item = Value> {
    let idempotency_key = policy.idempotent.then(idempotency_key);
    let if_match = policy.stale.map(|_| {
        entity_tag(
            "If-Match",
            "The `ETag` of the version to change. If the resource has another version, the request fails with 412 and the \
             response contains the current resource. Accepts several tags, separated by commas; `*` matches any version. Only \
             the part of the tag before the dot is compared. Any other value is a 400. Without this header the last write wins, field by field.",
        )
    });
    let if_none_match = policy.cacheable.then(|| {
        entity_tag(
            "If-None-Match",
            "The `ETag` of a cached response. If it is current, the response is a 304 without a body. Accepts several tags, \
             separated by commas, or `*`. Any other value is a 400.",
        )
    });
    [idempotency_key, if_match, if_none_match].into_iter().flatten()
}

fn idempotency_key() -> Value {
    json!({
        "name": "Idempotency-Key",
        "in": "header",
        "description": "A unique key for this request, such as a UUID: 1 to 255 visible ASCII characters, optionally quoted. A \
                        repeated request with the same key within 24 hours has no further effect and returns the first \
                        response with `Idempotency-Replayed: true`. A request that failed or changed nothing does not use up \
                        its key.",
        "schema": {
            "type": "string",
            // Bare, or a string of RFC 9651.
            "pattern": r#"^([!#-~][!-~]{0,254}|"([!#-\[\]-~]|\\["\\]){1,255}")$"#,
            "examples": ["3f0c2b1e-6f0d-4b7a-9a53-1d2f8e7c4b60"],
        },
    })
}

fn entity_tag(name: &str, description: &str) -> Value {
    json!({
        "name": name,
        "in": "header",
        "description": description,
        "schema": { "type": "string", "examples": [ETAG_EXAMPLE] },
    })
}
