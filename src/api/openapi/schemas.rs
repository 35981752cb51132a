//! Converts the document from OpenAPI 3.0 to 3.1, and its schemas to JSON Schema 2020-12 (except `nullable`, which
//! later passes still use). Redundant members are dropped.

use serde_json::{Value, json};

use super::walk::{self, Object};
use crate::contract::strings::TRIMMED_PATTERNS;

/// Members of the document with their default values.
const DEFAULTS: [(&str, Value); 3] =
    [("deprecated", Value::Bool(false)), ("explode", Value::Bool(true)), ("required", Value::Bool(false))];

pub(super) fn normalize(document: &mut Value) {
    if let Some(version) = document.get_mut("openapi") {
        *version = json!("3.1.0");
    }
    walk::each_part(document, &mut |part| {
        part.retain(|key, value| {
            let is_default = DEFAULTS.iter().any(|(name, default)| key == name && value == default);
            let is_empty = key == "description" && value == "";
            !is_default && !is_empty
        });
        if let Some(content) = walk::object_mut(part, "content") {
            let media_types = std::mem::take(content).into_iter();
            content.extend(media_types.map(|(name, media)| (name.replace("; charset=utf-8", ""), media)));
        }
    });
    walk::each_schema(document, &mut |schema| {
        drop_noise(schema);
        normalize_example(schema);
        normalize_bounds(schema);
        normalize_format(schema);
        narrow_integers(schema);
        mark_trimmed(schema);
        join_reference(schema);
    });
}

fn drop_noise(schema: &mut Object) {
    if let Some(anything) = schema.get_mut("additionalProperties").filter(|inner| **inner == json!({})) {
        *anything = json!(true);
    }
    schema.retain(|key, value| match key.as_str() {
        "description" | "title" => value.as_str() != Some(""),
        "deprecated" | "nullable" | "readOnly" | "writeOnly" | "uniqueItems" => *value != Value::Bool(false),
        _ => true,
    });
}

fn normalize_example(schema: &mut Object) {
    if let Some(example) = schema.shift_remove("example") {
        schema.entry("examples").or_insert_with(|| json!([example]));
    }
}

fn normalize_bounds(schema: &mut Object) {
    for (bound, exclusive) in [("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")] {
        match schema.get(exclusive) {
            Some(Value::Bool(true)) => {
                if let Some(value) = schema.shift_remove(bound) {
                    schema.insert(exclusive.to_owned(), value);
                }
            }
            Some(Value::Bool(false)) => {
                schema.shift_remove(exclusive);
            }
            _ => {}
        }
    }
    for key in ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"] {
        if let Some(number) = schema.get_mut(key)
            && let Some(whole) = whole(number)
        {
            *number = json!(whole);
        }
    }
}

fn whole(number: &Value) -> Option<i64> {
    let number = number.as_f64().filter(|number| number.fract() == 0.0)?;
    // A cast would silently saturate.
    format!("{number:.0}").parse().ok()
}

fn normalize_format(schema: &mut Object) {
    let unsigned = match schema.get("format").and_then(Value::as_str) {
        Some("int8" | "int16" | "int32" | "int64") => false,
        Some("uint8" | "uint16" | "uint32" | "uint64" | "uint" | "usize") => true,
        _ => return,
    };
    if unsigned && !schema.contains_key("exclusiveMinimum") {
        schema.entry("minimum").or_insert_with(|| json!(0));
    }
    let bounded = |bound, exclusive| schema.contains_key(bound) || schema.contains_key(exclusive);
    if unsigned || (bounded("minimum", "exclusiveMinimum") && bounded("maximum", "exclusiveMaximum")) {
        schema.shift_remove("format");
    }
}

/// Publishes integers with 32 bits, for which most languages have a simpler type. Only sequence numbers need more.
fn narrow_integers(schema: &mut Object) {
    for (name, property) in walk::object_mut(schema, "properties").into_iter().flatten() {
        if name != "sequence" && property.get("format").is_some_and(|format| format == "int64") {
            property["format"] = json!("int32");
        }
    }
}

fn mark_trimmed(schema: &mut Object) {
    let is_name = schema.get("pattern").and_then(Value::as_str).is_some_and(|name| TRIMMED_PATTERNS.contains(&name));
    if is_name || schema.get("format").is_some_and(|format| format == "email") {
        schema.insert("x-trimmed".to_owned(), json!(true));
    }
}

/// Replaces `allOf` of a reference and repeated members by the reference with these members.
fn join_reference(schema: &mut Object) {
    let Some([reference, repeated]) = schema.get("allOf").and_then(Value::as_array).map(Vec::as_slice) else { return };
    let Some(target) = reference.get("$ref").filter(|_| reference.as_object().is_some_and(|all| all.len() == 1)) else {
        return;
    };
    let is_repeated = |(key, value): (&String, &Value)| schema.get(key) == Some(value);
    if !repeated.as_object().is_some_and(|members| members.iter().all(is_repeated)) {
        return;
    }
    let target = target.clone();
    schema.shift_remove("allOf");
    schema.insert("$ref".to_owned(), target);
}
