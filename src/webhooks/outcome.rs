//! What became of a request.

use std::time::{Duration, UNIX_EPOCH};

use crate::contract::Timestamp;

/// How much of an answer is kept, in bytes.
pub(super) const EXCERPT: usize = 8_192;

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The status of the answer, if one came.
    pub status_code: Option<u16>,
    /// Why there is no answer, or why it does not count: a sentence for whom the webhook belongs to, in which nothing
    /// about the network of this server is told.
    pub error: Option<String>,
    /// How long it took, reading the excerpt included.
    pub duration: Duration,
    /// The beginning of the body, if there is one: at most 8 KiB, with what is no text replaced.
    pub excerpt: Option<String>,
    /// When the receiver wants to be asked again.
    pub retry_after: Option<RetryAfter>,
}

/// When to ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// So many seconds after the answer; not limited in any way.
    Seconds(u64),
    /// At this time.
    At(Timestamp),
}

/// Whether a receiver took what it was sent: by a status of 2xx, and with nothing wrong about the answer.
#[must_use]
pub fn is_success(status_code: Option<u16>, error: Option<&str>) -> bool {
    error.is_none() && status_code.is_some_and(|status| (200..300).contains(&status))
}

impl Outcome {
    /// Whether the receiver took it.
    #[must_use]
    pub fn is_success(&self) -> bool {
        is_success(self.status_code, self.error.as_deref())
    }
}

impl RetryAfter {
    /// Reads the header, in each of the forms that RFC 9110 knows.
    pub(super) fn parse(value: &str) -> Option<Self> {
        let value = value.trim();
        if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Self::Seconds(value.parse().unwrap_or(u64::MAX)));
        }
        let since = httpdate::parse_http_date(value).ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(Self::At(Timestamp(0) + since))
    }
}

/// The beginning of a body as text: at most so many bytes again, and nothing in it that a database would not take or
/// that takes six times as much in JSON.
pub(super) fn excerpt(body: &[u8]) -> Option<String> {
    let is_odd = |character: char| character.is_control() && !matches!(character, '\n' | '\r' | '\t');
    let mut text = String::from_utf8_lossy(body).replace(is_odd, "\u{fffd}");
    text.truncate(text.floor_char_boundary(EXCERPT));
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_to_ask_again_is_read_in_every_form() {
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
        // In JSON it takes no more than a few bytes beyond that: each of these would be six.
        let json = serde_json::to_string(&excerpt(&[1; EXCERPT])).unwrap();
        assert!(json.len() <= EXCERPT + 2, "{}", json.len());
        // Each of these bytes becomes a character of three.
        let text = excerpt(&[0xff; EXCERPT]).unwrap();
        assert_eq!(text.len(), EXCERPT / 3 * 3);
        assert_eq!(excerpt(&[b'a'; EXCERPT]).unwrap().len(), EXCERPT);
    }

    #[test]
    fn only_an_answer_of_2xx_without_an_error_is_success() {
        for (status, expected) in [(199, false), (200, true), (204, true), (299, true), (300, false), (500, false)] {
            assert_eq!(is_success(Some(status), None), expected, "{status}");
            assert!(!is_success(Some(status), Some("Oh.")), "{status}");
        }
        assert!(!is_success(None, None));
    }
}
