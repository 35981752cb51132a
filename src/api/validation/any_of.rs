//! What to say when a value fits none of several alternatives (`anyOf`, `oneOf`).
//!
//! Guarantees: the failures told are those of the alternative that was meant, as far as the value shows it: the one of
//! its type, or the one that its tag (a field with a single allowed value) names. Otherwise one sentence names them all.

use super::error_tree::ErrorTree;
use super::messages::{self, Violation};
use jsonschema::{
    JsonType, ValidationError,
    error::{TypeKind, ValidationErrorKind as Kind},
};
use serde_json::Value;

type Branch = Vec<ValidationError<'static>>;

/// Notes why the value at a place fits no alternative; `root` is the root of the value.
pub(super) fn add(root: &mut ErrorTree, place: &str, value: &Value, branches: &[Branch]) {
    let is_here = |error: &&ValidationError<'static>| error.instance_path().as_str() == place;
    let types = |branch: &Branch| branch.iter().filter(is_here).find_map(allowed_types);
    let fitting: Vec<&Branch> = branches.iter().filter(|branch| types(branch).is_none()).collect();
    if fitting.is_empty() {
        let allowed: Vec<JsonType> = branches.iter().filter_map(types).flatten().collect();
        root.at(place).fail(Violation::types(&allowed, value));
    } else if let Some(meant) = meant(place, value, &fitting) {
        for error in meant {
            root.add(error);
        }
    } else if value.is_object() {
        untagged(root, place, &fitting);
    } else {
        let failures = fitting.iter().filter_map(|branch| branch.iter().find(is_here));
        root.at(place).fail(either(failures.map(|error| messages::of_value(error.kind(), error.instance()))));
    }
}

fn allowed_types(error: &ValidationError<'_>) -> Option<Vec<JsonType>> {
    match error.kind() {
        Kind::Type { kind: TypeKind::Single(kind) } => Some(vec![*kind]),
        Kind::Type { kind: TypeKind::Multiple(kinds) } => Some(kinds.iter().collect()),
        _ => None,
    }
}

/// The one alternative that is left, or the one whose tags all fit.
fn meant<'b>(place: &str, value: &Value, fitting: &[&'b Branch]) -> Option<&'b Branch> {
    let is_tagged = fitting.len() > 1 && value.is_object();
    let mut left =
        fitting.iter().filter(|branch| !is_tagged || branch.iter().all(|error| wrong_tag(place, error).is_none()));
    let one = left.next()?;
    left.next().is_none().then_some(*one)
}

/// The name of the field and the value it should have, where the error says that this is another alternative.
fn wrong_tag<'e>(place: &str, error: &'e ValidationError<'_>) -> Option<(&'e str, &'e Value)> {
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

/// An object that names no alternative: its tag is missing or has an unknown value.
fn untagged(root: &mut ErrorTree, place: &str, fitting: &[&Branch]) {
    let tags: Vec<_> = fitting.iter().flat_map(|branch| branch.iter()).filter_map(|e| wrong_tag(place, e)).collect();
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
    let missed_by_all = |name: &Value| fitting.iter().all(|b| b.iter().any(|e| missing(e).as_ref() == Some(name)));
    let fewest = fitting.iter().min_by_key(|branch| branch.len());
    let errors = || fewest.iter().flat_map(|branch| branch.iter());
    let common: Vec<Value> = errors().filter_map(missing).filter(missed_by_all).collect();
    if common.is_empty() {
        errors().for_each(|error| root.add(error));
    }
    for name in &common {
        root.at(place).miss(name.as_str().unwrap_or_default());
    }
}

/// One failure for a value that could have been several things: "must be a UUID or one of me, none".
fn either(failures: impl Iterator<Item = Violation>) -> Violation {
    let mut failures: Vec<Violation> = failures.collect();
    // The options of an enumeration read best at the end.
    failures.sort_by_key(|failure| std::cmp::Reverse(failure.precedence()));
    failures.dedup();
    let says: Vec<&str> = failures.iter().map(|f| f.says.strip_prefix("must be ").unwrap_or(&f.says)).collect();
    let says = format!("must be {}", says.join(" or "));
    failures.first().map_or_else(|| Violation::types(&[], &Value::Bool(true)), |first| Violation::new(first.code, says))
}
