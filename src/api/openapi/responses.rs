//! Publishes success responses: their descriptions, the 304, and examples.

use serde_json::{Value, json};

use super::walk;
use crate::api::operations::OperationPolicy;

pub(super) fn publish(document: &mut Value, policies: &[OperationPolicy]) {
    let schemas = walk::schemas(document);
    for (_, operation) in walk::operations_mut(document) {
        let policy = walk::policy(operation, policies);
        let Some(responses) = walk::object_mut(operation, "responses") else { continue };
        if policy.is_some_and(|policy| policy.cacheable) {
            responses.insert("304".to_owned(), json!({}));
        }
        for (status, response) in responses {
            let schema = response.pointer_mut("/content/application~1json/schema");
            let name = schema.as_deref().and_then(walk::referenced).map(str::to_owned);
            if let Some(example) = policy.and_then(|policy| policy.example?()).filter(|_| status.starts_with('2'))
                && let Some(schema) = schema
            {
                schema["examples"] = json!([example]);
            }
            let body = name.and_then(|name| schemas.get(&name));
            let body = body.and_then(|body| body.get("description")).and_then(Value::as_str).unwrap_or_default();
            let description = match status.as_str() {
                "200" if !body.is_empty() => body,
                "200" => "Success.",
                "201" => "Created. `Location` is the path of the new resource.",
                "202" => "Accepted. The work continues after this response.",
                "204" => "Success. No body.",
                "304" => "Not modified. No body.",
                _ => continue,
            };
            if let Value::Object(response) = response {
                response.entry("description").or_insert_with(|| json!(description));
            }
        }
    }
}
