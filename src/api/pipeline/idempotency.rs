//! The `Idempotency-Key` of a request, and the fingerprint of the request.

use poem::Request;
use poem::http::{HeaderName, Method};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::api::errors::ApiError;
use crate::contract::error::ErrorCode;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Maximum length of a key.
const MAX_LEN: usize = 255;

/// Returns the key of a request, or `None` without one.
pub(super) fn parse_key(request: &Request) -> Result<Option<String>, ApiError> {
    let mut lines = request.headers().get_all(IDEMPOTENCY_KEY).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    let key = line.to_str().ok().and_then(parse).filter(|_| lines.next().is_none());
    key.map(Some).ok_or_else(|| ApiError::new(ErrorCode::InvalidIdempotencyKey))
}

/// Parses a key, bare or as a string of RFC 9651, section 3.3.3.
fn parse(line: &str) -> Option<String> {
    let line = line.trim();
    let key = match line.strip_prefix('"') {
        None => line.to_owned(),
        Some(rest) => {
            let inner = rest.strip_suffix('"')?;
            let mut key = String::with_capacity(inner.len());
            let mut characters = inner.chars();
            while let Some(character) = characters.next() {
                key.push(match character {
                    '\\' => characters.next().filter(|escaped| matches!(escaped, '"' | '\\'))?,
                    '"' => return None,
                    other => other,
                });
            }
            key
        }
    };
    let is_key = (1..=MAX_LEN).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    is_key.then_some(key)
}

/// Hashes a request independently of the order and spacing of its JSON.
pub(super) fn fingerprint(method: &Method, path: &str, query: Option<&str>, body: Option<&Value>) -> [u8; 32] {
    let mut hash = Sha256::new();
    // Only ids can differ in case within a path, and they are case-insensitive.
    for part in [method.as_str(), &path.to_ascii_lowercase(), query.unwrap_or_default()] {
        hash.update(part);
        // A separator that no method, path or query contains.
        hash.update([0]);
    }
    if let Some(body) = body {
        let mut canonical = body.clone();
        canonical.sort_all_objects();
        hash.update(canonical.to_string());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_is_visible_ascii_bare_or_quoted() {
        let longest = "k".repeat(255);
        for (line, key) in [
            ("abc", Some("abc")),
            ("\"abc\"", Some("abc")),
            (r#""a\"b\\c""#, Some(r#"a"b\c"#)),
            ("a\"b", Some("a\"b")),
            (" abc ", Some("abc")),
            (longest.as_str(), Some(longest.as_str())),
            ("", None),
            ("\"\"", None),
            ("\"abc", None),
            ("\"", None),
            (r#""a\bc""#, None),
            (r#""a"b""#, None),
            ("a b", None),
            ("\"a b\"", None),
            ("schlüssel", None),
            (&"k".repeat(256), None),
        ] {
            assert_eq!(parse(line).as_deref(), key, "{line}");
        }
    }

    #[test]
    fn fingerprints_ignore_the_order_and_spacing_of_json() {
        let of = |path: &str, query: Option<&str>, body: &str| {
            let body: Value = serde_json::from_str(body).unwrap();
            fingerprint(&Method::POST, path, query, Some(&body))
        };
        let first = of("/v1/a", None, r#"{"a": 1, "b": [{"c": null, "d": "x"}]}"#);
        assert_eq!(of("/v1/a", None, r#"{"b":[{"d":"x","c":null}],"a":1}"#), first);
        assert_eq!(of("/v1/A", None, r#"{"b":[{"d":"x","c":null}],"a":1}"#), first);
        for other in [
            of("/v1/b", None, r#"{"a": 1, "b": [{"c": null, "d": "x"}]}"#),
            of("/v1/a", Some("x=1"), r#"{"a": 1, "b": [{"c": null, "d": "x"}]}"#),
            of("/v1/a", None, r#"{"a": 2, "b": [{"c": null, "d": "x"}]}"#),
            of("/v1/a", None, r#"{"a": "1", "b": [{"c": null, "d": "x"}]}"#),
            of("/v1/a", None, r#"{"a": 1, "b": [{"c": null}, {"d": "x"}]}"#),
            of("/v1/a", None, r#"{"a": 1}"#),
        ] {
            assert_ne!(other, first);
        }
        let body = json!({"a": 1});
        assert_ne!(
            fingerprint(&Method::POST, "/", None, Some(&body)),
            fingerprint(&Method::PATCH, "/", None, Some(&body))
        );
        assert_ne!(fingerprint(&Method::POST, "/", None, Some(&body)), fingerprint(&Method::POST, "/", None, None));
    }
}
