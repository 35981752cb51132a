//! Normalizes the version, media types, header names and redundant members.

use serde_json::{Value, json};

use super::{
    naming,
    walk::{self, Object},
};

/// Members with their default values.
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
