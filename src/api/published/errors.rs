//! Publishes the error responses: those that handlers declare, and those that the framework gives on its own.
//!
//! A handler names only its own codes, as the raw description of the response. Guarantees: every error that an operation
//! can give is there, with a sentence and an example for each code.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    samples::ID,
    tree::{self, Object},
};
use crate::api::payload::is_for_sessions;
use crate::contract::error::ErrorCode;

pub(super) fn publish(document: &mut Value) {
    for (path, operation) in tree::operations_mut(document) {
        let mut codes = generic(path, operation);
        let has_body = operation.contains_key("requestBody");
        let Some(responses) = tree::object_mut(operation, "responses") else { continue };
        for (status, response) in
            responses.iter_mut().filter_map(|(status, response)| Some((status, response.as_object_mut()?)))
        {
            if let Some(declared) = declared(response) {
                response.shift_remove("description");
                codes.entry(status.clone()).or_default().extend(declared);
            }
        }
        for (status, mut codes) in codes {
            codes.sort_by_key(|code| ErrorCode::ALL.iter().position(|other| other == code));
            codes.dedup();
            if let Value::Object(response) = responses.entry(status).or_insert_with(|| json!({})) {
                describe(response, &codes, has_body);
            }
        }
        responses.sort_keys();
    }
}

/// Whether the rules that hold for every operation of the API hold for this path; they do not for the probes.
pub(super) fn is_versioned(path: &str) -> bool {
    path.starts_with("/v1/") || path.starts_with("/v2/")
}

/// Whether the operation takes an `Idempotency-Key`.
pub(super) fn takes_key(operation: &Object) -> bool {
    let parameters = operation.get("parameters").and_then(Value::as_array).into_iter().flatten();
    parameters.filter_map(|parameter| parameter.get("name")?.as_str()).any(|name| name == "Idempotency-Key")
}

/// What the layers before the handler may answer, by status.
fn generic(path: &str, operation: &Object) -> BTreeMap<String, Vec<ErrorCode>> {
    use ErrorCode as E;
    let mut codes = Vec::new();
    if is_versioned(path) {
        codes.extend([E::ValidationFailed, E::RateLimited, E::Internal, E::Unavailable, E::Timeout]);
        if operation.contains_key("security") {
            codes.extend([E::Unauthenticated, E::TokenExpired, E::TokenRevoked]);
            codes.push(if is_for_sessions(path) { E::Forbidden } else { E::InsufficientScope });
        }
        if takes_key(operation) {
            codes.extend([E::InvalidIdempotencyKey, E::IdempotencyInProgress, E::IdempotencyKeyReused]);
        }
        if operation.contains_key("requestBody") {
            codes.extend([E::MalformedJson, E::RequestTimeout, E::PayloadTooLarge, E::UnsupportedMediaType]);
        }
        let mut responses = operation.get("responses").and_then(Value::as_object).into_iter().flatten();
        if responses.any(|(status, response)| status.starts_with('2') && response.get("content").is_some()) {
            codes.push(E::NotAcceptable);
        }
    }
    let mut by_status: BTreeMap<String, Vec<ErrorCode>> = BTreeMap::new();
    for code in codes {
        by_status.entry(code.status().to_string()).or_default().push(code);
    }
    by_status
}

/// The codes that a raw description lists, with or without backticks; none if it is prose.
fn declared(response: &Object) -> Option<Vec<ErrorCode>> {
    let words = response.get("description")?.as_str()?.split(' ');
    words.map(|word| ErrorCode::ALL.into_iter().find(|code| code.as_str() == word.trim_matches('`'))).collect()
}

fn describe(response: &mut Object, codes: &[ErrorCode], has_body: bool) {
    let prose = response.get("description").and_then(Value::as_str).map(str::to_owned);
    let sentences = codes.iter().map(|code| format!("`{}`: {}", code.as_str(), code.message()));
    let description = prose.into_iter().chain(sentences).collect::<Vec<_>>().join(" ");
    response.insert("description".to_owned(), json!(description));

    let schema = json!({ "$ref": format!("{}ApiError", tree::SCHEMAS) });
    let content = response.entry("content").or_insert_with(|| json!({ "application/json": { "schema": schema } }));
    if let Some(Value::Object(media)) = content.get_mut("application/json") {
        let examples =
            codes.iter().map(|&code| (code.as_str().to_owned(), json!({ "value": envelope(code, has_body) })));
        media.insert("examples".to_owned(), examples.collect());
    }
}

fn envelope(code: ErrorCode, has_body: bool) -> Value {
    if code != ErrorCode::ValidationFailed {
        return json!({ "error": code.as_str(), "message": code.message(), "request_id": ID });
    }
    // A failure that every operation can meet, so that the same response serves them all.
    let (place, field, rule, message) = if has_body {
        ("body", "colour", "unknown_field", "colour is not a field of this request.")
    } else {
        ("query", "page_size", "unknown_parameter", "page_size is not a parameter of this operation.")
    };
    json!({
        "error": code.as_str(),
        "message": message,
        "field": field,
        "details": [{ "in": place, "field": field, "code": rule, "message": message }],
        "request_id": ID,
    })
}
