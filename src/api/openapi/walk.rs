//! Traversal of the document.
//!
//! Example data is never visited, and inner schemas are visited before outer ones.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// A JSON object.
pub(super) type Object = Map<String, Value>;

/// Prefix of references to component schemas.
pub(super) const SCHEMAS: &str = "#/components/schemas/";

/// The operations.
pub(super) fn operations(document: &Value) -> impl Iterator<Item = &Object> {
    let paths = document.get("paths").and_then(Value::as_object).into_iter().flat_map(Object::values);
    paths.filter_map(Value::as_object).flat_map(Object::values).filter_map(Value::as_object)
}

/// The operations.
pub(super) fn operations_mut(document: &mut Value) -> impl Iterator<Item = &mut Object> {
    let paths = document.get_mut("paths").and_then(Value::as_object_mut).into_iter().flat_map(Object::values_mut);
    paths.filter_map(Value::as_object_mut).flat_map(Object::values_mut).filter_map(Value::as_object_mut)
}

pub(super) fn object_mut<'a>(parent: &'a mut Object, key: &str) -> Option<&'a mut Object> {
    parent.get_mut(key).and_then(Value::as_object_mut)
}

/// The members of `components.<kind>`.
pub(super) fn components<'a>(document: &'a Value, kind: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    document.get("components").and_then(|all| all.get(kind)).and_then(Value::as_object).into_iter().flatten()
}

/// The members of `components.<kind>`.
pub(super) fn components_mut<'a>(document: &'a mut Value, kind: &str) -> Option<&'a mut Object> {
    document.get_mut("components").and_then(|all| all.get_mut(kind)).and_then(Value::as_object_mut)
}

/// Adds components of a kind.
pub(super) fn add_components(document: &mut Value, kind: &str, added: Object) {
    if added.is_empty() {
        return;
    }
    let Some(document) = document.as_object_mut() else { return };
    let components = document.entry("components").or_insert_with(|| Value::Object(Object::new()));
    let Some(components) = components.as_object_mut() else { return };
    let members = components.entry(kind).or_insert_with(|| Value::Object(Object::new()));
    if let Some(members) = members.as_object_mut() {
        members.extend(added);
    }
}

/// Copies the component schemas, to look them up while the document changes.
pub(super) fn schemas(document: &Value) -> Object {
    components(document, "schemas").map(|(name, schema)| (name.clone(), schema.clone())).collect()
}

/// Returns the name of the component schema that `schema` refers to.
pub(super) fn referenced(schema: &Value) -> Option<&str> {
    schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix(SCHEMAS))
}

/// Returns `node` itself, or the target of its `$ref`: a response, a header or a schema.
#[must_use]
pub fn resolve<'a>(document: &'a Value, node: &'a Value) -> &'a Value {
    let target = node.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
    target.and_then(|pointer| document.pointer(pointer)).unwrap_or(node)
}

/// Visits every object of the document that is neither a schema nor example data.
pub(super) fn each_part(node: &mut Value, visit: &mut dyn FnMut(&mut Object)) {
    match node {
        Value::Object(members) => {
            for (key, member) in members.iter_mut() {
                if !matches!(key.as_str(), "schema" | "schemas" | "example" | "examples") {
                    each_part(member, visit);
                }
            }
            visit(members);
        }
        Value::Array(items) => items.iter_mut().for_each(|item| each_part(item, visit)),
        _ => {}
    }
}

/// Visits every schema below `node`, which is not a schema itself.
pub(super) fn each_schema(node: &mut Value, visit: &mut dyn FnMut(&mut Object)) {
    match node {
        Value::Object(members) => {
            for (key, member) in members.iter_mut() {
                match key.as_str() {
                    "schema" => within_schema(member, visit),
                    "schemas" => each_value(member, visit),
                    "example" | "examples" => {}
                    _ => each_schema(member, visit),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| each_schema(item, visit)),
        _ => {}
    }
}

/// Visits a schema after its inner schemas; references are not followed.
pub(super) fn within_schema(schema: &mut Value, visit: &mut dyn FnMut(&mut Object)) {
    let Value::Object(members) = schema else { return };
    for key in ["properties", "allOf", "anyOf", "oneOf"] {
        if let Some(inner) = members.get_mut(key) {
            each_value(inner, visit);
        }
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = members.get_mut(key) {
            within_schema(inner, visit);
        }
    }
    visit(members);
}

fn each_value(schemas: &mut Value, visit: &mut dyn FnMut(&mut Object)) {
    match schemas {
        Value::Object(named) => named.values_mut().for_each(|schema| within_schema(schema, visit)),
        Value::Array(listed) => listed.iter_mut().for_each(|schema| within_schema(schema, visit)),
        _ => {}
    }
}

/// Returns the names of the component schemas reachable from some parts of the document.
pub(super) fn reachable_schemas<'a>(document: &Value, starts: impl IntoIterator<Item = &'a Value>) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut waiting: Vec<&str> = Vec::new();
    starts.into_iter().for_each(|start| references(start, &mut waiting));
    while let Some(name) = waiting.pop() {
        if reached.insert(name.to_owned())
            && let Some((_, schema)) = components(document, "schemas").find(|(other, _)| *other == name)
        {
            references(schema, &mut waiting);
        }
    }
    reached
}

// Discriminators refer to schemas by plain strings, so every such string counts.
fn references<'a>(node: &'a Value, found: &mut Vec<&'a str>) {
    match node {
        Value::Object(members) => members.values().for_each(|member| references(member, found)),
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::String(text) => found.extend(text.strip_prefix(SCHEMAS)),
        _ => {}
    }
}
