//! Routing: a tree of path segments, built from the path templates of the document.
//!
//! Literal segments win over parameters, parameters are never empty, and nothing is decoded or normalized.

use super::Operation;
use anyhow::{Context, Result, ensure};
use poem::http::Method;
use std::collections::HashMap;

/// Methods in the order of `Allow`. OPTIONS is supported by every path, so it is not an operation.
const METHODS: [(&str, Method); 6] = [
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
    Found(&'a Operation),
    /// The path exists, but not with this method.
    WrongMethod {
        /// The value of the `Allow` header.
        allow: &'a str,
    },
    /// No such path.
    Unknown,
}

/// Returns the method of a path item member, or `None` for members such as `parameters`.
pub(super) fn method(word: &str) -> Option<Method> {
    METHODS.iter().find(|(name, _)| *name == word).map(|(_, method)| method.clone())
}

/// The path templates, as a tree of segments.
#[derive(Debug, Default)]
pub(super) struct Routes {
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<String, Node>,
    parameter: Option<Box<Node>>,
    /// Operation indexes of the path that ends here.
    operations: Vec<(Method, usize)>,
    allow: String,
}

impl Routes {
    pub(super) fn add(&mut self, path: &str, method: Method, operation: usize) -> Result<()> {
        let rest = path.strip_prefix('/').with_context(|| format!("{path}: a path begins with a slash"))?;
        let mut node = &mut self.root;
        for segment in rest.split('/') {
            node = if segment.starts_with('{') && segment.ends_with('}') {
                node.parameter.get_or_insert_default()
            } else {
                ensure!(!segment.contains(['{', '}']), "{path}: a parameter must fill its segment");
                node.literals.entry(segment.to_owned()).or_default()
            };
        }
        ensure!(node.operations.iter().all(|(known, _)| *known != method), "{method} {path} is there twice");
        node.operations.push((method, operation));
        Ok(())
    }

    /// Computes the `Allow` header of each path, after all operations were added.
    pub(super) fn finish(&mut self) {
        self.root.finish();
    }

    pub(super) fn find<'a>(&'a self, operations: &'a [Operation], method: &Method, path: &str) -> Route<'a> {
        let Some(node) = path.strip_prefix('/').and_then(|rest| self.root.find(rest)) else { return Route::Unknown };
        let index = node.operation(method).or_else(|| {
            let is_head = *method == Method::HEAD;
            is_head.then(|| node.operation(&Method::GET)).flatten()
        });
        let found = index.and_then(|index| operations.get(index));
        found.map_or(Route::WrongMethod { allow: &node.allow }, Route::Found)
    }
}

impl Node {
    fn find(&self, path: &str) -> Option<&Self> {
        let (segment, rest) = match path.split_once('/') {
            Some((segment, rest)) => (segment, Some(rest)),
            None => (path, None),
        };
        let literal = self.literals.get(segment);
        let parameter = self.parameter.as_deref().filter(|_| !segment.is_empty());
        // Backtracks: a literal without a match does not hide a parameter with one.
        [literal, parameter].into_iter().flatten().find_map(|node| match rest {
            Some(rest) => node.find(rest),
            None => Some(node).filter(|node| !node.operations.is_empty()),
        })
    }

    fn operation(&self, method: &Method) -> Option<usize> {
        self.operations.iter().find(|(known, _)| known == method).map(|(_, index)| *index)
    }

    fn finish(&mut self) {
        let allowed = |method: &Method| {
            self.operation(method).is_some() || *method == Method::HEAD && self.operation(&Method::GET).is_some()
        };
        let mut words: Vec<&str> =
            METHODS.iter().filter(|(_, method)| allowed(method)).map(|(_, method)| method.as_str()).collect();
        words.push("OPTIONS");
        self.allow = words.join(", ");
        self.literals.values_mut().chain(self.parameter.as_deref_mut()).for_each(Self::finish);
    }
}
