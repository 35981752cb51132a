//! What differs between the schemas of what a client sends and of what it receives.
//!
//! A request is strict: an unknown field is refused. A response is complete: every field is there, "no value" is `null`,
//! and an enum may grow. An object schema used for both would have to be both, so `shared_schemas` lists those for a test
//! to forbid them.

use serde_json::{Value, json};

use super::walk::{self, Object};

/// Properties of responses that are absent, not null, when there is nothing to say.
const ABSENT: [(&str, &[&str]); 1] = [("ApiError", &["field", "details"])];

/// Lists in responses whose items may be null, which poem-openapi does not write down.
const NULL_ITEMS: [(&str, &str); 1] = [("TaskBatchResult", "results")];

/// Fields of requests that exclude each other, which the types cannot say.
const EXCLUSIVE: [(&str, [&str; 2]); 1] = [("MoveTask", ["before_id", "after_id"])];

const GROWS: &str = "Responses may contain values that were added later: have a way to handle those you do not know.";

/// All that bcrypt reads of a password.
const MAX_PASSWORD_BYTES: u8 = 72;

/// The object schemas that stand in requests and in responses alike, which must be none.
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
    for (_, operation) in walk::operations_mut(document) {
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
                schema["not"] = json!({ "required": fields });
            }
        }
        if received.contains(name) {
            let absent = ABSENT.iter().find(|(owner, _)| owner == name).map_or(&[][..], |(_, properties)| properties);
            walk::within_schema(schema, &mut |schema| make_complete(schema, absent));
            for (_, list) in NULL_ITEMS.iter().filter(|(owner, _)| owner == name) {
                schema["properties"][*list]["items"]["nullable"] = json!(true);
            }
            announce_growth(schema);
        }
    }
}

fn requests(document: &Value) -> impl Iterator<Item = &Value> {
    walk::operations(document).filter_map(|(_, operation)| operation.get("requestBody"))
}

/// What a client receives: responses, and the webhooks that it takes.
fn responses(document: &Value) -> impl Iterator<Item = &Value> {
    let own = walk::operations(document).filter_map(|(_, operation)| operation.get("responses"));
    own.chain(walk::components(document, "responses").map(|(_, response)| response)).chain(document.get("webhooks"))
}

fn make_strict(schema: &mut Object) {
    if schema.contains_key("properties") {
        schema.entry("additionalProperties").or_insert(Value::Bool(false));
    }
    if schema.get("format").is_some_and(|format| format == "password") {
        // In place of the number of characters, which would be a second, weaker rule.
        schema.shift_remove("maxLength");
        schema.insert("x-max-bytes".to_owned(), json!(MAX_PASSWORD_BYTES));
    }
    // Generators make a set of it, which some then write as `{}`; the rule itself stays.
    if let Some(unique) = schema.shift_remove("uniqueItems") {
        schema.insert("x-unique-items".to_owned(), unique);
    }
    for (_, property) in walk::object_mut(schema, "properties").into_iter().flatten() {
        describe_default(property);
    }
}

/// Moves a default into the description: some generators take a field with a default for one that must be sent.
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

fn announce_growth(schema: &mut Value) {
    let Value::Object(schema) = schema else { return };
    if !schema.contains_key("enum") {
        return;
    }
    let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    if !description.contains(GROWS) {
        let description = format!("{description}\n\n{GROWS}").trim().to_owned();
        schema.insert("description".to_owned(), json!(description));
    }
}
