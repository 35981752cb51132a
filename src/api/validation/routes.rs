//! Routing by the path templates of the document.
//!
//! Literal segments win over parameters, parameters are never empty, and nothing is decoded or normalized.

use super::Operation;
use anyhow::{Context, Result, ensure};
use poem::http::Method;
use std::sync::Arc;

/// Methods in the order of `Allow`. OPTIONS is supported by every path, so it is not an operation.
pub(super) const METHODS: [(&str, Method); 6] = [
    ("get", Method::GET),
    ("head", Method::HEAD),
    ("post", Method::POST),
    ("put", Method::PUT),
    ("patch", Method::PATCH),
    ("delete", Method::DELETE),
];

/// Result of routing.
#[derive(Debug, Clone)]
pub enum Route<'a> {
    /// An operation.
    Found(&'a Arc<Operation>),
    /// The path exists, but not with this method.
    WrongMethod {
        /// The value of the `Allow` header.
        allow: &'a str,
    },
    /// No such path.
    Unknown,
}

/// A path template with its operations.
#[derive(Debug)]
pub(super) struct PathRoute {
    /// The literal segments; `None` is a parameter.
    segments: Vec<Option<String>>,
    pub(super) operations: Vec<Arc<Operation>>,
    allow: String,
}

impl PathRoute {
    pub(super) fn new(template: &str, operations: Vec<Arc<Operation>>) -> Result<Self> {
        let rest = template.strip_prefix('/').context("a path begins with a slash")?;
        let mut segments = Vec::new();
        for segment in rest.split('/') {
            let is_parameter = segment.starts_with('{') && segment.ends_with('}');
            ensure!(is_parameter || !segment.contains(['{', '}']), "a parameter must fill its segment");
            segments.push((!is_parameter).then(|| segment.to_owned()));
        }
        let mut route = Self { segments, operations, allow: String::new() };
        let methods = METHODS.iter().map(|(_, method)| method).filter(|method| route.find(method).is_some());
        route.allow = methods.chain([&Method::OPTIONS]).map(Method::as_str).collect::<Vec<_>>().join(", ");
        Ok(route)
    }

    fn matches(&self, given: &[&str]) -> bool {
        let mut pairs = self.segments.iter().zip(given);
        self.segments.len() == given.len()
            && pairs.all(|(own, given)| own.as_ref().map_or(!given.is_empty(), |literal| literal == given))
    }

    /// Returns whether both templates match the same paths.
    pub(super) fn equals(&self, other: &Self) -> bool {
        self.segments == other.segments
    }

    fn find(&self, method: &Method) -> Option<&Arc<Operation>> {
        let with = |method: &Method| self.operations.iter().find(|operation| operation.method == *method);
        with(method).or_else(|| with(&Method::GET).filter(|_| *method == Method::HEAD))
    }
}

/// Sorts paths, so that the first that matches is the right one: from the left, a literal segment wins over a parameter.
pub(super) fn sort(paths: &mut [PathRoute]) {
    paths.sort_by_cached_key(|route| route.segments.iter().map(Option::is_none).collect::<Vec<_>>());
}

/// Finds the operation of a method and a path.
pub(super) fn find<'a>(sorted: &'a [PathRoute], method: &Method, path: &str) -> Route<'a> {
    let Some(rest) = path.strip_prefix('/') else { return Route::Unknown };
    let given: Vec<&str> = rest.split('/').collect();
    let Some(route) = sorted.iter().find(|route| route.matches(&given)) else { return Route::Unknown };
    route.find(method).map_or(Route::WrongMethod { allow: &route.allow }, Route::Found)
}
