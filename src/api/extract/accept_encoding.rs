//! The `Accept-Encoding` header.

use poem::Request;
use poem::http::header;

/// Returns whether the client accepts gzip (RFC 9110, section 12.5.3).
pub(in crate::api) fn accepts_gzip(request: &Request) -> bool {
    let mut named = None;
    let mut wildcard = None;
    let values = request.headers().get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    for item in values.flat_map(|value| value.split(',')) {
        let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
        let quality = parameters.trim().strip_prefix(['q', 'Q']).and_then(|rest| rest.strip_prefix('='));
        let quality = quality.map_or(Ok(1.0), str::parse::<f32>);
        let accepted = quality.is_ok_and(|quality| quality > 0.0);
        match name.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => named = Some(accepted),
            "*" => wildcard = Some(accepted),
            _ => {}
        }
    }
    named.or(wildcard).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_used_only_if_accepted() {
        for (value, accepted) in [
            ("gzip", true),
            ("br, gzip;q=0.5", true),
            ("*", true),
            ("gzip;q=0", false),
            ("gzip;q=0, *", false),
            ("br", false),
            ("", false),
        ] {
            let request = Request::builder().header(header::ACCEPT_ENCODING, value).finish();
            assert_eq!(accepts_gzip(&request), accepted, "{value}");
        }
        assert!(!accepts_gzip(&Request::default()));
    }
}
