//! Publishes the headers of responses.

use poem_openapi::types::Example;
use serde_json::{Value, json};

use super::example_values::ID;
use super::header_parameters::ETAG_EXAMPLE;
use super::walk::{self, Object};
use crate::api::errors::REALM;
use crate::api::operations::{Access, DEPRECATED_AT, OperationPolicy, SUNSET};
use crate::api::respond::{NO_STORE, location};
use crate::contract::ProjectId;
use crate::services::ResourceRef;

/// Seconds to wait, in examples.
pub(super) const RETRY_AFTER_EXAMPLE: u64 = 2;

pub(super) fn publish(operation: &mut Object, policy: &OperationPolicy) {
    let is_deprecated = operation.get("deprecated").is_some_and(|deprecated| deprecated == true);
    for (status, response) in walk::object_mut(operation, "responses").into_iter().flatten() {
        let headers = headers_of(policy, is_deprecated, status).into_iter();
        let headers: Object = headers.map(|(name, header)| (name.to_owned(), header)).collect();
        if !headers.is_empty() {
            response["headers"] = Value::Object(headers);
        }
    }
}

/// Returns the headers of a response. Those of every response are documented where it succeeds: beside the dozen errors of
/// an operation they would hide the others.
fn headers_of(policy: &OperationPolicy, is_deprecated: bool, status: &str) -> Vec<(&'static str, Value)> {
    let is_success = status.starts_with('2');
    let mut headers = Vec::new();
    if matches!(status, "304" | "412") || policy.etag && matches!(status, "200" | "201") {
        let description = "Opaque identifier of the version and the representation of the resource.";
        headers.push(("ETag", text(description, ETAG_EXAMPLE)));
    }
    match status {
        "201" => {
            let mut location = text("Path of the new resource.", &location_example(policy.id));
            location["schema"]["format"] = json!("uri-reference");
            headers.push(("Location", location));
        }
        "401" => {
            let description = "Authentication challenge, with the error of the token (RFC 6750).";
            let takes_token = !matches!(policy.access, Access::Public);
            let error = if takes_token {
                ", error=\"invalid_token\", error_description=\"The access token has expired\""
            } else {
                ""
            };
            headers.push(("WWW-Authenticate", text(description, &format!("{REALM}{error}"))));
        }
        "403" => {
            let description = "The missing scope, if the API token lacks one (RFC 6750).";
            let challenge = format!("{REALM}, error=\"insufficient_scope\", scope=\"write\"");
            let challenge = text(description, &challenge);
            headers.push(("WWW-Authenticate", optional(challenge)));
        }
        "429" | "503" => headers.push(("Retry-After", retry_after("Seconds to wait before trying again."))),
        _ => {}
    }
    if policy.idempotent && status == "409" {
        let retry_after = retry_after("Seconds to wait before trying again, if that can help.");
        headers.push(("Retry-After", optional(retry_after)));
    }
    if !is_success && status != "304" {
        return headers;
    }
    headers.extend(security_headers());
    let description = "ID of this request: your own, or a new one. Include it when you report a problem.";
    headers.push(("X-Request-Id", text(description, ID)));
    if policy.access != Access::Probe {
        headers.push(("RateLimit-Limit", rate_limit("Requests allowed per minute.", 600)));
        headers.push(("RateLimit-Remaining", rate_limit("Requests left.", 599)));
        headers.push(("RateLimit-Reset", rate_limit("Seconds until all requests are available again.", 1)));
    }
    if policy.idempotent && is_success {
        headers.push(("Idempotency-Replayed", replayed()));
    }
    if is_deprecated && is_success {
        headers.push(("Deprecation", text("Start of the deprecation (RFC 9745).", DEPRECATED_AT)));
        headers.push(("Sunset", text("Earliest removal of the operation (RFC 8594).", SUNSET)));
        let path = if policy.id == "listTasks" {
            "/v2/tasks".to_owned()
        } else {
            format!("/v2/projects/{}/tasks", ProjectId::example())
        };
        let example = format!(
            "<{path}>; rel=\"successor-version\", </guides/migration-to-v2>; rel=\"deprecation\"; type=\"text/html\""
        );
        headers.push(("Link", text("The successor, and the documentation of the migration.", &example)));
    }
    headers
}

/// Returns the path of the resource that an operation creates in the examples.
fn location_example(operation: &str) -> String {
    match operation {
        "register" => "/v1/me".to_owned(),
        "createStreamTicket" => "/v1/events/stream".to_owned(),
        "createProject" => location(ResourceRef::Project(Example::example())),
        "createInvitation" => location(ResourceRef::Invitation(Example::example(), Example::example())),
        "createComment" => location(ResourceRef::Comment(Example::example())),
        "createApiToken" => location(ResourceRef::ApiToken(Example::example())),
        "createWebhook" => location(ResourceRef::Webhook(Example::example())),
        _ => location(ResourceRef::Task(Example::example())),
    }
}

/// Returns the headers of every response.
fn security_headers() -> [(&'static str, Value); 4] {
    let cache_control =
        "`private, no-cache` if the response has an `ETag` and no secret; otherwise, caches must not store it.";
    let transport = text("Sent if the server is reached by HTTPS (RFC 6797).", "max-age=31536000");
    [
        ("Cache-Control", text(cache_control, NO_STORE)),
        ("X-Content-Type-Options", text("The body is of no other type than `Content-Type`.", "nosniff")),
        ("Referrer-Policy", text("Browsers do not send the URL to other servers.", "no-referrer")),
        ("Strict-Transport-Security", optional(transport)),
    ]
}

fn text(description: &str, example: &str) -> Value {
    json!({ "description": description, "required": true, "schema": { "type": "string" }, "example": example })
}

fn retry_after(description: &str) -> Value {
    let example = RETRY_AFTER_EXAMPLE;
    json!({ "description": description, "required": true, "schema": { "type": "integer", "minimum": 1 }, "example": example })
}

fn optional(mut header: Value) -> Value {
    header["required"] = json!(false);
    header
}

fn replayed() -> Value {
    json!({
        "description": "`true` if this is the response to an earlier request with the same `Idempotency-Key`.",
        "schema": { "type": "string", "const": "true" },
        "example": "true",
    })
}

fn rate_limit(description: &str, example: u16) -> Value {
    json!({
        "description": format!("{description} Absent if the operator has disabled the limit."),
        "schema": { "type": "integer", "minimum": 0 },
        "example": example,
    })
}
