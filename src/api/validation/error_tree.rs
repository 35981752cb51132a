//! Violations of a value, gathered by their place.
//!
//! The tree has the shape of the value, so details are listed in the order of the request: at most one per place (the
//! most basic one), missing fields first in the order of the schema, and at most [`MAX_DETAILS`] in total.

use super::messages::{Violation, sanitized};
use crate::contract::error::{Detail, DetailCode, ErrorLocation};
use serde_json::Value;
use std::{collections::HashMap, fmt::Write as _};

/// Maximum number of details in a response.
pub(super) const MAX_DETAILS: usize = 100;

/// The violations at a place and below it.
#[derive(Debug, Default)]
pub(super) struct ErrorTree {
    own: Option<Violation>,
    missing: Vec<String>,
    pub(super) below: HashMap<String, ErrorTree>,
}

impl ErrorTree {
    pub(super) fn is_empty(&self) -> bool {
        self.own.is_none() && self.missing.is_empty() && self.below.is_empty()
    }

    /// Records a violation at this place, unless a more basic one is known.
    pub(super) fn fail(&mut self, violation: Violation) {
        if self.own.as_ref().is_none_or(|known| violation.precedence() < known.precedence()) {
            self.own = Some(violation);
        }
    }

    /// Records that a field is missing here.
    pub(super) fn miss(&mut self, name: &str) {
        if !self.missing.iter().any(|known| known == name) {
            self.missing.push(name.to_owned());
        }
    }

    pub(super) fn child(&mut self, name: &str) -> &mut Self {
        self.below.entry(name.to_owned()).or_default()
    }

    /// Returns the place of a JSON pointer, relative to this one.
    ///
    /// Parsed by hand, because the segments of the library turn a key like `007` into the index 7.
    pub(super) fn at(&mut self, pointer: &str) -> &mut Self {
        let segments = pointer.split('/').skip(1);
        segments.fold(self, |node, segment| node.child(&segment.replace("~1", "/").replace("~0", "~")))
    }

    /// Appends all details, in the order of the value.
    pub(super) fn list(self, value: &Value, details: &mut Vec<Detail>) {
        self.write(value, &mut String::new(), details);
    }

    /// Removes and returns the most basic violation at or below a place, for parameters that are lists.
    pub(super) fn take(&mut self, name: &str) -> Option<Violation> {
        fn flatten(node: ErrorTree) -> Option<Violation> {
            let below = node.below.into_values().filter_map(flatten).min_by_key(Violation::precedence);
            node.own.or_else(|| {
                below.map(|violation| match violation.code {
                    DetailCode::Duplicate => {
                        Violation { message: "must not name anything twice".to_owned(), ..violation }
                    }
                    _ => violation,
                })
            })
        }
        self.below.remove(name).and_then(flatten)
    }

    /// The missing fields, in the order of the schema.
    pub(super) fn missing(&self) -> &[String] {
        &self.missing
    }

    fn write(mut self, value: &Value, path: &mut String, details: &mut Vec<Detail>) {
        let mut push = |violation: Violation, path: &str| {
            if details.len() < MAX_DETAILS {
                details.push(violation.about(ErrorLocation::Body, path));
            }
        };
        if let Some(violation) = self.own.take() {
            push(violation, path);
        }
        let length = path.len();
        for name in &self.missing {
            step(path, name);
            push(Violation::required(), path);
            path.truncate(length);
        }
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    if self.below.is_empty() || details.len() >= MAX_DETAILS {
                        break;
                    }
                    if let Some(child) = self.below.remove(name) {
                        step(path, name);
                        child.write(member, path, details);
                        path.truncate(length);
                    }
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    if self.below.is_empty() || details.len() >= MAX_DETAILS {
                        break;
                    }
                    if let Some(child) = self.below.remove(&index.to_string()) {
                        // Writing to a string cannot fail.
                        let _ = write!(path, "[{index}]");
                        child.write(item, path, details);
                        path.truncate(length);
                    }
                }
            }
            _ => {}
        }
    }
}

fn step(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(&sanitized(name));
}
