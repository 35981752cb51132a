//! Codes and messages of violations.
//!
//! A message begins with the name of the field and repeats no value of the request.

use super::formats::MAX_BYTES;
use crate::contract::error::{Detail, DetailCode, ErrorLocation};
use crate::contract::strings::pattern_description;
use jsonschema::{
    JsonType,
    error::{TypeKind, ValidationErrorKind},
};
use serde_json::Value;

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

    pub(super) fn unknown_field() -> Self {
        Self::new(DetailCode::UnknownField, "is not a field of this request")
    }

    pub(super) fn conflict(other: &str) -> Self {
        Self::new(DetailCode::Conflict, format!("and {} exclude each other", sanitized(other)))
    }

    pub(super) fn options<'v>(options: impl IntoIterator<Item = &'v Value>) -> Self {
        let words: Vec<String> = options.into_iter().map(word).collect();
        let message = if let [one] = words.as_slice() { format!("must be {one}") } else { one_of(&words) };
        Self::new(DetailCode::Enum, message)
    }

    pub(super) fn types(allowed: &[JsonType], value: &Value) -> Self {
        if value.is_null() {
            return Self::new(DetailCode::Null, "cannot be null");
        }
        let mut words: Vec<&str> = allowed.iter().map(|kind| type_words(*kind)).collect();
        // `null` reads best at the end.
        words.sort_by_key(|word| *word == "null");
        words.dedup();
        Self::new(DetailCode::Type, format!("must be {}", words.join(" or ")))
    }

    /// Precedence of the rule: only the violation with the lowest value is reported for a field.
    pub(super) const fn precedence(&self) -> u8 {
        match self.code {
            DetailCode::Conflict => 1,
            DetailCode::Enum => 2,
            DetailCode::TooShort
            | DetailCode::TooLong
            | DetailCode::TooFew
            | DetailCode::TooMany
            | DetailCode::Minimum
            | DetailCode::Maximum => 3,
            DetailCode::Format => 4,
            DetailCode::Pattern => 5,
            DetailCode::Duplicate => 6,
            _ => 0,
        }
    }

    /// Returns the detail about a field; an empty name is the whole body.
    pub(super) fn about(self, location: ErrorLocation, field: &str) -> Detail {
        let subject = match location {
            ErrorLocation::Body if field.is_empty() => "The request body",
            _ if field.is_empty() => "A parameter without a name",
            _ => field,
        };
        Detail { location, field: field.to_owned(), code: self.code, message: format!("{subject} {}.", self.message) }
    }
}

/// Returns a name of the request without control characters, cut to 100 characters.
pub(super) fn sanitized(name: &str) -> String {
    name.chars().take(100).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Returns the violation of a rule about a single value.
pub(super) fn of_value(kind: &ValidationErrorKind, value: &Value) -> Violation {
    use DetailCode as Code;
    use ValidationErrorKind as Kind;
    match kind {
        Kind::Type { kind: TypeKind::Single(kind) } => Violation::types(&[*kind], value),
        Kind::Type { kind: TypeKind::Multiple(kinds) } => Violation::types(&kinds.iter().collect::<Vec<_>>(), value),
        Kind::Enum { options } => Violation::options(options.as_array().into_iter().flatten()),
        Kind::Constant { expected_value } => Violation::options([&**expected_value]),
        Kind::MinLength { limit: 1 } => Violation::new(Code::TooShort, "must not be empty"),
        Kind::MinLength { limit } => {
            Violation::new(Code::TooShort, format!("must be at least {} long", count(*limit, "character")))
        }
        Kind::MaxLength { limit } => {
            Violation::new(Code::TooLong, format!("must be at most {} long", count(*limit, "character")))
        }
        Kind::Custom { keyword, message } if keyword == MAX_BYTES => Violation::new(Code::TooLong, message.as_str()),
        Kind::MinItems { limit } => {
            Violation::new(Code::TooFew, format!("must have at least {}", count(*limit, "item")))
        }
        Kind::MaxItems { limit } => {
            Violation::new(Code::TooMany, format!("must have at most {}", count(*limit, "item")))
        }
        Kind::MinProperties { limit } => {
            Violation::new(Code::TooFew, format!("must have at least {}", count(*limit, "field")))
        }
        Kind::MaxProperties { limit } => {
            Violation::new(Code::TooMany, format!("must have at most {}", count(*limit, "field")))
        }
        Kind::Minimum { limit } => Violation::new(Code::Minimum, format!("must be at least {}", word(limit))),
        Kind::Maximum { limit } => Violation::new(Code::Maximum, format!("must be at most {}", word(limit))),
        Kind::ExclusiveMinimum { limit } => Violation::new(Code::Minimum, format!("must be more than {}", word(limit))),
        Kind::ExclusiveMaximum { limit } => Violation::new(Code::Maximum, format!("must be less than {}", word(limit))),
        Kind::Format { format } => Violation::new(Code::Format, format_words(format)),
        Kind::Pattern { pattern } => Violation::new(Code::Pattern, pattern_words(pattern, value)),
        // `schema_lint` rejects schemas with any other rule for a single value.
        _ => Violation::new(Code::Type, "is not valid; see the documentation"),
    }
}

fn one_of(words: &[String]) -> String {
    format!("must be one of {}", words.join(", "))
}

/// Formats a value of the document, whole doubles without `.0`.
fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => number.as_f64().map_or_else(String::new, |n| n.to_string()),
        other => other.to_string(),
    }
}

fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

const fn type_words(kind: JsonType) -> &'static str {
    match kind {
        JsonType::Array => "a list",
        JsonType::Boolean => "true or false",
        JsonType::Integer => "a whole number",
        JsonType::Null => "null",
        JsonType::Number => "a number",
        JsonType::Object => "an object",
        JsonType::String => "a string",
    }
}

fn format_words(format: &str) -> String {
    match format {
        "date-time" => "must be a time like 2026-01-31T09:00:00Z (in a query, write + as %2B)".to_owned(),
        "date" => "must be a date like 2026-01-31".to_owned(),
        "uuid" => "must be a UUID".to_owned(),
        "email" => "must be an e-mail address like ada@example.com".to_owned(),
        "iana-time-zone" => "must be the IANA name of a time zone, like Europe/Berlin".to_owned(),
        "uri" => "must be an absolute URL like https://example.com/path".to_owned(),
        other => format!("must have the format {other}"),
    }
}

fn pattern_words(pattern: &str, value: &Value) -> &'static str {
    // Invisible characters are harder to find.
    if value.as_str().is_some_and(|text| text.chars().any(char::is_control)) {
        "must not contain control characters"
    } else {
        pattern_description(pattern)
    }
}
