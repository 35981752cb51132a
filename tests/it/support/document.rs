//! The published document, and checks of responses against it: operation, status, media type, schema and headers.
//!
//! Stricter than the document: unknown fields and values fail the test, although clients must tolerate new ones.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use jsonschema::Validator;
use pocket_tasks::api::openapi::resolve;
use pocket_tasks::api::validation::{OpenApiValidator, Route};
use poem::http::{Method, header};
use serde_json::{Value, json};

use super::Answer;

pub(crate) static DOCUMENT: LazyLock<Value> = LazyLock::new(|| pocket_tasks::api::document().unwrap());
static CONTRACT: LazyLock<OpenApiValidator> = LazyLock::new(|| OpenApiValidator::compile(&DOCUMENT).unwrap());
/// Compiled schemas by their text; most operations share those of errors.
static VALIDATORS: LazyLock<Mutex<HashMap<String, &'static Validator>>> = LazyLock::new(Mutex::default);
/// Compiled schemas of headers by their text.
static HEADER_VALIDATORS: LazyLock<Mutex<HashMap<String, &'static Validator>>> = LazyLock::new(Mutex::default);
/// Schemas that `$ref` may refer to. Unlike in the document, additional fields are errors.
static STRICT_COMPONENTS: LazyLock<Value> = LazyLock::new(|| {
    let mut components = DOCUMENT["components"].clone();
    for schema in components["schemas"].as_object_mut().unwrap().values_mut() {
        // `oneOf` lists the fields of each alternative itself.
        if schema.get("properties").is_some() {
            schema["additionalProperties"] = json!(false);
        }
        if let Some(known) = schema.get("x-extensible-enum").cloned() {
            schema["enum"] = known;
        }
    }
    components
});

/// Media type of Server-Sent Events.
pub(crate) const EVENT_STREAM: &str = "text/event-stream";

/// Every operation: its id, method, path and description.
pub(crate) fn operations() -> impl Iterator<Item = (String, Method, String, &'static Value)> {
    DOCUMENT["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, operation)| {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            (id, method.to_uppercase().parse().unwrap(), path.clone(), operation)
        })
    })
}

/// Returns whether an operation requires a token.
pub(crate) fn needs_token(operation: &Value) -> bool {
    // An empty alternative means that a token is optional.
    let schemes = operation["security"].as_array();
    schemes.is_some_and(|schemes| !schemes.is_empty() && schemes.iter().all(|scheme| *scheme != json!({})))
}

/// Documented statuses of an operation.
pub(crate) fn statuses(operation: &Value) -> Vec<u16> {
    operation["responses"].as_object().unwrap().keys().map(|status| status.parse().unwrap()).collect()
}

/// Asserts that the response is documented.
#[track_caller]
pub(crate) fn check(method: &Method, path: &str, answer: &Answer) {
    let place = format!("{method} {path} answered {}: {}", answer.status, answer.text);
    assert!(answer.headers.contains_key("x-request-id"), "no X-Request-Id: {place}");
    let operation = match CONTRACT.route(method, path.split('?').next().unwrap()) {
        Route::Found(operation) => operation,
        Route::WrongMethod { .. } | Route::Unknown => return check_outside(&place, answer),
    };
    let method = operation.method.as_str().to_lowercase();
    let documented = &DOCUMENT["paths"][&operation.path][&method]["responses"][answer.status.as_str()];
    assert!(!documented.is_null(), "the status is not documented for {}: {place}", operation.id);
    let response = resolve(&DOCUMENT, documented);

    for (name, described) in response["headers"].as_object().into_iter().flatten() {
        let described = resolve(&DOCUMENT, described);
        match answer.headers.get(name) {
            Some(value) => check_header(described, value.to_str().unwrap(), &format!("{name} of {place}")),
            None => assert_ne!(described["required"], true, "no {name}: {place}"),
        }
    }
    if response["content"].get(EVENT_STREAM).is_some() {
        assert_eq!(answer.headers.get(header::CONTENT_TYPE).unwrap(), EVENT_STREAM, "{place}");
        return;
    }
    match response.get("content").map(|content| &content["application/json"]["schema"]) {
        None => assert!(answer.text.is_empty(), "a body where none is documented: {place}"),
        Some(schema) => {
            assert_eq!(answer.headers.get(header::CONTENT_TYPE).unwrap(), "application/json", "{place}");
            let validator = validator(schema);
            if answer.headers.contains_key(header::CONTENT_ENCODING) {
                return;
            }
            let failures: Vec<String> = validator
                .iter_errors(&answer.body)
                .map(|failure| format!("{}: {failure}", failure.instance_path()))
                .collect();
            assert!(failures.is_empty(), "{failures:#?}: {place}");
        }
    }
    check_envelope(&place, answer);
}

