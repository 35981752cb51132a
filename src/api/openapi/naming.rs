//! Spelling of header names and component names.

/// Headers with an irregular spelling.
const IRREGULAR: [&str; 6] =
    ["ETag", "Last-Event-ID", "WWW-Authenticate", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"];

/// Returns the usual spelling of a header: `Idempotency-Replayed` for `IDEMPOTENCY-REPLAYED`.
pub(super) fn header(name: &str) -> String {
    match IRREGULAR.iter().find(|irregular| irregular.eq_ignore_ascii_case(name)) {
        Some(irregular) => (*irregular).to_owned(),
        None => name.split('-').map(capitalised).collect::<Vec<_>>().join("-"),
    }
}

/// Converts a code to Pascal case: `NotFound` for `NOT_FOUND`.
pub(super) fn pascal(code: &str) -> String {
    code.split('_').map(capitalised).collect()
}

fn capitalised(word: &str) -> String {
    let mut characters = word.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters.map(|other| other.to_ascii_lowercase())).collect()
}

#[cfg(test)]
mod tests {
    use super::{header, pascal};

    #[test]
    fn headers_get_their_customary_spelling() {
        for name in [
            "ETag",
            "Retry-After",
            "X-Request-Id",
            "Last-Event-ID",
            "WWW-Authenticate",
            "RateLimit-Reset",
            "Idempotency-Replayed",
        ] {
            assert_eq!(header(&name.to_uppercase()), name);
            assert_eq!(header(&name.to_lowercase()), name);
        }
    }

    #[test]
    fn codes_become_names_of_components() {
        assert_eq!(pascal("UNSUPPORTED_MEDIA_TYPE"), "UnsupportedMediaType");
    }
}
