//! Differences between the schemas of requests and of responses.
//!
//! Requests are strict: unknown fields are rejected. Responses are complete: every field is present, a missing value is
//! `null`. No object schema can be used for both, which a test checks by `shared_schemas`.

use serde_json::{Value, json};

use super::walk::{self, Object};
use crate::contract::error::ErrorCode;

/// Properties of responses that are absent instead of null.
const ABSENT: [(&str, &[&str]); 1] = [("ApiError", &["field", "details"])];

/// Lists in responses with nullable items, which poem-openapi does not document.
const NULL_ITEMS: [(&str, &str); 1] = [("TaskBatchResult", "results")];

/// Fields of requests that exclude each other.
const EXCLUSIVE: [(&str, [&str; 2]); 1] = [("MoveTask", ["before_id", "after_id"])];

/// Strings of responses whose known values are no closed enum: a generated client would fail at the first new one.
const EXTENSIBLE: [&str; 2] = ["ErrorCode", "ErrorDetailCode"];

/// Fields of responses that are open, although requests use the same enum.
const OPEN_FIELDS: [(&str, &str); 2] = [("AuditEntry", "type"), ("Delivery", "event_type")];

const GROWS: &str = "More values may be added at any time: clients must tolerate unknown values.";

/// Maximum length of a password in bytes; bcrypt ignores the rest.
const MAX_PASSWORD_BYTES: u8 = 72;

/// Returns the object schemas that both requests and responses use; there must be none.
#[must_use]
pub fn shared_schemas(document: &Value) -> Vec<String> {
    let received = walk::reachable_schemas(document, responses(document));
    let sent = walk::reachable_schemas(document, requests(document));
    let objects = walk::components(document, "schemas").filter(|(_, schema)| schema.get("properties").is_some());
    let shared = objects.filter(|(name, _)| sent.contains(*name) && received.contains(*name));
    shared.map(|(name, _)| name.clone()).collect()
}

pub(super) fn apply(document: &mut Value) {
    let sent = walk::reachable_schemas(document, requests(document));
    let received = walk::reachable_schemas(document, responses(document));
    let schemas = walk::schemas(document);
    for operation in walk::operations_mut(document) {
        if let Some(request) = operation.get_mut("requestBody") {
            walk::each_schema(request, &mut make_strict);
        }
        if let Some(responses) = operation.get_mut("responses") {
            walk::each_schema(responses, &mut |schema| make_complete(schema, &[]));
        }
    }
    for (name, schema) in walk::components_mut(document, "schemas").into_iter().flatten() {
        if sent.contains(name) {
            walk::within_schema(schema, &mut make_strict);
            if let Some((_, fields)) = EXCLUSIVE.iter().find(|(owner, _)| owner == name) {
                schema["x-exclusive"] = json!(fields);
            }
        }
        if received.contains(name) {
            let absent = ABSENT.iter().find(|(owner, _)| owner == name).map_or(&[][..], |(_, properties)| properties);
            walk::within_schema(schema, &mut |schema| make_complete(schema, absent));
            for (_, list) in NULL_ITEMS.iter().filter(|(owner, _)| owner == name) {
                schema["properties"][*list]["items"]["nullable"] = json!(true);
            }
            for (_, field) in OPEN_FIELDS.iter().filter(|(owner, _)| owner == name) {
                inline(&mut schema["properties"][*field], &schemas);
                open_enum(&mut schema["properties"][*field]);
            }
            if name.starts_with("Stale") {
                // One code, so that clients can narrow the type of the body by it.
                schema["properties"]["error"] = json!({ "type": "string", "description": "Error code.", "enum": [ErrorCode::PreconditionFailed.as_str()] });
            }
            if EXTENSIBLE.contains(&name.as_str()) {
                open_enum(schema);
            }
        }
    }
}

fn requests(document: &Value) -> impl Iterator<Item = &Value> {
    walk::operations(document).filter_map(|operation| operation.get("requestBody"))
}

/// The parts that a client receives: responses and webhooks.
fn responses(document: &Value) -> impl Iterator<Item = &Value> {
    let own = walk::operations(document).filter_map(|operation| operation.get("responses"));
    own.chain(walk::components(document, "responses").map(|(_, response)| response)).chain(document.get("webhooks"))
}

fn make_strict(schema: &mut Object) {
    if schema.contains_key("properties") {
        schema.entry("additionalProperties").or_insert(Value::Bool(false));
    }
    if schema.get("format").is_some_and(|format| format == "password") {
        // Replaces the limit in characters.
        schema.shift_remove("maxLength");
        schema.insert("x-max-bytes".to_owned(), json!(MAX_PASSWORD_BYTES));
    }
    for (_, property) in walk::object_mut(schema, "properties").into_iter().flatten() {
        describe_default(property);
    }
}

/// Moves a default into the description: some generators require fields that have one.
fn describe_default(property: &mut Value) {
    let Value::Object(property) = property else { return };
    let Some(default) = property.shift_remove("default") else { return };
    let description = property.get("description").and_then(Value::as_str).unwrap_or_default();
    let value = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
    let description = format!("{description} Default: `{value}`.").trim().to_owned();
    property.insert("description".to_owned(), json!(description));
}

fn make_complete(schema: &mut Object, absent: &[&str]) {
    let declared = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let Some(properties) = walk::object_mut(schema, "properties") else { return };
    let mut required = Vec::new();
    for (name, property) in properties.iter_mut().filter(|(name, _)| !absent.contains(&name.as_str())) {
        let name = json!(name);
        if !declared.contains(&name)
            && let Value::Object(property) = property
        {
            property.insert("nullable".to_owned(), json!(true));
        }
        required.push(name);
    }
    schema.insert("required".to_owned(), Value::Array(required));
}

/// Replaces a reference by its target, with the description of the reference.
fn inline(property: &mut Value, schemas: &Object) {
    let Some(mut target) = walk::referenced(property).and_then(|name| schemas.get(name)).cloned() else { return };
    if let Some(description) = property.get("description") {
        target["description"] = description.clone();
    }
    *property = target;
}

fn open_enum(schema: &mut Value) {
    let Value::Object(schema) = schema else { return };
    if let Some(values) = schema.shift_remove("enum") {
        schema.insert("examples".to_owned(), json!([values.get(0)]));
        schema.insert("x-extensible-enum".to_owned(), values);
    }
    let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    let description = format!("{description}\n\n{GROWS}").trim().to_owned();
    schema.insert("description".to_owned(), json!(description));
}
