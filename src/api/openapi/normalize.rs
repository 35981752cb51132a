//! Normalizes the version, media types and redundant members.

use serde_json::{Value, json};

use super::walk::{self, Object};

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
            let media_types = std::mem::take(content).into_iter();
            content.extend(media_types.map(|(name, media)| (name.replace("; charset=utf-8", ""), media)));
        }
    });
}

fn drop_noise(part: &mut Object) {
    part.retain(|key, value| {
        let empty = key == "description" && value.as_str() == Some("");
        !empty && !NOISE.iter().any(|(name, assumed)| key == name && value == assumed)
    });
}
