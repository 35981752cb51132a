//! The finishing pass: turns the document that poem-openapi generates into the one that is published.
//!
//! The framework writes OpenAPI 3.0 with gaps: nulls it does not admit, errors that middleware gives and no handler
//! declares, query objects that it cannot express. Each file here mends one of these, so that handlers declare only
//! what is theirs. Guarantees: the result is OpenAPI 3.1.0, its schemas are plain JSON Schema 2020-12, and the same
//! input gives the same bytes. Knows nothing of single operations: whatever is special about one is declared with its
//! handler.

mod dedupe;
mod errors;
mod example_values;
mod examples;
mod headers;
mod key_order;
mod naming;
mod normalize;
mod nullable;
mod parameters;
mod request_response;
mod schemas;
mod security;
mod tag_docs;
#[cfg(test)]
mod tests;
mod unions;
mod walk;
mod webhooks;
mod yaml;

use serde_json::{Value, json};

pub use request_response::shared_schemas;

/// Turns the raw document of poem-openapi into the published one.
#[must_use]
pub fn postprocess(raw: Value) -> Value {
    let mut document = raw;
    normalize::apply(&mut document);
    schemas::normalize(&mut document);
    unions::flatten(&mut document);
    parameters::publish(&mut document);
    errors::publish(&mut document);
    security::publish(&mut document);
    tag_docs::publish(&mut document);
    webhooks::publish(&mut document);
    // From here on every body refers to its final schema: only now is it known who sends and who receives what.
    request_response::apply(&mut document);
    nullable::publish(&mut document);
    examples::publish(&mut document);
    headers::publish(&mut document);
    dedupe::apply(&mut document);
    key_order::apply(&mut document);
    document
}

/// The same document with one server, the one at `url`.
#[must_use]
pub fn with_server(document: &Value, url: &str) -> Value {
    let mut document = document.clone();
    if let Value::Object(members) = &mut document {
        members.insert("servers".to_owned(), json!([{ "url": url }]));
    }
    key_order::top_level(&mut document);
    document
}

/// The document as the YAML file that is committed: the same keys in the same order, under a comment that forbids to
/// edit it.
#[must_use]
pub fn to_yaml(document: &Value) -> String {
    yaml::write(document)
}

/// What `node` stands for: itself, or the part of the document that its `$ref` names (a response, a header, a schema).
///
/// Error responses that several operations give alike are published once, under `components.responses`, so whoever
/// reads the responses of an operation goes through here.
#[must_use]
pub fn resolve<'a>(document: &'a Value, node: &'a Value) -> &'a Value {
    let target = node.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
    target.and_then(|pointer| document.pointer(pointer)).unwrap_or(node)
}
