//! Formats of strings.

use crate::contract::Timestamp;
use crate::contract::ids::parse_hyphenated;

/// A format, and the rest of a sentence about a string that does not have it.
#[derive(Debug)]
pub(super) struct Format {
    name: &'static str,
    pub(super) check: fn(&str) -> bool,
    pub(super) message: &'static str,
}

/// All known formats.
const FORMATS: [Format; 5] = [
    Format { name: "uuid", check: |text| parse_hyphenated(text).is_some(), message: "must be a UUID" },
    Format {
        name: "date-time",
        check: is_time,
        message: "must be a time like 2026-01-31T09:00:00Z (in a query, write + as %2B)",
    },
    Format { name: "email", check: is_email, message: "must be an e-mail address like ada@example.com" },
    Format {
        name: "iana-time-zone",
        check: |text| text.parse::<chrono_tz::Tz>().is_ok(),
        message: "must be the IANA name of a time zone, like Europe/Berlin",
    },
    // An annotation: forms hide what is typed.
    Format { name: "password", check: |_| true, message: "" },
];

pub(super) fn find(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}

fn is_time(text: &str) -> bool {
    // Unlike RFC 3339, chrono also accepts a space instead of `T` and U+2212 as the minus.
    let is_plain = text.is_ascii() && matches!(text.as_bytes().get(10), Some(b'T' | b't'));
    is_plain && Timestamp::parse(text).is_some()
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
