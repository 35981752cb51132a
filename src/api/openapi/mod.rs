//! Post-processing of the document that poem-openapi generates.
//!
//! The framework writes OpenAPI 3.0 without nulls, query objects, and the errors and headers of the pipeline. Each file
//! here adds one of these, by rule or from the policy of an operation. The result is OpenAPI 3.1.0 with JSON Schema
//! 2020-12, and deterministic.

mod dedupe;
mod error_messages;
mod errors;
mod example_values;
mod examples;
mod header_parameters;
mod headers;
mod key_order;
mod naming;
mod nullable;
mod parameters;
mod reference;
mod request_response;
mod responses;
mod schemas;
mod security;
mod story;
mod tag_docs;
#[cfg(test)]
mod tests;
mod unions;
mod version_3_0;
mod walk;
mod webhooks;
mod yaml;

use std::collections::BTreeMap;

use poem_openapi::registry::MetaSchema;
use serde_json::{Value, json};

use self::example_values::ExampleValues;
use super::operations::OperationPolicy;

pub use reference::reference;
pub use request_response::shared_schemas;
pub use story::{STORY, Story};
#[cfg(test)]
pub(super) use tag_docs::VECTOR;
pub use version_3_0::downgrade;
pub use walk::resolve;

/// Converts the document of poem-openapi into the published one.
#[must_use]
pub fn postprocess(raw: Value, policies: &[OperationPolicy], story: &Story) -> Value {
    let mut document = raw;
    schemas::normalize(&mut document);
    unions::flatten(&mut document);
    let samples = ExampleValues::from_document(&document);
    for operation in walk::operations_mut(&mut document) {
        let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default();
        let policy = policies.iter().find(|policy| policy.id == id);
        parameters::publish(operation, policy, &samples);
        responses::publish(operation, policy, &samples);
        security::publish(operation, policy);
        if let Some(policy) = policy {
            errors::publish(operation, policy, &samples);
            headers::publish(operation, policy);
        }
    }
    security::define_schemes(&mut document);
    webhooks::publish(&mut document);
    // From here on every body refers to its final schema, so requests and responses can be distinguished.
    request_response::apply(&mut document);
    nullable::publish(&mut document);
    examples::publish(&mut document, story);
    dedupe::apply(&mut document);
    key_order::apply(&mut document);
    document
}

/// Adds schemas to the generated document, unless it has them.
pub fn add_schemas(raw: &mut Value, schemas: BTreeMap<String, MetaSchema>) -> serde_json::Result<()> {
    let Some(known) = walk::components_mut(raw, "schemas") else { return Ok(()) };
    for (name, schema) in schemas {
        known.entry(name).or_insert(serde_json::to_value(schema)?);
    }
    Ok(())
}

/// Returns the document with one server, whose URL may be relative, and with links to its guides.
#[must_use]
pub fn with_server(mut document: Value, url: &str) -> Value {
    if let Value::Object(members) = &mut document {
        members.insert("servers".to_owned(), json!([{ "url": url }]));
    }
    tag_docs::publish(&mut document, url.trim_end_matches('/'));
    key_order::top_level(&mut document);
    document
}

/// Formats the document as the YAML file that is committed.
#[must_use]
pub fn to_yaml(document: &Value) -> String {
    yaml::write(document)
}
