//! Mends what surrounds the schemas: version, media types, spelling of headers, and members that say nothing.

use serde_json::{Value, json};

use super::{
    naming,
    walk::{self, Object},
};

/// Members that only repeat what OpenAPI assumes anyway.
const NOISE: [(&str, Value); 3] =
    [("deprecated", Value::Bool(false)), ("explode", Value::Bool(true)), ("required", Value::Bool(false))];

pub(super) fn apply(document: &mut Value) {
    if let Some(version) = document.get_mut("openapi") {
        *version = json!("3.1.0");
    }
    walk::each_part(document, &mut |part| {
        drop_noise(part);
        if let Some(content) = walk::object_mut(part, "content") {
            rename_keys(content, |media_type| match media_type {
                "application/json; charset=utf-8" => "application/json".to_owned(),
                other => other.to_owned(),
            });
        }
        if let Some(headers) = walk::object_mut(part, "headers") {
            rename_keys(headers, naming::header);
        }
        if part.get("in").and_then(Value::as_str) == Some("header")
            && let Some(name) = part.get("name").and_then(Value::as_str)
        {
            let name = naming::header(name);
            part.insert("name".to_owned(), Value::String(name));
        }
    });
    describe_responses(document);
    complete_descriptions(document);
}

fn drop_noise(part: &mut Object) {
    part.retain(|key, value| {
        let empty = key == "description" && value.as_str() == Some("");
        !empty && !NOISE.iter().any(|(name, assumed)| key == name && value == assumed)
    });
}

fn rename_keys(members: &mut Object, rename: impl Fn(&str) -> String) {
    *members = std::mem::take(members).into_iter().map(|(key, member)| (rename(&key), member)).collect();
}

/// Lets the schema of the body complete a description that ends with a colon.
fn complete_descriptions(document: &mut Value) {
    let schemas = walk::schemas(document);
    for (_, operation) in walk::operations_mut(document) {
        for (_, response) in walk::object_mut(operation, "responses").into_iter().flatten() {
            let Some(begun) = response["description"].as_str().filter(|text| text.ends_with(':')) else { continue };
            let schema = response.pointer("/content/application~1json/schema");
            let schema = schema.and_then(|schema| schema.pointer("/allOf/0").or(Some(schema)));
            let body = schema.and_then(walk::referenced).and_then(|name| schemas.get(name));
            let said = body.and_then(|body| body.get("description")).and_then(Value::as_str).unwrap_or_default();
            let whole = format!("{begun} {said}");
            response["description"] = json!(whole.trim_start_matches(": "));
        }
    }
}

fn describe_responses(document: &mut Value) {
    for (_, operation) in walk::operations_mut(document) {
        for (status, response) in walk::object_mut(operation, "responses").into_iter().flatten() {
            if let Value::Object(response) = response {
                response.entry("description").or_insert_with(|| json!(naming::reason(status)));
            }
        }
    }
}
