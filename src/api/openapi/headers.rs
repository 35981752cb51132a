//! Publishes the headers of responses: the standard ones by rule, all of them defined once.

use serde_json::{Value, json};

use crate::api::deprecation::{DEPRECATED_AT, SUNSET};

use super::{
    errors,
    walk::{self, Object},
};

pub(super) fn publish(document: &mut Value) {
    let mut defined = Object::new();
    for (path, operation) in walk::operations_mut(document) {
        let takes_key = errors::takes_key(operation);
        let is_deprecated = operation.get("deprecated").is_some_and(|deprecated| deprecated == true);
        for (status, response) in walk::object_mut(operation, "responses").into_iter().flatten() {
            let Some(response) = response.as_object_mut() else { continue };
            let mut headers = match response.shift_remove("headers") {
                Some(Value::Object(declared)) => declared,
                _ => Object::new(),
            };
            let is_success = status.starts_with('2');
            let mut added = standard(path, status);
            if takes_key && is_success {
                added.push(("Idempotency-Replayed", replayed()));
            }
            if takes_key && status == "409" {
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
                // The first definition is the one to refer to; one that differs stays where it stands.
                if *defined.entry(name).or_insert_with(|| definition.clone()) == *definition {
                    *definition = json!({ "$ref": format!("#/components/headers/{name}") });
                }
            }
            response.insert("headers".to_owned(), Value::Object(headers));
        }
    }
    walk::add_components(document, "headers", defined);
}

/// The headers that a response has because of its path and status.
fn standard(path: &str, status: &str) -> Vec<(&'static str, Value)> {
    let mut headers = Vec::new();
    match status {
        "201" => headers.push(("Location", location())),
        "401" => headers.push(("WWW-Authenticate", www_authenticate())),
        "403" => headers.push(("WWW-Authenticate", missing_scope())),
        "429" | "503" => headers.push(("Retry-After", retry_after(true))),
        _ => {}
    }
    headers.push(("X-Request-Id", request_id()));
    if errors::is_versioned(path) {
        headers.push(("RateLimit-Limit", rate_limit("How many requests a minute are allowed.", 600)));
        headers.push(("RateLimit-Remaining", rate_limit("How many requests are left now.", 599)));
        headers.push(("RateLimit-Reset", rate_limit("In how many seconds all of them are allowed again.", 1)));
    }
    headers
}

fn location() -> Value {
    json!({
        "description": "Where the new resource is.",
        "required": true,
        "schema": { "type": "string", "format": "uri-reference" },
        "example": "/v1/tasks/0199d0a0-5b7c-7d3e-9a41-6f2b8c0d1e2f",
    })
}

fn www_authenticate() -> Value {
    json!({
        "description": "How to authenticate, and what was wrong with the token (RFC 6750).",
        "required": true,
        "schema": { "type": "string" },
        "example": "Bearer error=\"invalid_token\"",
    })
}

/// Where it is the token that may not, and not its owner.
fn missing_scope() -> Value {
    json!({
        "description": "The scope that the API token lacks (RFC 6750), where that is why.",
        "required": false,
        "schema": { "type": "string" },
        "example": "Bearer error=\"insufficient_scope\", scope=\"write\"",
    })
}

fn retry_after(is_always_there: bool) -> Value {
    let mut header = json!({
        "description": "After how many seconds to try again.",
        "required": true,
        "schema": { "type": "integer", "minimum": 1 },
        "example": 2,
    });
    if !is_always_there {
        header["description"] = json!("After how many seconds to try again, where that may help.");
        header["required"] = json!(false);
    }
    header
}

fn replayed() -> Value {
    json!({
        "description": "`true` where this is the answer to an earlier request with the same `Idempotency-Key`.",
        "schema": { "type": "string", "const": "true" },
        "example": "true",
    })
}

/// What an operation says that has a successor.
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
        ("Deprecation", header("Since when this operation is deprecated (RFC 9745).", DEPRECATED_AT)),
        ("Sunset", header("Until when it is promised, at least (RFC 8594).", SUNSET)),
        (
            "Link",
            header(
                "Its successor, and where to read about the way there.",
                "</v2/tasks>; rel=\"successor-version\", </docs>; rel=\"deprecation\"; type=\"text/html\"",
            ),
        ),
    ]
}

/// What the framework writes for a header that a handler declares, without its noise.
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
        "description": "The id of this request: the caller's own, or a new one. Quote it when you report a problem.",
        "required": true,
        "schema": { "type": "string" },
        "example": "0199d0a0-5b7c-7d3e-9a41-6f2b8c0d1e2f",
    })
}

fn rate_limit(description: &str, example: u16) -> Value {
    json!({
        "description": format!("{description} Absent where the operator has switched the limit off."),
        "schema": { "type": "integer", "minimum": 0 },
        "example": example,
    })
}
