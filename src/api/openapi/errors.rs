//! Publishes the error responses: those that handlers declare, and those that the framework gives on its own.
//!
//! A handler names only its own codes, as the raw description of the response. Guarantees: every error that an operation
//! can give is there, with a sentence and an example for each code.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    example_values::ID,
    walk::{self, Object},
};
use crate::api::errors::not_acceptable;
use crate::api::extract::is_for_sessions;
use crate::contract::error::ErrorCode;

/// What an operation says in one of its errors.
#[derive(Clone, PartialEq, Eq)]
struct DocumentedError {
    code: ErrorCode,
    /// The name of the example: the code, and more where a code has several sentences.
    name: String,
    sentence: String,
}

impl From<ErrorCode> for DocumentedError {
    fn from(code: ErrorCode) -> Self {
        Self { code, name: code.as_str().to_owned(), sentence: code.message().to_owned() }
    }
}

pub(super) fn publish(document: &mut Value) {
    for (path, operation) in walk::operations_mut(document) {
        let mut all = generic(path, operation);
        let has_body = operation.contains_key("requestBody");
        let Some(responses) = walk::object_mut(operation, "responses") else { continue };
        for (status, response) in
            responses.iter_mut().filter_map(|(status, response)| Some((status, response.as_object_mut()?)))
        {
            if let Some(declared) = declared(response) {
                response.shift_remove("description");
                all.entry(status.clone()).or_default().extend(declared);
            }
        }
        for (status, mut said) in all {
            said.sort_by_key(|said| ErrorCode::ALL.iter().position(|other| *other == said.code));
            said.dedup();
            if let Value::Object(response) = responses.entry(status).or_insert_with(|| json!({})) {
                describe(response, &said, has_body);
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
fn generic(path: &str, operation: &Object) -> BTreeMap<String, Vec<DocumentedError>> {
    use ErrorCode as E;
    let mut codes = Vec::new();
    let mut media_type = None;
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
        let responses = operation.get("responses").and_then(Value::as_object).into_iter().flatten();
        let mut successes = responses.filter(|(status, _)| status.starts_with('2'));
        media_type = successes.find_map(|(_, response)| response.get("content")?.as_object()?.keys().next());
    }
    let unacceptable = media_type.map(|media_type| {
        let sentence = not_acceptable(media_type);
        DocumentedError { sentence, ..E::NotAcceptable.into() }
    });
    let mut by_status: BTreeMap<String, Vec<DocumentedError>> = BTreeMap::new();
    for said in codes.into_iter().map(DocumentedError::from).chain(unacceptable) {
        by_status.entry(said.code.status().to_string()).or_default().push(said);
    }
    by_status
}

/// What a raw description declares, if it is no prose: codes in its first line, with or without backticks, and below
/// them sentences in the place of those that the codes have everywhere, each after its name.
fn declared(response: &Object) -> Option<Vec<DocumentedError>> {
    let mut lines = response.get("description")?.as_str()?.lines();
    let words = lines.next()?.split(' ').map(|word| word.trim_matches('`'));
    let codes = words.map(|word| ErrorCode::ALL.into_iter().find(|code| code.as_str() == word));
    let codes = codes.collect::<Option<Vec<_>>>()?;
    let own: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(": ")).collect();
    let said = codes.into_iter().flat_map(|code| {
        let of_code = own.iter().filter(|(name, _)| name.starts_with(code.as_str()));
        let said = of_code.map(|(name, sentence)| DocumentedError {
            code,
            name: (*name).into(),
            sentence: (*sentence).into(),
        });
        let said: Vec<DocumentedError> = said.collect();
        if said.is_empty() { vec![code.into()] } else { said }
    });
    Some(said.collect())
}

fn describe(response: &mut Object, said: &[DocumentedError], has_body: bool) {
    let prose = response.get("description").and_then(Value::as_str).map(str::to_owned);
    let sentences = said.iter().map(|said| format!("`{}`: {}", said.code.as_str(), said.sentence));
    let description = prose.into_iter().chain(sentences).collect::<Vec<_>>().join(" ");
    response.insert("description".to_owned(), json!(description));

    let schema = json!({ "$ref": format!("{}ApiError", walk::SCHEMAS) });
    let content = response.entry("content").or_insert_with(|| json!({ "application/json": { "schema": schema } }));
    if let Some(Value::Object(media)) = content.get_mut("application/json") {
        let examples = said.iter().map(|said| (said.name.clone(), json!({ "value": envelope(said, has_body) })));
        media.insert("examples".to_owned(), examples.collect());
    }
}

fn envelope(said: &DocumentedError, has_body: bool) -> Value {
    let code = said.code;
    if code != ErrorCode::ValidationFailed {
        return json!({ "error": code.as_str(), "message": said.sentence, "request_id": ID });
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
