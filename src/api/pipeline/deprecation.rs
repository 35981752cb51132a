//! Headers of deprecated operations (RFC 9745 and RFC 8594).

use poem::Response;
use poem::http::{HeaderName, header};

use crate::api::operations::{DEPRECATED_AT, SUNSET};
use crate::api::respond::set;

/// Adds the headers to the response of a request for `path`. The successor has the same path in the next version.
pub(super) fn add_headers(response: &mut Response, path: &str) {
    let successor = path.replacen("/v1/", "/v2/", 1);
    let links = format!(r#"<{successor}>; rel="successor-version", </docs>; rel="deprecation"; type="text/html""#);
    set(response, HeaderName::from_static("deprecation"), DEPRECATED_AT);
    set(response, HeaderName::from_static("sunset"), SUNSET);
    set(response, header::LINK, &links);
}
