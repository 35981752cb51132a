//! Routes and validates requests against the published `OpenAPI` document.
//!
//! The document is compiled once at the start, so validation cannot drift from the documentation; a document with anything
//! that is not understood does not compile. All violations of a request are reported at once, in the order of the request,
//! and never repeat its values, which may be passwords.

mod collect;
mod document;
mod error_tree;
mod formats;
mod json;
mod messages;
mod normalize;
mod operation;
mod param_type;
mod query;
mod routes;
mod schema_lint;
mod schema_validator;
#[cfg(test)]
mod tests;

pub use json::{MalformedJson, parse_json};
pub use operation::{Checked, Operation};
pub(super) use param_type::decode as percent_decode;
pub use routes::Route;

use self::{document::Document, routes::Routes, schema_validator::Compiler};
use anyhow::{Context, Result, ensure};
use poem::http::Method;
use serde_json::Value;

/// The compiled document.
#[derive(Debug)]
pub struct OpenApiValidator {
    operations: Vec<Operation>,
    routes: Routes,
}

impl OpenApiValidator {
    /// Compiles the operations of an `OpenAPI` 3.1 document.
    ///
    /// # Errors
    /// If a request of the document contains anything unsupported, such as an unknown keyword, format or parameter style
    /// or a dangling reference. The message contains its JSON pointer.
    pub fn compile(document: &Value) -> Result<Self> {
        let version = document.get("openapi").and_then(Value::as_str).unwrap_or_default();
        ensure!(version.starts_with("3.1."), "the document is not OpenAPI 3.1");
        let document = Document::new(document);
        let compiler = Compiler::new(document)?;
        let mut operations = Vec::new();
        let mut routes = Routes::default();
        let paths = document.root().get("paths").context("the document has no paths")?;
        for (path, item) in paths.entries() {
            let item = document.resolve(item)?;
            for (word, part) in item.entries() {
                let Some(method) = routes::method(word) else { continue };
                routes.add(path, method.clone(), operations.len())?;
                let operation = Operation::compile(&compiler, path, method, &item, &part);
                operations.push(operation.with_context(|| format!("{word} {path}"))?);
            }
        }
        routes.finish();
        Ok(Self { operations, routes })
    }

    /// Finds the operation of a method and a raw path without a query.
    ///
    /// HEAD is served by GET. Segments are compared without decoding, and literals win over parameters. A trailing slash is
    /// significant.
    pub fn route(&self, method: &Method, path: &str) -> Route<'_> {
        self.routes.find(&self.operations, method, path)
    }

    /// All operations, in the order of the document.
    pub fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.operations.iter()
    }
}
