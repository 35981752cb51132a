//! Routes and validates requests against the published `OpenAPI` document.
//!
//! The document is compiled once at the start, so validation cannot drift from the documentation; a document with anything
//! that is not understood does not compile. All violations of a request are reported at once, in the order of the request,
//! and never repeat its values, which may be passwords.

mod check;
mod formats;
mod json;
mod operation;
mod query;
mod routes;
mod schema;
#[cfg(test)]
mod tests;
mod violation;

pub use json::{MalformedJson, parse_json};
pub use operation::{Checked, Operation};
pub(super) use query::decode as percent_decode;
pub use routes::Route;
pub(super) use violation::MAX_DETAILS;

use self::routes::{METHODS, PathRoute};
use self::violation::Violation;
use crate::contract::error::{Detail, ErrorLocation};
use anyhow::{Context, Result, ensure};
use poem::http::Method;
use serde_json::Value;
use std::sync::Arc;

/// The compiled document.
#[derive(Debug)]
pub struct OpenApiValidator {
    paths: Vec<PathRoute>,
}

impl OpenApiValidator {
    /// Compiles the operations of an `OpenAPI` 3.1 document.
    ///
    /// # Errors
    /// If a request of the document contains anything unsupported, such as an unknown keyword, format or parameter style
    /// or a dangling reference.
    pub fn compile(document: &Value) -> Result<Self> {
        let version = document["openapi"].as_str().unwrap_or_default();
        ensure!(version.starts_with("3.1."), "the document is not OpenAPI 3.1");
        let mut paths: Vec<PathRoute> = Vec::new();
        for (path, item) in document["paths"].as_object().context("the document has no paths")? {
            let mut operations = Vec::new();
            for (word, method) in METHODS {
                if let Some(operation) = item.get(word) {
                    let operation = Operation::compile(document, path, method, item, operation);
                    operations.push(Arc::new(operation.with_context(|| format!("{word} {path}"))?));
                }
            }
            let route = PathRoute::new(path, operations).with_context(|| path.clone())?;
            ensure!(!paths.iter().any(|known| known.equals(&route)), "{path} is there twice");
            paths.push(route);
        }
        routes::sort(&mut paths);
        Ok(Self { paths })
    }

    /// Finds the operation of a method and a raw path without a query.
    ///
    /// HEAD is served by GET. Segments are compared without decoding, and literals win over parameters. A trailing slash is
    /// significant.
    pub fn route(&self, method: &Method, path: &str) -> Route<'_> {
        routes::find(&self.paths, method, path)
    }

    /// All operations.
    pub fn operations(&self) -> impl Iterator<Item = &Arc<Operation>> {
        self.paths.iter().flat_map(|path| &path.operations)
    }
}

/// Returns the detail about a required field that is missing in the body.
pub(super) fn missing_field(name: &str) -> Detail {
    Violation::required().about(ErrorLocation::Body, name)
}

/// Returns the detail about a field of the body that must not be null.
pub(super) fn null_field(name: &str) -> Detail {
    Violation::types(&[], &Value::Null).about(ErrorLocation::Body, name)
}

/// Returns the detail about an unknown field of the body.
pub(super) fn unknown_field<'n>(name: &str, known: impl Iterator<Item = &'n String>) -> Detail {
    Violation::unknown_field(name, known).about(ErrorLocation::Body, name)
}

/// Returns the detail about an unknown query parameter.
pub(super) fn unknown_parameter<'n>(name: &str, known: impl Iterator<Item = &'n String>) -> Detail {
    Violation::unknown_parameter(name, known).about(ErrorLocation::Query, name)
}
