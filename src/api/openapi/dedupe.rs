//! Moves identical error responses, header parameters and headers of responses to components.
//!
//! A response is named after its codes (`NotFound`), the others after their header. A part that differs from the first
//! one of its name stays inline.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    naming,
    walk::{self, Object},
};

pub(super) fn apply(document: &mut Value) {
    let parameters = share("parameters", 1, walk::operations_mut(document).flat_map(header_parameters));
    walk::add_components(document, "parameters", parameters);
    let headers = walk::operations_mut(document).flat_map(responses).flat_map(|response| {
        let headers = response.get_mut("headers").and_then(Value::as_object_mut).into_iter().flatten();
        headers.map(|(name, header)| (name.clone(), header))
    });
    let headers = share("headers", 1, headers);
    walk::add_components(document, "headers", headers);
    let errors = walk::operations_mut(document).flat_map(responses);
    let errors = share("responses", 2, errors.filter_map(|response| Some((error_name(response)?, response))));
    walk::add_components(document, "responses", errors);
}

fn header_parameters(operation: &mut Object) -> impl Iterator<Item = (String, &mut Value)> {
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten();
    let headers = parameters.filter(|parameter| parameter.get("in").is_some_and(|place| place == "header"));
    headers.filter_map(|parameter| Some((parameter.get("name")?.as_str()?.to_owned(), parameter)))
}

fn responses(operation: &mut Object) -> impl Iterator<Item = &mut Value> {
    walk::object_mut(operation, "responses").into_iter().flat_map(Object::values_mut)
}

fn error_name(response: &Value) -> Option<String> {
    let examples = response.pointer("/content/application~1json/examples")?.as_object()?;
    Some(examples.keys().map(|code| naming::pascal(code)).collect::<Vec<_>>().join("Or"))
}

/// Replaces parts that are used at least `min_uses` times by references, and returns their definitions.
fn share<'d>(kind: &str, min_uses: usize, parts: impl Iterator<Item = (String, &'d mut Value)>) -> Object {
    let mut uses: BTreeMap<String, Vec<&mut Value>> = BTreeMap::new();
    for (name, part) in parts {
        let same = uses.entry(name).or_default();
        if same.first().is_none_or(|first| *first == part) {
            same.push(part);
        }
    }
    let shared = uses.into_iter().filter(|(_, same)| same.len() >= min_uses);
    let definitions = shared.map(|(name, same)| {
        let reference = json!({ "$ref": format!("#/components/{kind}/{name}") });
        let replaced = same.into_iter().map(|part| std::mem::replace(part, reference.clone()));
        (name, replaced.last().unwrap_or_default())
    });
    definitions.collect()
}
