//! Converts the errors of the JSON Schema library into an error tree.

use super::error_tree::{ErrorTree, MAX_DETAILS};
use super::formats::UNIQUE_ITEMS;
use super::messages::{self, Violation};
use super::schema_lint;
use crate::contract::error::DetailCode;
use jsonschema::{
    JsonType, ValidationError,
    error::{TypeKind, ValidationErrorKind as Kind},
};
use serde_json::Value;
use std::collections::HashSet;

/// Records an error of the JSON Schema library; `root` is the root of the value.
pub(super) fn add(root: &mut ErrorTree, error: &ValidationError<'_>) {
    let value = error.instance();
    let here = root.at(error.instance_path().as_str());
    match error.kind() {
        Kind::AdditionalProperties { unexpected } => {
            for name in unexpected.iter().take(MAX_DETAILS) {
                here.child(name).fail(Violation::unknown_field());
            }
        }
        Kind::Required { property } => here.miss(property.as_str().unwrap_or_default()),
        Kind::UniqueItems => add_repeated(here, value),
        Kind::Custom { keyword, .. } if keyword == UNIQUE_ITEMS => add_repeated(here, value),
        Kind::Not { schema } => add_exclusion(here, schema, value),
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
            add_alternatives(root, error.instance_path().as_str(), value, context);
        }
        kind => here.fail(messages::of_value(kind, value)),
    }
}

fn add_repeated(here: &mut ErrorTree, value: &Value) {
    let mut known = HashSet::new();
    let items = value.as_array().into_iter().flatten().enumerate();
    let repeated = items.filter(|(_, item)| !known.insert(item.to_string()));
    for (index, _) in repeated.take(MAX_DETAILS) {
        here.child(&index.to_string()).fail(Violation::new(DetailCode::Duplicate, "is in the list twice"));
    }
    // `1` and `1.0` are equal to JSON Schema, but not to us.
    if here.below.is_empty() {
        here.fail(Violation::new(DetailCode::Duplicate, "must not have an item twice"));
    }
}

fn add_exclusion(here: &mut ErrorTree, schema: &Value, value: &Value) {
    let Some((one, other)) = schema_lint::exclusion(schema) else { return };
    let position = |name: &str| value.as_object().and_then(|members| members.keys().position(|key| key == name));
    let (earlier, later) = if position(one) < position(other) { (one, other) } else { (other, one) };
    here.child(later).fail(Violation::conflict(earlier));
}

type Branch = Vec<ValidationError<'static>>;

/// Records why a value matches none of several schemas (`anyOf`, `oneOf`).
///
/// Reports the violations of the alternative that was meant, as far as its type or its tag (a field with a single allowed
/// value) shows; otherwise one message that names all alternatives.
fn add_alternatives(root: &mut ErrorTree, place: &str, value: &Value, branches: &[Branch]) {
    let is_here = |error: &&ValidationError<'static>| error.instance_path().as_str() == place;
    let types = |branch: &Branch| branch.iter().filter(is_here).find_map(allowed_types);
    let matching: Vec<&Branch> = branches.iter().filter(|branch| types(branch).is_none()).collect();
    if matching.is_empty() {
        let allowed: Vec<JsonType> = branches.iter().filter_map(types).flatten().collect();
        root.at(place).fail(Violation::types(&allowed, value));
    } else if let Some(meant) = meant(place, value, &matching) {
        for error in meant {
            add(root, error);
        }
    } else if value.is_object() {
        untagged(root, place, &matching);
    } else {
        let violations = matching.iter().filter_map(|branch| branch.iter().find(is_here));
        root.at(place).fail(either(violations.map(|error| messages::of_value(error.kind(), error.instance()))));
    }
}

fn allowed_types(error: &ValidationError<'_>) -> Option<Vec<JsonType>> {
    match error.kind() {
        Kind::Type { kind: TypeKind::Single(kind) } => Some(vec![*kind]),
        Kind::Type { kind: TypeKind::Multiple(kinds) } => Some(kinds.iter().collect()),
        _ => None,
    }
}

/// Returns the only remaining alternative, or the only one whose tags all match.
fn meant<'b>(place: &str, value: &Value, matching: &[&'b Branch]) -> Option<&'b Branch> {
    let is_tagged = matching.len() > 1 && value.is_object();
    let mut left = matching
        .iter()
        .filter(|branch| !is_tagged || branch.iter().all(|error| mismatched_tag(place, error).is_none()));
    let one = left.next()?;
    left.next().is_none().then_some(*one)
}

/// Returns the tag and its expected value, if the error is about the tag of an alternative.
fn mismatched_tag<'e>(place: &str, error: &'e ValidationError<'_>) -> Option<(&'e str, &'e Value)> {
    let path = error.instance_path().as_str();
    let field = path.strip_prefix(place)?.strip_prefix('/').filter(|field| !field.contains('/'))?;
    match error.kind() {
        Kind::Constant { expected_value } => Some((field, expected_value)),
        Kind::Enum { options } => match options.as_array().map(Vec::as_slice) {
            Some([option]) => Some((field, option)),
            _ => None,
        },
        _ => None,
    }
}

/// Records that the tag of an object is missing or unknown.
fn untagged(root: &mut ErrorTree, place: &str, matching: &[&Branch]) {
    let tags: Vec<_> =
        matching.iter().flat_map(|branch| branch.iter()).filter_map(|e| mismatched_tag(place, e)).collect();
    if let Some((field, _)) = tags.first() {
        let mut options: Vec<&Value> = Vec::new();
        for (_, option) in tags.iter().filter(|(name, _)| name == field) {
            if !options.contains(option) {
                options.push(option);
            }
        }
        root.at(&format!("{place}/{field}")).fail(Violation::options(options));
        return;
    }
    let missing = |error: &ValidationError<'_>| match error.kind() {
        Kind::Required { property } if error.instance_path().as_str() == place => Some(property.clone()),
        _ => None,
    };
    let missed_by_all = |name: &Value| matching.iter().all(|b| b.iter().any(|e| missing(e).as_ref() == Some(name)));
    let fewest = matching.iter().min_by_key(|branch| branch.len());
    let errors = || fewest.iter().flat_map(|branch| branch.iter());
    let common: Vec<Value> = errors().filter_map(missing).filter(missed_by_all).collect();
    if common.is_empty() {
        errors().for_each(|error| add(root, error));
    }
    for name in &common {
        root.at(place).miss(name.as_str().unwrap_or_default());
    }
}

/// Merges violations into one: "must be a UUID or one of me, none".
fn either(violations: impl Iterator<Item = Violation>) -> Violation {
    let mut violations: Vec<Violation> = violations.collect();
    // Enum values read best at the end.
    violations.sort_by_key(|violation| std::cmp::Reverse(violation.precedence()));
    violations.dedup();
    let messages: Vec<&str> =
        violations.iter().map(|f| f.message.strip_prefix("must be ").unwrap_or(&f.message)).collect();
    let message = format!("must be {}", messages.join(" or "));
    violations
        .first()
        .map_or_else(|| Violation::types(&[], &Value::Bool(true)), |first| Violation::new(first.code, message))
}
