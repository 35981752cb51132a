//! Moves identical error responses and header parameters to components.
//!
//! A response is named after its codes (`NotFound`), a parameter after its header.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    naming,
    walk::{self, Object},
};

pub(super) fn apply(document: &mut Value) {
    share_parameters(document);
    let mut found: BTreeMap<String, (Value, usize)> = BTreeMap::new();
    for (_, operation) in walk::operations(document) {
        for response in operation.get("responses").and_then(Value::as_object).into_iter().flat_map(Object::values) {
            if let Some(name) = name(response) {
                let (first, uses) = found.entry(name).or_insert_with(|| (response.clone(), 0));
                *uses += usize::from(first == response);
            }
        }
    }
    let shared: Object =
        found.into_iter().filter(|(_, (_, uses))| *uses > 1).map(|(name, (response, _))| (name, response)).collect();
    for (_, operation) in walk::operations_mut(document) {
        for response in walk::object_mut(operation, "responses").into_iter().flat_map(Object::values_mut) {
            if let Some(name) = name(response).filter(|name| shared.get(name) == Some(&*response)) {
                *response = json!({ "$ref": format!("#/components/responses/{name}") });
            }
        }
    }
    walk::add_components(document, "responses", shared);
}

fn share_parameters(document: &mut Value) {
    let mut shared = Object::new();
    for (_, operation) in walk::operations_mut(document) {
        let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten();
        for parameter in parameters.filter(|parameter| parameter.get("in").is_some_and(|place| place == "header")) {
            let Some(name) = parameter.get("name").and_then(Value::as_str).map(str::to_owned) else { continue };
            if *shared.entry(name.clone()).or_insert_with(|| parameter.clone()) == *parameter {
                *parameter = json!({ "$ref": format!("#/components/parameters/{name}") });
            }
        }
    }
    walk::add_components(document, "parameters", shared);
}

fn name(response: &Value) -> Option<String> {
    let examples = response.pointer("/content/application~1json/examples")?.as_object()?;
    Some(examples.keys().map(|code| naming::pascal(code)).collect::<Vec<_>>().join("Or"))
}
