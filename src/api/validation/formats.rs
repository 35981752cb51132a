//! Formats of strings.

use url::Url;

use crate::contract::ids::parse_hyphenated;
use crate::contract::{Timestamp, email};

/// A format of strings.
#[derive(Debug)]
pub(super) struct Format {
    name: &'static str,
    /// Converts a string to the form in which it is checked and passed on.
    pub(super) normalize: Option<fn(&str) -> String>,
    /// Checks a string; the error is the rest of a sentence about it.
    pub(super) check: fn(&str) -> Result<(), &'static str>,
}

/// All known formats.
const FORMATS: [Format; 6] = [
    Format { name: "uuid", normalize: None, check: |text| require(parse_hyphenated(text).is_some(), "must be a UUID") },
    Format { name: "date-time", normalize: None, check: check_time },
    Format { name: "email", normalize: Some(email::normalize), check: email::check },
    Format { name: "url", normalize: None, check: check_url },
    Format {
        name: "iana-time-zone",
        normalize: None,
        check: |text| {
            let is_known = text.parse::<chrono_tz::Tz>().is_ok();
            require(is_known, "must be the IANA name of a time zone, like Europe/Berlin")
        },
    },
    // An annotation: forms hide what is typed.
    Format { name: "password", normalize: None, check: |_| Ok(()) },
];

pub(super) fn find(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}

fn require(condition: bool, message: &'static str) -> Result<(), &'static str> {
    if condition { Ok(()) } else { Err(message) }
}

fn check_time(text: &str) -> Result<(), &'static str> {
    // Unlike RFC 3339, chrono also accepts a space instead of `T` and U+2212 as the minus.
    let is_plain = text.is_ascii() && matches!(text.as_bytes().get(10), Some(b'T' | b't'));
    if is_plain && Timestamp::parse(text).is_some() {
        return Ok(());
    }
    if is_plain && Timestamp::parse(&format!("{text}Z")).is_some() {
        return Err("has no UTC offset: append Z, or an offset like +02:00 (in a query, write + as %2B)");
    }
    Err("must be a time like 2026-01-31T09:00:00Z (in a query, write + as %2B)")
}

/// Checks that a string is an absolute URL. Whether the server may call it is not a matter of its format.
fn check_url(text: &str) -> Result<(), &'static str> {
    // URL parsers disagree about these characters. Control characters have a message of their own.
    let is_ambiguous = |c: char| c == '\\' || c.is_whitespace();
    let has_host = text.split_once("://").is_some_and(|(_, rest)| !rest.is_empty() && !rest.starts_with('/'));
    let is_url = has_host && !text.contains(is_ambiguous) && Url::parse(text).is_ok();
    require(
        is_url || text.contains(char::is_control),
        "must be an absolute URL like https://example.com/hooks, without spaces and backslashes",
    )
}
