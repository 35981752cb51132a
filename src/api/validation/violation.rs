//! Violations of rules, with their codes and messages.
//!
//! A message begins with the name of the field and repeats no value of the request.

use crate::contract::error::{Detail, DetailCode, ErrorLocation};
use serde_json::Value;

/// Maximum number of details in a response.
pub(in crate::api) const MAX_DETAILS: usize = 100;

/// Maximum number of characters of an unknown name that are compared with known ones.
const MAX_SUGGESTED: usize = 40;

/// Minimum likeness of a name that is suggested for an unknown one; 1 is equal.
const MIN_LIKENESS: f64 = 0.6;

/// A violated rule. The message continues a sentence that begins with a name: `is required`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) code: DetailCode,
    pub(super) message: String,
}

impl Violation {
    pub(super) fn new(code: DetailCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(super) fn required() -> Self {
        Self::new(DetailCode::Required, "is required")
    }

    pub(super) fn unknown_field<'n>(name: &str, known: impl Iterator<Item = &'n String>) -> Self {
        Self::new(DetailCode::UnknownField, suggest("is not a field of this request", name, known))
    }

    pub(super) fn unknown_parameter<'n>(name: &str, known: impl Iterator<Item = &'n String>) -> Self {
        Self::new(DetailCode::UnknownParameter, suggest("is not a parameter of this operation", name, known))
    }

    pub(super) fn conflict(other: &str) -> Self {
        Self::new(DetailCode::Conflict, format!("and {} exclude each other", sanitized(other)))
    }

    pub(super) fn options<'v>(options: impl IntoIterator<Item = &'v Value>) -> Self {
        let words: Vec<String> = options.into_iter().map(word).collect();
        let one_of = if words.len() == 1 { "" } else { "one of " };
        Self::new(DetailCode::Enum, format!("must be {one_of}{}", words.join(", ")))
    }

    /// Creates the violation of a value that has none of these types of JSON Schema.
    pub(super) fn types(allowed: &[String], value: &Value) -> Self {
        if value.is_null() {
            return Self::new(DetailCode::Null, "cannot be null");
        }
        let words: Vec<&str> = allowed.iter().map(|name| type_words(name).unwrap_or_default()).collect();
        Self::new(DetailCode::Type, format!("must be {}", words.join(" or ")))
    }

    /// Returns the detail about a field; an empty name is the whole body.
    pub(super) fn about(self, location: ErrorLocation, field: &str) -> Detail {
        let subject = match location {
            ErrorLocation::Body if field.is_empty() => "The request body",
            _ if field.is_empty() => "A parameter without a name",
            _ => field,
        };
        let end = if self.message.ends_with('?') { "" } else { "." };
        Detail {
            location,
            field: field.to_owned(),
            code: self.code,
            message: format!("{subject} {}{end}", self.message),
        }
    }
}

/// Appends the known name that is most like an unknown one, if it may be a slip of it.
fn suggest<'n>(message: &str, unknown: &str, known: impl Iterator<Item = &'n String>) -> String {
    // Spellings like `dueAt` and `due-at` are one step from `due_at`.
    let plain = |name: &str| name.replace(['_', '-'], "").to_lowercase();
    let unknown: String = unknown.chars().take(MAX_SUGGESTED).collect();
    let likeness = |name: &String| strsim::normalized_damerau_levenshtein(&plain(&unknown), &plain(name));
    let best = known.map(|name| (likeness(name), name)).max_by(|one, other| one.0.total_cmp(&other.0));
    match best.filter(|(likeness, _)| *likeness >= MIN_LIKENESS) {
        Some((_, name)) => format!("{message}. Did you mean {name}?"),
        None => message.to_owned(),
    }
}

/// Returns a name of the request without control characters, cut to 100 characters.
pub(super) fn sanitized(name: &str) -> String {
    name.chars().take(100).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Formats a value of the document.
pub(super) fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

pub(super) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Describes a type of JSON Schema; `None` if it is not understood.
pub(super) fn type_words(name: &str) -> Option<&'static str> {
    Some(match name {
        "array" => "a list",
        "boolean" => "true or false",
        "integer" => "a whole number",
        "null" => "null",
        "object" => "an object",
        "string" => "a string",
        _ => return None,
    })
}