/// Asserts that the event conforms to the document.
#[track_caller]
pub(crate) fn check_event(event: &Value) {
    check_against(&json!({"$ref": "#/components/schemas/Event"}), event);
}

/// Asserts that the message to a webhook conforms to the document.
#[track_caller]
pub(crate) fn check_message(message: &Value) {
    let kind = message["type"].as_str().unwrap();
    let body = &DOCUMENT["webhooks"][kind]["post"]["requestBody"];
    check_against(&body["content"]["application/json"]["schema"], message);
}

#[track_caller]
fn check_against(schema: &Value, event: &Value) {
    let validator = validator(schema);
    let failures: Vec<String> = validator.iter_errors(event).map(|failure| failure.to_string()).collect();
    assert!(failures.is_empty(), "{failures:#?}: {event}");
}

/// Checks a response outside of operations: the error envelope or a page.
fn check_outside(place: &str, answer: &Answer) {
    if answer.status.is_client_error() || answer.status.is_server_error() {
        let validator = validator(&json!({"$ref": "#/components/schemas/ApiError"}));
        assert!(validator.is_valid(&answer.body), "{place}");
        check_envelope(place, answer);
    }
}

/// Checks rules for error envelopes that a schema cannot express.
fn check_envelope(place: &str, answer: &Answer) {
    if answer.status.as_u16() < 400 {
        return;
    }
    let invalid = answer.body["error"] == "VALIDATION_FAILED";
    assert_eq!(answer.body.get("details").is_some(), invalid, "details go with VALIDATION_FAILED: {place}");
    assert_eq!(answer.body["request_id"], answer.headers["x-request-id"].to_str().unwrap(), "{place}");
    for leak in ["SELECT", "sqlx", "sea_orm", "src/", "panicked", "serde"] {
        assert!(!answer.text.contains(leak), "{leak} reveals internals: {place}");
    }
}

fn check_header(described: &Value, value: &str, place: &str) {
    let schema = &described["schema"];
    let value = match schema["type"].as_str() {
        Some("integer") => json!(value.parse::<i64>().unwrap_or_else(|error| panic!("{error}: {place}"))),
        _ => json!(value),
    };
    let validator = compiled(&HEADER_VALIDATORS, schema, || jsonschema::draft202012::new(schema).unwrap());
    assert!(validator.is_valid(&value), "{value} is not as documented: {place}");
}

fn validator(schema: &Value) -> &'static Validator {
    compiled(&VALIDATORS, schema, || {
        let root = json!({"allOf": [schema], "components": *STRICT_COMPONENTS});
        jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .should_validate_formats(true)
            .build(&root)
            .unwrap()
    })
}

/// Returns the validator of a schema, which is compiled when it is first needed.
fn compiled(
    cache: &Mutex<HashMap<String, &'static Validator>>,
    schema: &Value,
    compile: impl FnOnce() -> Validator,
) -> &'static Validator {
    let key = schema.to_string();
    if let Some(validator) = cache.lock().unwrap().get(&key) {
        return validator;
    }
    // Without holding the lock; two tests may compile the same schema.
    let validator = Box::leak(Box::new(compile()));
    cache.lock().unwrap().entry(key).or_insert(validator)
}
