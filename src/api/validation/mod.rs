//! Routes and validates every request against the published `OpenAPI` document itself.
//!
//! What the document says is compiled once, at the start, and then decides: so validation cannot drift from the
//! documentation. Guarantees: every failure of a request is found at once, with its place and a stable code, in the
//! order of the request; no value of a request is ever repeated (it may be a password); a document with anything in it
//! that is not understood does not compile. Must not know the Rust types behind the schemas, nor how an error travels.

mod any_of;
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
pub use routes::Route;

use self::{document::Document, routes::Routes, schema_validator::Compiler};
use anyhow::{Context, Result, ensure};
use poem::http::Method;
use serde_json::Value;

/// No answer lists more failures than this; who has more of them has one mistake, repeated.
pub(crate) const MAX_DETAILS: usize = 100;

/// The published document, compiled.
#[derive(Debug)]
pub struct OpenApiValidator {
    operations: Vec<Operation>,
    routes: Routes,
}

impl OpenApiValidator {
    /// Compiles the operations of an `OpenAPI` 3.1 document.
    ///
    /// # Errors
    /// Where the document has anything in a request that this module does not understand: an unknown keyword or format,
    /// a reference to nothing, a style of parameter it cannot read. The message says where.
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

    /// Finds the operation of a method and a raw path, without its query.
    ///
    /// HEAD is served by GET. Segments are compared as they were sent, and literal ones win over parameters; a slash at
    /// the end makes another path.
    pub fn route(&self, method: &Method, path: &str) -> Route<'_> {
        self.routes.find(&self.operations, method, path)
    }

    /// All operations, in the order of the document.
    pub fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.operations.iter()
    }
}
