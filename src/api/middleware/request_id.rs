//! The `X-Request-Id` header.

use poem::Request;
use poem::http::HeaderName;

use crate::contract::ids::new_uuid;

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Returns the id of the client if it is 1 to 128 visible ASCII characters, otherwise a new one.
pub(super) fn from_request(request: &Request) -> String {
    let mut given = request.headers().get_all(X_REQUEST_ID).iter();
    match (given.next(), given.next()) {
        (Some(id), None) if (1..=128).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic) => {
            String::from_utf8_lossy(id.as_bytes()).into_owned()
        }
        _ => new_uuid().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_valid_id_is_kept() {
        let long = "x".repeat(129);
        for (given, kept) in [("abc-1", true), ("~!@#", true), ("two words", false), (&long, false), ("", false)] {
            let request = Request::builder().header(X_REQUEST_ID, given).finish();
            assert_eq!(from_request(&request) == given, kept, "{given}");
        }
    }
}
