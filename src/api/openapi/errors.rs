//! Publishes error responses, with a message and an example for each code.

use std::collections::BTreeMap;

use poem_openapi::registry::Registry;
use poem_openapi::types::Type as _;
use serde_json::{Value, json};

use super::{
    example_values::ID,
    walk::{self, Object},
};
use crate::api::errors::not_acceptable;
use crate::api::operations::{Access, OperationPolicy};
use crate::contract::error::{ErrorBody, ErrorCode, ErrorCode as E};

/// A code with the message of an operation.
#[derive(Clone, PartialEq, Eq)]
struct DocumentedError {
    code: ErrorCode,
    /// Name of the example: the code, with a suffix if the code has several messages.
    name: String,
    message: String,
}

impl From<ErrorCode> for DocumentedError {
    fn from(code: ErrorCode) -> Self {
        Self { code, name: code.as_str().to_owned(), message: code.message().to_owned() }
    }
}

pub(super) fn publish(operation: &mut Object, policy: &OperationPolicy) {
    let errors = documented(policy, operation);
    let has_body = operation.contains_key("requestBody");
    let Some(responses) = walk::object_mut(operation, "responses") else { return };
    for (status, mut errors) in errors {
        errors.sort_by_key(|error| ErrorCode::ALL.iter().position(|other| *other == error.code));
        errors.dedup();
        let stale = policy.stale.filter(|_| status == "412");
        let schema = stale.map_or_else(ErrorBody::schema_ref, |schema| schema(&mut Registry::new()));
        responses.insert(status, describe(&json!(schema), &errors, has_body));
    }
    responses.sort_keys();
}

/// Returns every error of an operation, by status: its own and those of the pipeline.
fn documented(policy: &OperationPolicy, operation: &Object) -> BTreeMap<String, Vec<DocumentedError>> {
    let mut codes = policy.errors.to_vec();
    codes.push(E::HeadersTooLarge);
    let mut media_type = None;
    if policy.access != Access::Probe {
        codes.extend([E::ValidationFailed, E::RateLimited, E::Internal, E::Unavailable, E::Timeout]);
        let responses = operation.get("responses").and_then(Value::as_object).into_iter().flatten();
        let mut successes = responses.filter(|(status, _)| status.starts_with('2'));
        media_type = successes.find_map(|(_, response)| response.get("content")?.as_object()?.keys().next());
    }
    match policy.access {
        Access::Probe | Access::Public => {}
        Access::OptionalSession | Access::Session => {
            codes.extend([E::Unauthenticated, E::TokenExpired, E::TokenRevoked, E::Forbidden]);
        }
        Access::Token(_) | Access::BothScopes => {
            codes.extend([E::Unauthenticated, E::TokenExpired, E::TokenRevoked, E::InsufficientScope]);
        }
    }
    if policy.idempotent {
        codes.extend([E::InvalidIdempotencyKey, E::IdempotencyInProgress, E::IdempotencyKeyReused]);
    }
    if policy.stale.is_some() {
        codes.push(E::PreconditionFailed);
    }
    if operation.contains_key("requestBody") {
        codes.extend([E::MalformedJson, E::RequestTimeout, E::PayloadTooLarge, E::UnsupportedMediaType]);
    }
    let messages = (policy.messages)();
    codes.retain(|code| messages.iter().all(|(_, error)| error.code() != *code));
    let own = messages.into_iter().map(|(name, error)| DocumentedError {
        code: error.code(),
        name: name.to_owned(),
        message: error.message(),
    });
    let unacceptable =
        media_type.map(|media_type| DocumentedError { message: not_acceptable(media_type), ..E::NotAcceptable.into() });
    let mut by_status: BTreeMap<String, Vec<DocumentedError>> = BTreeMap::new();
    for error in codes.into_iter().map(DocumentedError::from).chain(own).chain(unacceptable) {
        by_status.entry(error.code.status().to_string()).or_default().push(error);
    }
    by_status
}

fn describe(schema: &Value, errors: &[DocumentedError], has_body: bool) -> Value {
    let messages = errors.iter().map(|error| format!("`{}`: {}", error.code.as_str(), error.message));
    let examples = errors.iter().map(|error| (error.name.clone(), json!({ "value": envelope(error, has_body) })));
    json!({
        "description": messages.collect::<Vec<_>>().join(" "),
        "content": { "application/json": { "schema": schema, "examples": examples.collect::<Object>() } },
    })
}

fn envelope(error: &DocumentedError, has_body: bool) -> Value {
    let code = error.code;
    if code != ErrorCode::ValidationFailed {
        return json!({ "error": code.as_str(), "message": error.message, "request_id": ID });
    }
    // Possible for every operation, so that they can share the response.
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
