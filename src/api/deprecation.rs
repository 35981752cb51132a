//! What an operation says that has a successor (RFC 9745 and RFC 8594).

use poem::Response;
use poem::http::{HeaderName, header};

use super::respond::set;

/// Since when the lists of version 1 are deprecated: 2026-11-22, in seconds since 1970.
pub(super) const DEPRECATED_AT: &str = "@1795305600";

/// Until when they are promised, at least.
pub(super) const SUNSET: &str = "Mon, 22 Nov 2027 00:00:00 GMT";

/// Says so in the answer to a request for `path`; the successor is at the same path under the next version.
pub(super) fn add_headers(response: &mut Response, path: &str) {
    let successor = path.replacen("/v1/", "/v2/", 1);
    let links = format!(r#"<{successor}>; rel="successor-version", </docs>; rel="deprecation"; type="text/html""#);
    set(response, HeaderName::from_static("deprecation"), DEPRECATED_AT);
    set(response, HeaderName::from_static("sunset"), SUNSET);
    set(response, header::LINK, &links);
}
