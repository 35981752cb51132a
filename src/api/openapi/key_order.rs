//! Sorts the members of the document in reading order, and drops unused schemas.

use serde_json::Value;

use super::walk::{self, Object};

const DOCUMENT: [&str; 7] = ["openapi", "info", "servers", "tags", "paths", "webhooks", "components"];
const COMPONENTS: [&str; 5] = ["schemas", "parameters", "responses", "headers", "securitySchemes"];
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
const OPERATION: [&str; 9] = [
    "tags",
    "summary",
    "description",
    "operationId",
    "deprecated",
    "security",
    "parameters",
    "requestBody",
    "responses",
];
const PARAMETER: [&str; 9] =
    ["name", "in", "description", "required", "deprecated", "style", "explode", "schema", "example"];
const RESPONSE: [&str; 3] = ["description", "headers", "content"];
const SCHEMA: [&str; 12] = [
    "$ref",
    "anyOf",
    "type",
    "format",
    "enum",
    "title",
    "description",
    "default",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
];
/// Long members of a schema, which come last.
const SCHEMA_END: [&str; 4] = ["required", "properties", "additionalProperties", "examples"];

pub(super) fn apply(document: &mut Value) {
    drop_unused_schemas(document);
    title_schemas(document);
    successors_first(document);
    top_level(document);
    tags(document);
    for kind in COMPONENTS {
        if let Some(members) = walk::components_mut(document, kind) {
            members.sort_keys();
        }
    }
    if let Some(Value::Object(components)) = document.get_mut("components") {
        arrange(components, &COMPONENTS);
    }
    for (_, item) in document.get_mut("paths").and_then(Value::as_object_mut).into_iter().flatten() {
        if let Value::Object(item) = item {
            arrange(item, &METHODS);
        }
    }
    for operation in walk::operations_mut(document) {
        arrange(operation, &OPERATION);
        for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Value::Object(parameter) = parameter {
                arrange(parameter, &PARAMETER);
            }
        }
        walk::object_mut(operation, "responses").into_iter().for_each(arrange_responses);
    }
    walk::components_mut(document, "responses").into_iter().for_each(arrange_responses);
    walk::each_schema(document, &mut |schema| {
        arrange(schema, &SCHEMA);
        for key in SCHEMA_END {
            if let Some(member) = schema.shift_remove(key) {
                schema.insert(key.to_owned(), member);
            }
        }
    });
}

pub(super) fn top_level(document: &mut Value) {
    if let Value::Object(document) = document {
        arrange(document, &DOCUMENT);
    }
}

/// Titles every schema with its name, which generators use where they inline it.
fn title_schemas(document: &mut Value) {
    for (name, schema) in walk::components_mut(document, "schemas").into_iter().flatten() {
        schema["title"] = Value::from(name.as_str());
    }
}

/// Moves the paths of `/v2` before the first deprecated operation.
fn successors_first(document: &mut Value) {
    let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) else { return };
    let (mut successors, others): (Vec<_>, Vec<_>) =
        std::mem::take(paths).into_iter().partition(|(path, _)| path.starts_with("/v2/"));
    for (path, item) in others {
        let mut operations = item.as_object().into_iter().flat_map(Object::values);
        if operations.any(|operation| operation.get("deprecated").is_some_and(|deprecated| deprecated == true)) {
            paths.extend(successors.drain(..));
        }
        paths.insert(path, item);
    }
    paths.extend(successors);
}

/// Sorts tags by their first operation.
fn tags(document: &mut Value) {
    let mut used: Vec<String> = Vec::new();
    for operation in walk::operations_mut(document) {
        let names = operation.get("tags").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        used.extend(names.map(str::to_owned));
    }
    if let Some(tags) = document.get_mut("tags").and_then(Value::as_array_mut) {
        // Tags without an operation, those of messages, come last.
        let position = |tag: &Value| used.iter().position(|name| tag.get("name").is_some_and(|known| known == name));
        tags.sort_by_key(|tag| position(tag).unwrap_or(usize::MAX));
    }
}

fn arrange_responses(responses: &mut Object) {
    responses.values_mut().filter_map(Value::as_object_mut).for_each(|response| arrange(response, &RESPONSE));
}

/// Moves the members with these keys to the front, in this order.
fn arrange(members: &mut Object, keys: &[&str]) {
    let mut rest = std::mem::take(members);
    for key in keys {
        if let Some((key, member)) = rest.shift_remove_entry(*key) {
            members.insert(key, member);
        }
    }
    members.extend(rest);
}

pub(super) fn drop_unused_schemas(document: &mut Value) {
    let responses = document.get("components").and_then(|components| components.get("responses"));
    let starts = [document.get("paths"), document.get("webhooks"), responses];
    let used = walk::reachable_schemas(document, starts.into_iter().flatten());
    if let Some(schemas) = walk::components_mut(document, "schemas") {
        schemas.retain(|name, _| used.contains(name));
    }
}
