//! Publishes parameters: those of query objects, of the policy, and of the path.

use serde_json::{Value, json};

use super::{
    example_values::{ExampleValues, ID},
    header_parameters, story,
    walk::{self, Object},
};
use crate::api::media_types::QUERY;
use crate::api::operations::OperationPolicy;

pub(super) fn publish(operation: &mut Object, policy: Option<&OperationPolicy>, samples: &ExampleValues) {
    let query = take_query(operation).map(|schema| query_parameters(&schema, samples)).unwrap_or_default();
    let mut parameters = match operation.shift_remove("parameters") {
        Some(Value::Array(declared)) => declared,
        _ => Vec::new(),
    };
    parameters.iter_mut().filter_map(Value::as_object_mut).for_each(|parameter| complete(parameter, samples));
    parameters.extend(query);
    parameters.extend(policy.into_iter().flat_map(header_parameters::of_policy));
    parameters.sort_by_key(|parameter| match parameter.get("in").and_then(Value::as_str) {
        Some("path") => 0,
        Some("query") => 1,
        _ => 2,
    });
    if !parameters.is_empty() {
        operation.insert("parameters".to_owned(), Value::Array(parameters));
    }
}

fn take_query(operation: &mut Object) -> Option<Value> {
    let content = walk::object_mut(walk::object_mut(operation, "requestBody")?, "content")?;
    let schema = content.shift_remove(QUERY)?.get_mut("schema").map(Value::take);
    if content.is_empty() {
        operation.shift_remove("requestBody");
    }
    schema
}

fn query_parameters(schema: &Value, samples: &ExampleValues) -> Vec<Value> {
    let schema = samples.target(schema);
    let required = schema.get("required").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let parameters = properties.map(|(name, property)| {
        let mut parameter = Object::new();
        parameter.insert("name".to_owned(), json!(name));
        parameter.insert("in".to_owned(), json!("query"));
        if required.iter().any(|other| other == name) {
            parameter.insert("required".to_owned(), json!(true));
        }
        let is_list = samples.target(property).get("type").is_some_and(|kind| kind == "array");
        let mut schema = property.clone();
        if let Value::Object(schema) = &mut schema {
            // A query cannot contain null.
            schema.shift_remove("nullable");
            if is_list {
                describe_list(name, schema, samples);
            }
        }
        parameter.insert("schema".to_owned(), schema);
        complete(&mut parameter, samples);
        if !is_optional(&parameter) {
            parameter.entry("example").or_insert_with(|| samples.sample(property));
        }
        Value::Object(parameter)
    });
    parameters.collect()
}

/// Documents both ways to send several values.
fn describe_list(name: &str, schema: &mut Object, samples: &ExampleValues) {
    let items = schema.get("items").map(|items| samples.target(items).clone()).unwrap_or_default();
    let values: Vec<&Value> = items.get("enum").and_then(Value::as_array).into_iter().flatten().collect();
    // Of the event types, those of the story's first events.
    let created = values.iter().copied().filter(|value| value.as_str().is_some_and(|name| name.ends_with(".created")));
    let created: Vec<&Value> = created.collect();
    let examples = match if created.is_empty() { values.as_slice() } else { created.as_slice() } {
        [first, second, ..] => vec![(*first).clone(), (*second).clone()],
        _ => vec![json!("home"), json!("shopping")],
    };
    if let [Value::String(first), Value::String(second)] = examples.as_slice() {
        let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        let description = format!(
            "{description} Several values: repeat the parameter (`{name}={first}&{name}={second}`) or separate them by \
             commas (`{name}={first},{second}`)."
        );
        schema.insert("description".to_owned(), json!(description.trim()));
    }
    schema.insert("examples".to_owned(), json!([examples]));
}

/// Returns whether the examples of a parameter stay in its schema.
///
/// Swagger UI fills the form with `example`, but all optional filters at once would match nothing.
fn is_optional(parameter: &Object) -> bool {
    parameter.get("in").is_some_and(|place| place == "query" || place == "header")
        && parameter.get("required").is_none_or(|required| required == false)
}

/// Moves members from the schema to the parameter, and describes ids in the path.
fn complete(parameter: &mut Object, samples: &ExampleValues) {
    if let Some(mut schema) = parameter.shift_remove("schema") {
        let stays = is_optional(parameter);
        if !stays
            && !parameter.contains_key("example")
            && let Some(example) = samples.declared_example(&schema)
        {
            parameter.insert("example".to_owned(), example);
        }
        if let Value::Object(schema) = &mut schema {
            if !stays {
                schema.shift_remove("examples");
            }
            for key in ["description", "deprecated"] {
                if let Some(value) = schema.shift_remove(key) {
                    parameter.entry(key).or_insert(value);
                }
            }
        }
        parameter.insert("schema".to_owned(), schema);
    }
    if parameter.get("in").is_some_and(|place| place == "path") {
        let name = parameter.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        if let Some(example) = story::path_parameter(&name) {
            parameter.insert("example".to_owned(), example);
        }
        if let Some(owner) = name.strip_suffix("_id") {
            let description = format!("ID of the {}.", owner.replace('_', " "));
            parameter.entry("description").or_insert_with(|| json!(description));
            parameter.entry("example").or_insert_with(|| json!(ID));
        }
        parameter.insert("required".to_owned(), json!(true));
    }
}
