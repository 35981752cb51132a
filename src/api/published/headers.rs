//! Publishes the headers of responses: the standard ones by rule, all of them defined once.

use serde_json::{Value, json};

use super::{
    errors,
    tree::{self, Object},
};

pub(super) fn publish(document: &mut Value) {
    let mut defined = Object::new();
    for (path, operation) in tree::operations_mut(document) {
        for (status, response) in tree::object_mut(operation, "responses").into_iter().flatten() {
            let Some(response) = response.as_object_mut() else { continue };
            let mut headers = match response.shift_remove("headers") {
                Some(Value::Object(declared)) => declared,
                _ => Object::new(),
            };
            for (name, definition) in standard(path, status) {
                headers.insert(name.to_owned(), definition);
            }
            for (name, definition) in &mut headers {
                // The first definition is the one to refer to; one that differs stays where it stands.
                if *defined.entry(name).or_insert_with(|| definition.clone()) == *definition {
                    *definition = json!({ "$ref": format!("#/components/headers/{name}") });
                }
            }
            response.insert("headers".to_owned(), Value::Object(headers));
        }
    }
    tree::add_components(document, "headers", defined);
}

/// The headers that a response has because of its path and status.
fn standard(path: &str, status: &str) -> Vec<(&'static str, Value)> {
    let mut headers = Vec::new();
    match status {
        "201" => headers.push(("Location", location())),
        "401" => headers.push(("WWW-Authenticate", www_authenticate())),
        "429" | "503" => headers.push(("Retry-After", retry_after())),
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

fn retry_after() -> Value {
    json!({
        "description": "After how many seconds to try again.",
        "required": true,
        "schema": { "type": "integer", "minimum": 1 },
        "example": 2,
    })
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
