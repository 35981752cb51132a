//! Publishes success responses: their descriptions, and the 304.

use serde_json::{Value, json};

use super::example_values::ExampleValues;
use super::walk::{self, Object};
use crate::api::operations::OperationPolicy;

pub(super) fn publish(operation: &mut Object, policy: Option<&OperationPolicy>, samples: &ExampleValues) {
    let Some(responses) = walk::object_mut(operation, "responses") else { return };
    if policy.is_some_and(|policy| policy.cacheable) {
        responses.insert("304".to_owned(), json!({}));
    }
    for (status, response) in responses {
        let schema = response.pointer("/content/application~1json/schema");
        let body = schema.map(|schema| samples.target(schema).get("description").cloned());
        let description = match status.as_str() {
            "200" => body.flatten().unwrap_or_else(|| json!("Success.")),
            "201" => json!("Created. `Location` is the path of the new resource."),
            "202" => json!("Accepted. The work continues after this response."),
            "204" => json!("Success. No body."),
            "304" => json!("Not modified. No body."),
            _ => continue,
        };
        if let Value::Object(response) = response {
            response.entry("description").or_insert(description);
        }
    }
}
