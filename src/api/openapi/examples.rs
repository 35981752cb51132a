//! Adds an example to every body, and adapts declared examples to their schemas.

use serde_json::{Value, json};

use super::{
    example_values::ExampleValues,
    nullable,
    story::Story,
    walk::{self, Object},
};

pub(super) fn publish(document: &mut Value, story: &Story) {
    let samples = ExampleValues::from_document(document);
    for (_, schema) in walk::components_mut(document, "schemas").into_iter().flatten() {
        fit_own_examples(schema, &samples);
    }
    let samples = ExampleValues::from_document(document);
    for operation in walk::operations_mut(document) {
        let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default();
        let (success, current) = ((story.response)(id), (story.current)(id));
        if let Some(request) = walk::object_mut(operation, "requestBody") {
            media(request).for_each(|media| add_example(media, None, &samples));
        }
        for (status, response) in walk::object_mut(operation, "responses").into_iter().flatten() {
            let Some(response) = response.as_object_mut() else { continue };
            if status.starts_with('2') {
                media(response).for_each(|media| add_example(media, success.clone(), &samples));
            } else {
                if let Some(current) = current.as_ref().filter(|_| status == "412") {
                    media(response).for_each(|media| add_current(media, current));
                }
                media(response).for_each(|media| complete_examples(media, &samples));
            }
        }
    }
}

fn media(body: &mut Object) -> impl Iterator<Item = &mut Object> {
    walk::object_mut(body, "content").into_iter().flat_map(Object::values_mut).filter_map(Value::as_object_mut)
}

fn add_example(media: &mut Object, stated: Option<Value>, samples: &ExampleValues) {
    if media.contains_key("example") || media.contains_key("examples") {
        return;
    }
    if let Some(schema) = media.get("schema") {
        let mut example = stated.unwrap_or_else(|| samples.sample(schema));
        drop_forbidden_nulls(&mut example, schema, samples);
        media.insert("example".to_owned(), example);
    }
}

/// Adds the resource that the request would have overwritten.
fn add_current(media: &mut Object, current: &Value) {
    for (_, example) in walk::object_mut(media, "examples").into_iter().flatten() {
        example["value"]["current"] = current.clone();
    }
}

/// Adds required properties beyond the error envelope, such as the current resource.
fn complete_examples(media: &mut Object, samples: &ExampleValues) {
    let Some(schema) = media.get("schema").map(|schema| samples.target(schema).clone()) else { return };
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let required: Vec<&str> = required.collect();
    for (_, example) in walk::object_mut(media, "examples").into_iter().flatten() {
        let Some(Value::Object(value)) = example.get_mut("value") else { continue };
        for name in &required {
            if let Some(property) = schema.get("properties").and_then(|properties| properties.get(name)) {
                value.entry(*name).or_insert_with(|| samples.sample(property));
            }
        }
    }
}

fn fit_own_examples(schema: &mut Value, samples: &ExampleValues) {
    let Some(mut examples) = schema.get_mut("examples").map(Value::take) else { return };
    for example in examples.as_array_mut().into_iter().flatten() {
        drop_forbidden_nulls(example, schema, samples);
    }
    if let Value::Object(schema) = schema {
        schema.insert("examples".to_owned(), json!(examples));
    }
}

/// Removes nulls from examples where requests must omit the field instead.
fn drop_forbidden_nulls(example: &mut Value, schema: &Value, samples: &ExampleValues) {
    let schema = alternative(samples.target(schema), example, samples);
    match example {
        Value::Object(members) => {
            let property = |name: &str| schema.get("properties").and_then(|properties| properties.get(name));
            members.retain(|name, member| {
                !member.is_null()
                    || property(name).is_none_or(|property| nullable::admits_null(property, &samples.schemas))
            });
            for (name, member) in members.iter_mut() {
                if let Some(property) = property(name) {
                    drop_forbidden_nulls(member, property, samples);
                }
            }
        }
        Value::Array(items) => {
            if let Some(inner) = schema.get("items") {
                for item in items {
                    drop_forbidden_nulls(item, inner, samples);
                }
            }
        }
        _ => {}
    }
}

/// Returns the alternative of a tagged union that an example belongs to, or the schema itself.
fn alternative<'s>(schema: &'s Value, example: &Value, samples: &'s ExampleValues) -> &'s Value {
    let tag = schema.pointer("/discriminator/propertyName").and_then(Value::as_str).unwrap_or_default();
    let alternatives = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    let mut alternatives = alternatives.map(|one| samples.target(one));
    let is_tagged = |one: &&Value| one["properties"][tag]["enum"][0] == example[tag];
    alternatives.find(is_tagged).unwrap_or(schema)
}
