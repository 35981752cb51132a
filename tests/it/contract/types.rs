//! Values of other types than the documented ones are refused.

use std::collections::BTreeSet;

use pocket_tasks::api::openapi::resolve;
use serde_json::{Map, Value, json};

use crate::api::fixtures::common::UNKNOWN_ID;
use crate::on_sqlite;
use crate::support::TestApp;
use crate::support::document::{DOCUMENT, operations};

/// Fields of the JSON body of an operation, each with its documented types.
fn fields(operation: &'static Value) -> Option<Vec<(&'static str, Vec<&'static str>)>> {
    let schema = resolved(&operation["requestBody"]["content"]["application/json"]["schema"]);
    let properties = schema["properties"].as_object()?;
    let typed = |(name, schema): (&'static String, &'static Value)| {
        let types = match &resolved(schema)["type"] {
            Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
            other => vec![other.as_str().unwrap_or_else(|| panic!("{name} has no type"))],
        };
        (name.as_str(), types)
    };
    Some(properties.iter().map(typed).collect())
}

/// Schema at the end of a chain of references.
fn resolved(schema: &'static Value) -> &'static Value {
    let target = resolve(&DOCUMENT, schema);
    if target["$ref"].is_null() { target } else { resolved(target) }
}

on_sqlite! {
    async fn every_field_of_every_body_refuses_other_types(app: TestApp) {
        let user = app.user().await;
        let mut count = 0;
        for (id, method, path, operation) in operations() {
            let Some(fields) = fields(operation) else { continue };
            let parts = path.split('{').map(|part| part.split_once('}').map_or(part, |(_, rest)| rest));
            let path = parts.collect::<Vec<_>>().join(UNKNOWN_ID);
            for (kind, value) in [
                ("boolean", json!(true)),
                ("integer", json!(7)),
                ("string", json!("text")),
                ("array", json!([])),
                ("object", json!({})),
            ] {
                let wrong: BTreeSet<_> = fields.iter().filter(|(_, types)| !types.contains(&kind)).map(|(name, _)| *name).collect();
                if wrong.is_empty() {
                    continue;
                }
                let body: Map<_, _> = fields.iter().map(|(name, _)| ((*name).to_owned(), value.clone())).collect();
                let error = user.call(method.clone(), path.clone()).json(&Value::Object(body)).send().await.fails(400, "VALIDATION_FAILED");
                let details = error["details"].as_array().unwrap().iter().filter(|detail| matches!(detail["code"].as_str(), Some("type" | "conflict")));
                let refused: BTreeSet<_> = details.map(|detail| detail["field"].as_str().unwrap()).collect();
                assert_eq!(refused, wrong, "{id} with {kind}");
                count += wrong.len();
            }
        }
        assert!(count > 200, "only {count} values were refused");
    }
}
