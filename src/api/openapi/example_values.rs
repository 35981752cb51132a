//! Example values: declared by a schema, or derived from its type and format.

use serde_json::{Value, json};

use super::walk::{self, Object};

/// An id, for examples.
pub(super) const ID: &str = "0199d0a0-5b7c-7d3e-9a41-6f2b8c0d1e2f";

/// Maximum depth, because schemas may be recursive.
const DEPTH: u8 = 12;

/// Derives examples from the schemas of a document.
pub(super) struct ExampleValues {
    /// The component schemas, by name.
    pub(super) schemas: Object,
}

impl ExampleValues {
    pub(super) fn from_document(document: &Value) -> Self {
        Self { schemas: walk::schemas(document) }
    }

    /// Returns an example of a schema.
    pub(super) fn sample(&self, schema: &Value) -> Value {
        self.sample_within(schema, DEPTH)
    }

    /// Returns the first declared example, the first enum value, or the default of a schema.
    pub(super) fn declared_example(&self, schema: &Value) -> Option<Value> {
        self.declared_within(schema, DEPTH)
    }

    /// Returns the target of a reference, or the schema itself.
    pub(super) fn target<'a>(&'a self, schema: &'a Value) -> &'a Value {
        walk::referenced(schema).and_then(|name| self.schemas.get(name)).unwrap_or(schema)
    }

    fn declared_within(&self, schema: &Value, depth: u8) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        let first = |key: &str| schema.get(key).and_then(|values| values.get(0)).cloned();
        let elsewhere = || {
            let target = walk::referenced(schema).and_then(|name| self.schemas.get(name));
            target.or_else(|| alternative(schema)).and_then(|target| self.declared_within(target, depth))
        };
        let default = || schema.get("default").filter(|default| !default.is_null()).cloned();
        first("examples").or_else(|| first("enum")).or_else(elsewhere).or_else(default)
    }

    fn sample_within(&self, schema: &Value, depth: u8) -> Value {
        let Some(depth) = depth.checked_sub(1) else { return Value::Null };
        if let Some(stated) = self.declared_example(schema) {
            return stated;
        }
        let target = self.target(schema);
        if let Some(alternative) = alternative(target) {
            return self.sample_within(alternative, depth);
        }
        match kind(target) {
            Some("object") => {
                let properties = target.get("properties").and_then(Value::as_object).into_iter().flatten();
                let sample = |property| {
                    if is_usually_null(property) { Value::Null } else { self.sample_within(property, depth) }
                };
                properties.map(|(name, property)| (name.clone(), sample(property))).collect()
            }
            Some("array") => target.get("items").map_or(json!([]), |items| json!([self.sample_within(items, depth)])),
            Some("boolean") => json!(true),
            Some("integer" | "number") => number(target),
            Some("string") => text(target),
            _ => json!({}),
        }
    }
}

fn alternative(schema: &Value) -> Option<&Value> {
    ["anyOf", "oneOf"].iter().find_map(|key| schema.get(key)).and_then(|choices| choices.get(0))
}

fn kind(schema: &Value) -> Option<&str> {
    match schema.get("type")? {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null"),
        kind => kind.as_str(),
    }
}

/// Returns whether the description says `null unless ...`: a value would contradict the rest of the example.
fn is_usually_null(property: &Value) -> bool {
    let admits_null = property.get("type").is_some_and(Value::is_array) || property.get("anyOf").is_some();
    admits_null && property.get("description").and_then(Value::as_str).is_some_and(|text| text.contains("null unless"))
}

fn number(schema: &Value) -> Value {
    let above = schema.get("exclusiveMinimum").and_then(Value::as_i64).map(|bound| json!(bound.saturating_add(1)));
    let least = || schema.get("minimum").filter(|least| least.as_f64() > Some(1.0)).cloned();
    let most = || schema.get("maximum").filter(|most| most.as_f64() < Some(1.0)).cloned();
    above.or_else(least).or_else(most).unwrap_or(json!(1))
}

fn text(schema: &Value) -> Value {
    match schema.get("format").and_then(Value::as_str) {
        Some("uuid") => json!(ID),
        Some("date-time") => json!("2026-01-31T09:00:00.000Z"),
        Some("date") => json!("2026-01-31"),
        Some("email") => json!("ada@example.com"),
        Some("uri" | "url") => json!("https://example.com/hooks/tasks"),
        Some("uri-reference") => json!("/v1/me"),
        Some("password") => json!("correct horse battery staple"),
        _ => {
            let length =
                |key: &str| schema.get(key).and_then(Value::as_u64).and_then(|length| usize::try_from(length).ok());
            let least = length("minLength").unwrap_or(0);
            let most = length("maxLength").unwrap_or(usize::MAX);
            let text: String = "example".chars().cycle().take(least.max("example".len()).min(most)).collect();
            json!(text)
        }
    }
}
