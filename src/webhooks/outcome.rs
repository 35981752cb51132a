//! Outcome of a webhook request.

use std::time::{Duration, UNIX_EPOCH};

use crate::contract::Timestamp;

/// Maximum length of a response excerpt in bytes.
pub(super) const MAX_EXCERPT_LEN: usize = 8_192;

/// Outcome of a webhook request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Status of the response, if one arrived.
    pub status_code: Option<u16>,
    /// Reason why there is no response or why it counts as a failure. The text is shown to the owner of the webhook and
    /// reveals nothing about the network of this server.
    pub error: Option<String>,
    /// Duration, including the time to read the excerpt.
    pub duration: Duration,
    /// First 8 KiB of the body as text, unset if the body is empty.
    pub excerpt: Option<String>,
    /// Value of the `Retry-After` header.
    pub retry_after: Option<RetryAfter>,
}

/// Value of a `Retry-After` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// Seconds after the response, without an upper bound.
    Seconds(u64),
    /// Point in time.
    At(Timestamp),
}

/// Returns whether the receiver accepted a request: status 2xx and no error.
#[must_use]
pub fn is_success(status_code: Option<u16>, error: Option<&str>) -> bool {
    error.is_none() && status_code.is_some_and(|status| (200..300).contains(&status))
}

impl Outcome {
    /// Returns whether the receiver accepted the request.
    #[must_use]
    pub fn is_success(&self) -> bool {
        is_success(self.status_code, self.error.as_deref())
    }
}

impl RetryAfter {
    /// Parses the header in each of the forms of RFC 9110.
    pub(super) fn parse(value: &str) -> Option<Self> {
        let value = value.trim();
        if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Self::Seconds(value.parse().unwrap_or(u64::MAX)));
        }
        let since = httpdate::parse_http_date(value).ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(Self::At(Timestamp(0) + since))
    }
}

/// Returns the beginning of a body as text. Control characters are replaced, because PostgreSQL rejects NUL and JSON
/// escapes take six bytes each.
pub(super) fn excerpt(body: &[u8]) -> Option<String> {
    let is_control = |character: char| character.is_control() && !matches!(character, '\n' | '\r' | '\t');
    let mut text = String::from_utf8_lossy(body).replace(is_control, "\u{fffd}");
    text.truncate(text.floor_char_boundary(MAX_EXCERPT_LEN));
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_parsed_in_every_form() {
        let at = |text| Some(RetryAfter::At(Timestamp::parse(text).unwrap()));
        for (value, expected) in [
            ("120", Some(RetryAfter::Seconds(120))),
            (" 0 ", Some(RetryAfter::Seconds(0))),
            ("99999999999999999999999", Some(RetryAfter::Seconds(u64::MAX))),
            ("Fri, 31 Dec 1999 23:59:59 GMT", at("1999-12-31T23:59:59Z")),
            ("Friday, 31-Dec-99 23:59:59 GMT", at("1999-12-31T23:59:59Z")),
            ("Fri Dec 31 23:59:59 1999", at("1999-12-31T23:59:59Z")),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("soon", None),
            ("1999-12-31T23:59:59Z", None),
            ("Fri, 31 Feb 1999 25:59:59 GMT", None),
        ] {
            assert_eq!(RetryAfter::parse(value), expected, "{value}");
        }
    }

    #[test]
    fn an_excerpt_is_text_of_limited_length() {
        assert_eq!(excerpt(b""), None);
        assert_eq!(excerpt(b"a\0b\xff").as_deref(), Some("a\u{fffd}b\u{fffd}"));
        assert_eq!(excerpt("a\tb\r\nü\u{a0}".as_bytes()).as_deref(), Some("a\tb\r\nü\u{a0}"));
        for odd in (0..0x20).chain(0x7f..0xa0).filter_map(char::from_u32).filter(|odd| !"\t\r\n".contains(*odd)) {
            assert_eq!(excerpt(format!("a{odd}b").as_bytes()).as_deref(), Some("a\u{fffd}b"), "{odd:?}");
        }
        // As JSON escapes each of these would take six bytes.
        let json = serde_json::to_string(&excerpt(&[1; MAX_EXCERPT_LEN])).unwrap();
        assert!(json.len() <= MAX_EXCERPT_LEN + 2, "{}", json.len());
        // Each of these bytes becomes a character of three.
        let text = excerpt(&[0xff; MAX_EXCERPT_LEN]).unwrap();
        assert_eq!(text.len(), MAX_EXCERPT_LEN / 3 * 3);
        assert_eq!(excerpt(&[b'a'; MAX_EXCERPT_LEN]).unwrap().len(), MAX_EXCERPT_LEN);
    }

    #[test]
    fn only_status_2xx_without_an_error_is_success() {
        for (status, expected) in [(199, false), (200, true), (204, true), (299, true), (300, false), (500, false)] {
            assert_eq!(is_success(Some(status), None), expected, "{status}");
            assert!(!is_success(Some(status), Some("Oh.")), "{status}");
        }
        assert!(!is_success(None, None));
    }
}
