//! The failures of one value, gathered by their places.
//!
//! A tree in the form of the value, so that the details come out in the order of the request without searching it.
//! Guarantees: at most one failure a place, the most basic one; missing fields first at their level, in the order of the
//! schema; at most [`MAX_DETAILS`] details, whatever the request holds. Must not know the words of a failure.

use super::any_of;
use super::formats::UNIQUE_ITEMS;
use super::messages::{self, Violation, sanitized};
use super::{MAX_DETAILS, schema_lint};
use crate::contract::error::{Detail, DetailCode, ErrorLocation};
use jsonschema::{ValidationError, error::ValidationErrorKind as Kind};
use serde_json::Value;
use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
};

/// The failures at one place and below it.
#[derive(Debug, Default)]
pub(super) struct ErrorTree {
    own: Option<Violation>,
    missing: Vec<String>,
    below: HashMap<String, ErrorTree>,
}

impl ErrorTree {
    pub(super) fn is_empty(&self) -> bool {
        self.own.is_none() && self.missing.is_empty() && self.below.is_empty()
    }

    /// Notes a failure at this place, unless a more basic one is known.
    pub(super) fn fail(&mut self, failure: Violation) {
        if self.own.as_ref().is_none_or(|known| failure.precedence() < known.precedence()) {
            self.own = Some(failure);
        }
    }

    /// Notes that a field of this place is missing.
    pub(super) fn miss(&mut self, name: &str) {
        if !self.missing.iter().any(|known| known == name) {
            self.missing.push(name.to_owned());
        }
    }

    /// The place below this one.
    pub(super) fn child(&mut self, name: &str) -> &mut Self {
        self.below.entry(name.to_owned()).or_default()
    }

    /// The place that a JSON pointer names, seen from here.
    ///
    /// Read by hand: the segments of the library turn a key like `007` into the index 7.
    pub(super) fn at(&mut self, pointer: &str) -> &mut Self {
        let segments = pointer.split('/').skip(1);
        segments.fold(self, |node, segment| node.child(&segment.replace("~1", "/").replace("~0", "~")))
    }

    /// Notes what an error of the library says; `self` is the root of the value.
    pub(super) fn add(&mut self, error: &ValidationError<'_>) {
        let value = error.instance();
        let here = self.at(error.instance_path().as_str());
        match error.kind() {
            Kind::AdditionalProperties { unexpected } => {
                for name in unexpected.iter().take(MAX_DETAILS) {
                    here.child(name).fail(Violation::unknown_field());
                }
            }
            Kind::Required { property } => here.miss(property.as_str().unwrap_or_default()),
            Kind::UniqueItems => here.add_repeated(value),
            Kind::Custom { keyword, .. } if keyword == UNIQUE_ITEMS => here.add_repeated(value),
            Kind::Not { schema } => here.add_exclusion(schema, value),
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                any_of::add(self, error.instance_path().as_str(), value, context);
            }
            kind => here.fail(messages::of_value(kind, value)),
        }
    }

    /// Writes everything down, in the order of the value.
    pub(super) fn list(self, value: &Value, details: &mut Vec<Detail>) {
        self.write(value, &mut String::new(), details);
    }

    /// The most basic failure at a place or below it, told about the place itself: for parameters that are lists.
    pub(super) fn take(&mut self, name: &str) -> Option<Violation> {
        fn flatten(node: ErrorTree) -> Option<Violation> {
            let below = node.below.into_values().filter_map(flatten).min_by_key(Violation::precedence);
            node.own.or_else(|| {
                below.map(|failure| match failure.code {
                    DetailCode::Duplicate => Violation { says: "must not name anything twice".to_owned(), ..failure },
                    _ => failure,
                })
            })
        }
        self.below.remove(name).and_then(flatten)
    }

    /// The fields that are missing at this place, in the order of the schema.
    pub(super) fn missing(&self) -> &[String] {
        &self.missing
    }

    fn add_repeated(&mut self, value: &Value) {
        let mut known = HashSet::new();
        let items = value.as_array().into_iter().flatten().enumerate();
        let repeated = items.filter(|(_, item)| !known.insert(item.to_string()));
        for (index, _) in repeated.take(MAX_DETAILS) {
            self.child(&index.to_string()).fail(Violation::new(DetailCode::Duplicate, "is in the list twice"));
        }
        // `1` and `1.0` are equal to JSON Schema, but not to us.
        if self.below.is_empty() {
            self.fail(Violation::new(DetailCode::Duplicate, "must not have an item twice"));
        }
    }

    fn add_exclusion(&mut self, schema: &Value, value: &Value) {
        let Some((one, other)) = schema_lint::exclusion(schema) else { return };
        let position = |name: &str| value.as_object().and_then(|members| members.keys().position(|key| key == name));
        let (earlier, later) = if position(one) < position(other) { (one, other) } else { (other, one) };
        self.child(later).fail(Violation::conflict(earlier));
    }

    fn write(mut self, value: &Value, path: &mut String, details: &mut Vec<Detail>) {
        let mut push = |failure: Violation, path: &str| {
            if details.len() < MAX_DETAILS {
                details.push(failure.about(ErrorLocation::Body, path));
            }
        };
        if let Some(failure) = self.own.take() {
            push(failure, path);
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
