//! String formats, and two keywords of our own: length in bytes, and unique items.
//!
//! A schema with a format that is not listed here does not compile.

use chrono::{DateTime, Datelike};
use jsonschema::{Keyword, ValidationError, ValidationOptions, paths::Location};
use serde_json::{Map, Value};
use std::collections::HashSet;

/// Keyword that limits the length of a string in bytes of UTF-8.
pub(super) const MAX_BYTES: &str = "x-max-bytes";

/// Keyword that rejects duplicate items; generators ignore it, unlike `uniqueItems`.
pub(super) const UNIQUE_ITEMS: &str = "x-unique-items";

type Check = fn(&str) -> bool;

const OWN: &[(&str, Check)] =
    &[("uuid", is_uuid), ("date-time", is_time), ("email", is_email), ("iana-time-zone", is_time_zone)];

/// Formats that the JSON Schema library checks.
const LIBRARY: &[&str] = &["uri", "date"];

/// Formats that validate nothing.
const ANNOTATIONS: &[&str] =
    &["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float", "double", "password"];

pub(super) fn is_known(format: &str) -> bool {
    OWN.iter().any(|(name, _)| *name == format) || LIBRARY.contains(&format) || ANNOTATIONS.contains(&format)
}

pub(super) fn register(options: ValidationOptions<'_>) -> ValidationOptions<'_> {
    let options = OWN.iter().fold(options, |options, (name, check)| options.with_format(*name, *check));
    options.should_validate_formats(true).with_keyword(MAX_BYTES, max_bytes).with_keyword(UNIQUE_ITEMS, unique_items)
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn is_time(text: &str) -> bool {
    // Unlike RFC 3339, chrono also accepts a space instead of `T` and U+2212 as the minus.
    let is_plain = text.is_ascii() && matches!(text.as_bytes().get(10), Some(b'T' | b't'));
    // The year in UTC counts: an offset or a leap second may move it out of the range of four digits.
    let year = |text| {
        let time = DateTime::parse_from_rfc3339(text).ok()?;
        Some(DateTime::from_timestamp_millis(time.timestamp_millis())?.year())
    };
    is_plain && year(text).is_some_and(|year| (0..=9999).contains(&year))
}

fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let is_atom = |atom: &str| {
        !atom.is_empty() && atom.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
    };
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 254
        && local.len() <= 64
        && local.split('.').all(is_atom)
        && domain.contains('.')
        && domain.split('.').all(is_label)
}

fn is_time_zone(text: &str) -> bool {
    text.parse::<chrono_tz::Tz>().is_ok()
}

struct MaxBytes {
    limit: u64,
}

impl MaxBytes {
    fn allows(&self, value: &Value) -> bool {
        value.as_str().is_none_or(|text| text.len() as u64 <= self.limit)
    }
}

impl<'i> Keyword<'i> for MaxBytes {
    fn validate(&self, instance: &'i Value) -> Result<(), ValidationError<'i>> {
        if self.allows(instance) {
            return Ok(());
        }
        Err(ValidationError::custom(format!("must be at most {} bytes long", self.limit)))
    }

    fn is_valid(&self, instance: &'i Value) -> bool {
        self.allows(instance)
    }
}

fn max_bytes<'a>(
    _: &'a Map<String, Value>,
    value: &'a Value,
    _: Location,
) -> Result<Box<dyn for<'i> Keyword<'i>>, ValidationError<'a>> {
    let limit = value.as_u64().ok_or_else(|| ValidationError::schema("x-max-bytes must be a whole number"))?;
    Ok(Box::new(MaxBytes { limit }))
}

struct UniqueItems;

impl UniqueItems {
    fn allows(value: &Value) -> bool {
        let mut known = HashSet::new();
        value.as_array().is_none_or(|items| items.iter().all(|item| known.insert(item.to_string())))
    }
}

impl<'i> Keyword<'i> for UniqueItems {
    fn validate(&self, instance: &'i Value) -> Result<(), ValidationError<'i>> {
        if Self::allows(instance) { Ok(()) } else { Err(ValidationError::custom("must not have an item twice")) }
    }

    fn is_valid(&self, instance: &'i Value) -> bool {
        Self::allows(instance)
    }
}

fn unique_items<'a>(
    _: &'a Map<String, Value>,
    value: &'a Value,
    _: Location,
) -> Result<Box<dyn for<'i> Keyword<'i>>, ValidationError<'a>> {
    if value == &Value::Bool(true) {
        return Ok(Box::new(UniqueItems));
    }
    Err(ValidationError::schema("x-unique-items must be true, or absent"))
}
