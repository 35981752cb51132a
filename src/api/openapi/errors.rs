//! Publishes error responses, with a message and an example for each code.

use std::collections::BTreeMap;

use poem_openapi::registry::Registry;
use poem_openapi::types::{ToJSON, Type as _};
use serde_json::{Value, json};

use super::{
    error_messages,
    example_values::{ExampleValues, ID},
    walk::{self, Object},
};
use crate::api::errors::{UNREADABLE_TOKEN, not_acceptable};
use crate::api::operations::{Access, OperationPolicy};
use crate::api::validation;
use crate::contract::error::{Detail, ErrorBody, ErrorCode, ErrorCode as E};

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

pub(super) fn publish(operation: &mut Object, policy: &OperationPolicy, samples: &ExampleValues) {
    let errors = documented(policy, operation);
    let violations = violations(operation, samples);
    let Some(responses) = walk::object_mut(operation, "responses") else { return };
    for (status, mut errors) in errors {
        errors.sort_by_key(|error| ErrorCode::ALL.iter().position(|other| *other == error.code));
        errors.dedup();
        let stale = policy.stale.filter(|_| status == "412");
        let schema = stale.map_or_else(ErrorBody::schema_ref, |schema| schema(&mut Registry::new()));
        responses.insert(status, describe(&json!(schema), &errors, &violations));
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
        Access::OptionalSession => codes.extend([E::TokenExpired, E::TokenRevoked, E::Forbidden]),
        Access::Session => {
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
    let mut messages = error_messages::of_operation(policy, operation, &codes);
    messages.extend((policy.messages)().into_iter().map(|(name, error)| (name.to_owned(), error)));
    codes.retain(|code| messages.iter().all(|(_, error)| error.code() != *code));
    let own = messages.into_iter().map(|(name, error)| DocumentedError {
        code: error.code(),
        name,
        message: error.message(),
    });
    // Without a token, such an operation is not authenticated at all.
    let unreadable = (policy.access == Access::OptionalSession)
        .then(|| DocumentedError { message: UNREADABLE_TOKEN.to_owned(), ..E::Unauthenticated.into() });
    let unacceptable =
        media_type.map(|media_type| DocumentedError { message: not_acceptable(media_type), ..E::NotAcceptable.into() });
    let mut by_status: BTreeMap<String, Vec<DocumentedError>> = BTreeMap::new();
    let of_code = |code| {
        let error = DocumentedError::from(code);
        DocumentedError { message: error_messages::of_pipeline(policy, code).unwrap_or(error.message), ..error }
    };
    for error in codes.into_iter().map(of_code).chain(own).chain(unreadable).chain(unacceptable) {
        by_status.entry(error.code.status().to_string()).or_default().push(error);
    }
    by_status
}

fn describe(schema: &Value, errors: &[DocumentedError], violations: &[Detail]) -> Value {
    let messages = errors.iter().map(|error| format!("`{}`: {}", error.code.as_str(), error.message));
    let examples = errors.iter().map(|error| (error.name.clone(), json!({ "value": envelope(error, violations) })));
    json!({
        "description": messages.collect::<Vec<_>>().join(" "),
        "content": { "application/json": { "schema": schema, "examples": examples.collect::<Object>() } },
    })
}

fn envelope(error: &DocumentedError, violations: &[Detail]) -> Value {
    let code = error.code;
    let (Some(first), ErrorCode::ValidationFailed) = (violations.first(), code) else {
        return json!({ "error": code.as_str(), "message": error.message, "request_id": ID });
    };
    json!({
        "error": code.as_str(),
        "message": first.message,
        "field": first.field,
        "details": violations.iter().map(ToJSON::to_json).collect::<Vec<_>>(),
        "request_id": ID,
    })
}

/// Returns two violations of the rules of an operation, as the validation reports them.
fn violations(operation: &Object, samples: &ExampleValues) -> Vec<Detail> {
    let content = operation.get("requestBody").and_then(|body| body.get("content")).and_then(Value::as_object);
    let Some(media) = content.and_then(|content| content.values().next()) else {
        // Possible for every operation, so that they can share the response.
        let parameters = operation.get("parameters").and_then(Value::as_array).into_iter().flatten();
        let queries = parameters.filter(|parameter| parameter["in"] == "query");
        let known: Vec<String> = queries.filter_map(|query| query["name"].as_str()).map(str::to_owned).collect();
        return ["page_size", "colour"].map(|name| validation::unknown_parameter(name, known.iter())).to_vec();
    };
    let schema = samples.target(&media["schema"]);
    let properties = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    let required = schema.get("required").and_then(|required| required.get(0)).and_then(Value::as_str);
    let own = required.map(validation::missing_field).or_else(|| {
        let (name, _) = properties.iter().find(|(_, property)| property.get("nullable").is_none())?;
        Some(validation::null_field(name))
    });
    let unknown = ["colour", "size"].map(|name| validation::unknown_field(name, properties.keys()));
    own.into_iter().chain(unknown).take(2).collect()
}
