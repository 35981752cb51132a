//! Names: how HTTP headers are spelled, and what a response says of which nobody said anything.

/// Headers whose customary spelling is not one capital per word.
const IRREGULAR: [&str; 6] =
    ["ETag", "Last-Event-ID", "WWW-Authenticate", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"];

/// The customary spelling of a header, e.g. `Idempotency-Replayed` for `IDEMPOTENCY-REPLAYED`.
pub(super) fn header(name: &str) -> String {
    match IRREGULAR.iter().find(|irregular| irregular.eq_ignore_ascii_case(name)) {
        Some(irregular) => (*irregular).to_owned(),
        None => name.split('-').map(capitalised).collect::<Vec<_>>().join("-"),
    }
}

/// The code as part of a component's name, e.g. `NotFound` for `NOT_FOUND`.
pub(super) fn pascal(code: &str) -> String {
    code.split('_').map(capitalised).collect()
}

fn capitalised(word: &str) -> String {
    let mut characters = word.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters.map(|other| other.to_ascii_lowercase())).collect()
}

/// The description of a response that has none; OpenAPI wants one.
pub(super) fn reason(status: &str) -> &'static str {
    match status {
        "200" => "Done.",
        "201" => "Created.",
        "202" => "Accepted: the work goes on after this answer.",
        "204" => "Done; there is nothing to return.",
        "302" | "303" | "307" | "308" => "The address is in `Location`.",
        "304" => "Not changed since the version that `If-None-Match` names.",
        _ => "See the body.",
    }
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
