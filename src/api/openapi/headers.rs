//! Publishes the headers of responses, each defined once.

use serde_json::{Value, json};

use crate::api::operations::{Access, DEPRECATED_AT, OperationPolicy, SUNSET};

use super::{
    header_parameters::ETAG_EXAMPLE,
    walk::{self, Object},
};

pub(super) fn publish(document: &mut Value, policies: &[OperationPolicy]) {
    let mut defined = Object::new();
    for (_, operation) in walk::operations_mut(document) {
        let Some(policy) = walk::policy(operation, policies) else { continue };
        let is_deprecated = operation.get("deprecated").is_some_and(|deprecated| deprecated == true);
        for (status, response) in walk::object_mut(operation, "responses").into_iter().flatten() {
            let Some(response) = response.as_object_mut() else { continue };
            let mut headers = match response.shift_remove("headers") {
                Some(Value::Object(declared)) => declared,
                _ => Object::new(),
            };
            let is_success = status.starts_with('2');
            let mut added = standard(policy, status);
            if policy.idempotent && is_success {
                added.push(("Idempotency-Replayed", replayed()));
            }
            if policy.idempotent && status == "409" {
                added.push(("Retry-After", retry_after(false)));
            }
            if is_deprecated && is_success {
                added.extend(deprecation());
            }
            for (name, definition) in added {
                headers.insert(name.to_owned(), definition);
            }
            headers.values_mut().filter_map(Value::as_object_mut).for_each(normalize);
            for (name, definition) in &mut headers {
                // A definition that differs from the first one stays inline.
                if *defined.entry(name).or_insert_with(|| definition.clone()) == *definition {
                    *definition = json!({ "$ref": format!("#/components/headers/{name}") });
                }
            }
            response.insert("headers".to_owned(), Value::Object(headers));
        }
    }
    walk::add_components(document, "headers", defined);
}

/// Returns the headers of a response.
fn standard(policy: &OperationPolicy, status: &str) -> Vec<(&'static str, Value)> {
    let mut headers = Vec::new();
    if matches!(status, "304" | "412") || policy.etag && matches!(status, "200" | "201") {
        headers.push(("ETag", etag()));
    }
    match status {
        "201" => headers.push(("Location", location())),
        "401" => headers.push(("WWW-Authenticate", www_authenticate())),
        "403" => headers.push(("WWW-Authenticate", missing_scope())),
        "429" | "503" => headers.push(("Retry-After", retry_after(true))),
        _ => {}
    }
    headers.push(("X-Request-Id", request_id()));
    if policy.access != Access::Probe {
        headers.push(("RateLimit-Limit", rate_limit("Requests allowed per minute.", 600)));
        headers.push(("RateLimit-Remaining", rate_limit("Requests left.", 599)));
        headers.push(("RateLimit-Reset", rate_limit("Seconds until all requests are available again.", 1)));
    }
    headers
}

fn etag() -> Value {
    json!({
        "description": "Opaque identifier of the version and the representation of the resource.",
        "required": true,
        "schema": { "type": "string" },
        "example": ETAG_EXAMPLE,
    })
}

fn location() -> Value {
    json!({
        "description": "Path of the new resource.",
        "required": true,
        "schema": { "type": "string", "format": "uri-reference" },
        "example": "/v1/tasks/0199d0a0-5b7c-7d3e-9a41-6f2b8c0d1e2f",
    })
}

fn www_authenticate() -> Value {
    json!({
        "description": "Authentication challenge, with the error of the token (RFC 6750).",
        "required": true,
        "schema": { "type": "string" },
        "example": "Bearer error=\"invalid_token\"",
    })
}

fn missing_scope() -> Value {
    json!({
        "description": "The missing scope, if the API token lacks one (RFC 6750).",
        "required": false,
        "schema": { "type": "string" },
        "example": "Bearer error=\"insufficient_scope\", scope=\"write\"",
    })
}

fn retry_after(is_always_there: bool) -> Value {
    let mut header = json!({
        "description": "Seconds to wait before trying again.",
        "required": true,
        "schema": { "type": "integer", "minimum": 1 },
        "example": 2,
    });
    if !is_always_there {
        header["description"] = json!("Seconds to wait before trying again, if that can help.");
        header["required"] = json!(false);
    }
    header
}

fn replayed() -> Value {
    json!({
        "description": "`true` if this is the response to an earlier request with the same `Idempotency-Key`.",
        "schema": { "type": "string", "const": "true" },
        "example": "true",
    })
}

/// The headers of a deprecated operation.
fn deprecation() -> [(&'static str, Value); 3] {
    let header = |description: &str, example: &str| {
        json!({
            "description": description,
            "required": true,
            "schema": { "type": "string" },
            "example": example,
        })
    };
    [
        ("Deprecation", header("Start of the deprecation (RFC 9745).", DEPRECATED_AT)),
        ("Sunset", header("Earliest removal of the operation (RFC 8594).", SUNSET)),
        (
            "Link",
            header(
                "The successor, and the documentation of the migration.",
                "</v2/tasks>; rel=\"successor-version\", </docs>; rel=\"deprecation\"; type=\"text/html\"",
            ),
        ),
    ]
}

/// Normalizes a header that a handler declares.
fn normalize(header: &mut Object) {
    header.retain(|key, value| key != "deprecated" || value == true);
    if let Some(examples) = header.get("schema").and_then(|schema| schema.get("examples")).cloned() {
        if let Some(schema) = walk::object_mut(header, "schema") {
            schema.shift_remove("examples");
        }
        header.entry("example").or_insert_with(|| examples[0].clone());
    }
}

fn request_id() -> Value {
    json!({
        "description": "ID of this request: your own, or a new one. Include it when you report a problem.",
        "required": true,
        "schema": { "type": "string" },
        "example": "0199d0a0-5b7c-7d3e-9a41-6f2b8c0d1e2f",
    })
}

fn rate_limit(description: &str, example: u16) -> Value {
    json!({
        "description": format!("{description} Absent if the operator has disabled the limit."),
        "schema": { "type": "integer", "minimum": 0 },
        "example": example,
    })
}
