//! Flattens the members of tagged unions.
//!
//! poem-openapi writes each as `allOf` of the tag and the object. Neither half could reject unknown fields, and few client
//! generators support it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::walk::{self, Object};

pub(super) fn flatten(document: &mut Value) {
    let schemas = walk::schemas(document);
    walk::each_schema(document, &mut |schema| {
        if let Some(whole) = whole(schema, &schemas) {
            *schema = whole;
        }
    });
    let mut used = BTreeSet::new();
    references(document, &mut used);
    let Some(known) = walk::components_mut(document, "schemas") else { return };
    let mut renamed = BTreeMap::new();
    let members = schemas.iter().filter(|(_, schema)| schema.get("allOf").is_some());
    for (name, owner) in members.filter_map(|(name, _)| Some((name, name.split_once('_')?.1))) {
        // A member gets the name of its object, unless the object is used on its own.
        let own = format!("{}{owner}", walk::SCHEMAS);
        if known.contains_key(owner) && used.insert(own.clone()) {
            if let Some(whole) = known.shift_remove(name) {
                known.insert(owner.to_owned(), whole);
            }
            renamed.insert(format!("{}{name}", walk::SCHEMAS), own);
        }
    }
    rename(document, &renamed);
}

/// Collects the references to schemas.
fn references(node: &Value, found: &mut BTreeSet<String>) {
    match node {
        Value::Object(members) => members.values().for_each(|member| references(member, found)),
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::String(text) if text.starts_with(walk::SCHEMAS) => drop(found.insert(text.clone())),
        _ => {}
    }
}

/// Replaces references.
fn rename(node: &mut Value, renamed: &BTreeMap<String, String>) {
    match node {
        Value::Object(members) => members.values_mut().for_each(|member| rename(member, renamed)),
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, renamed)),
        Value::String(text) if text.starts_with(walk::SCHEMAS) => {
            if let Some(own) = renamed.get(text) {
                text.clone_from(own);
            }
        }
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
