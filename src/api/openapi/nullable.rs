//! Converts `nullable` of OpenAPI 3.0 to JSON Schema.

use serde_json::{Value, json};

use super::walk::{self, Object};

pub(super) fn publish(document: &mut Value) {
    walk::each_schema(document, &mut |schema| {
        if schema.shift_remove("nullable") == Some(Value::Bool(true)) {
            admit_null(schema);
        }
    });
}

/// Makes a schema accept `null`; one without a type accepts it already.
fn admit_null(schema: &mut Object) {
    if let Some(reference) = schema.shift_remove("$ref") {
        schema.insert("anyOf".to_owned(), json!([{ "$ref": reference }, { "type": "null" }]));
        return;
    }
    if let Some(Value::Array(choices)) = schema.get_mut("enum")
        && !choices.contains(&Value::Null)
    {
        choices.push(Value::Null);
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(Value::Array(choices)) = schema.get_mut(key) {
            choices.push(json!({ "type": "null" }));
        }
    }
    if let Some(kind) = schema.get_mut("type")
        && kind.is_string()
    {
        *kind = json!([kind.take(), "null"]);
    }
}

/// Returns whether a schema accepts `null`.
pub(super) fn admits_null(schema: &Value, schemas: &Object) -> bool {
    if let Some(name) = walk::referenced(schema) {
        return schemas.get(name).is_some_and(|target| admits_null(target, schemas));
    }
    let choices = ["anyOf", "oneOf"].iter().find_map(|key| schema.get(key)).and_then(Value::as_array);
    match (schema.get("type"), choices) {
        (_, Some(choices)) => choices.iter().any(|choice| admits_null(choice, schemas)),
        (Some(Value::Array(kinds)), None) => kinds.iter().any(|kind| kind == "null"),
        (Some(kind), None) => kind == "null",
        (None, None) => !["allOf", "enum", "const"].iter().any(|key| schema.get(key).is_some()),
    }
}
