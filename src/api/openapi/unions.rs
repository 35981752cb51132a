//! Flattens the members of tagged unions.
//!
//! poem-openapi writes each as `allOf` of the tag and the object. Neither half could reject unknown fields, and few client
//! generators support it.

use serde_json::{Value, json};

use super::walk::{self, Object};

pub(super) fn flatten(document: &mut Value) {
    let schemas = walk::schemas(document);
    walk::each_schema(document, &mut |schema| {
        if let Some(whole) = whole(schema, &schemas) {
            *schema = whole;
        }
    });
    let members = schemas.iter().filter(|(_, schema)| schema.get("allOf").is_some());
    for (name, owner) in members.filter_map(|(name, _)| Some((name, name.split_once('_')?.1))) {
        rename(document, name, owner);
    }
}

/// Renames a union member to its object, unless the object is used on its own.
fn rename(document: &mut Value, name: &str, owner: &str) {
    let reference = |name: &str| format!("{}{name}", walk::SCHEMAS);
    let own = reference(owner);
    if !schemas_hold(document, owner) || names(document, &own) {
        return;
    }
    if let Some(schemas) = walk::components_mut(document, "schemas")
        && let Some(whole) = schemas.shift_remove(name)
    {
        schemas.insert(owner.to_owned(), whole);
    }
    replace(document, &reference(name), &own);
}

fn schemas_hold(document: &Value, name: &str) -> bool {
    walk::components(document, "schemas").any(|(known, _)| known == name)
}

fn names(node: &Value, text: &str) -> bool {
    match node {
        Value::Object(members) => members.values().any(|member| names(member, text)),
        Value::Array(items) => items.iter().any(|item| names(item, text)),
        Value::String(string) => string == text,
        _ => false,
    }
}

fn replace(node: &mut Value, text: &str, by: &str) {
    match node {
        Value::Object(members) => members.values_mut().for_each(|member| replace(member, text, by)),
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, text, by)),
        Value::String(string) if string == text => by.clone_into(string),
        _ => {}
    }
}

fn whole(schema: &Object, schemas: &Object) -> Option<Object> {
    let parts = schema.get("allOf")?.as_array()?;
    let parts = parts.iter().map(|part| plain_object(part, schemas)).collect::<Option<Vec<_>>>()?;
    let mut whole = Object::new();
    let mut properties = Object::new();
    let mut required: Vec<Value> = Vec::new();
    let mut example = Object::new();
    for part in parts.iter().rev() {
        whole.extend(part.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    for part in parts {
        for (name, property) in part.get("properties").and_then(Value::as_object).into_iter().flatten() {
            // The tag comes first: its enum has one value, unlike a field of the same name in the object.
            let property = properties.entry(name).or_insert_with(|| property.clone());
            if let Some([only]) = property.get("enum").and_then(Value::as_array).map(Vec::as_slice) {
                example.entry(name).or_insert_with(|| only.clone());
                let description = format!("Always `{}`.", only.as_str().unwrap_or_default());
                if let Value::Object(property) = property {
                    property.entry("description").or_insert_with(|| json!(description));
                }
            }
        }
        for name in part.get("required").and_then(Value::as_array).into_iter().flatten() {
            if !required.contains(name) {
                required.push(name.clone());
            }
        }
        for (name, value) in
            part.get("examples").and_then(|all| all.get(0)).and_then(Value::as_object).into_iter().flatten()
        {
            example.entry(name).or_insert_with(|| value.clone());
        }
    }
    whole.insert("required".to_owned(), json!(required));
    whole.insert("properties".to_owned(), Value::Object(properties));
    if whole.contains_key("examples") {
        whole.insert("examples".to_owned(), json!([example]));
    }
    whole.shift_remove("title");
    // The description of the union does not apply to its members.
    let own = schema.iter().filter(|(key, _)| *key != "allOf" && !whole.contains_key(*key));
    let own: Object = own.map(|(key, value)| (key.clone(), value.clone())).collect();
    whole.extend(own);
    Some(whole)
}

fn plain_object<'a>(part: &'a Value, schemas: &'a Object) -> Option<&'a Object> {
    let part = match walk::referenced(part) {
        Some(name) => schemas.get(name)?,
        None => part,
    };
    let composed = ["allOf", "anyOf", "oneOf"].iter().any(|key| part.get(key).is_some());
    part.as_object().filter(|part| part.get("type").is_some_and(|kind| kind == "object") && !composed)
}
