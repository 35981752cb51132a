//! Headers of responses.

use poem::http::{HeaderName, StatusCode, header};
use poem::{IntoResponse as _, Response};

use crate::services::ETagCondition;

pub(super) const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// `Cache-Control` of a response that no cache may store.
pub(in crate::api) const NO_STORE: &str = "private, no-store";

/// Sets a header; a value that is not valid in a header is dropped.
pub(in crate::api) fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = value.parse() {
        response.headers_mut().insert(name, value);
    }
}

/// Adds an entity tag. Caches may keep the response for the caller alone, and must revalidate it each time.
pub(super) fn set_etag(response: &mut Response, tag: &str) {
    set(response, header::ETAG, tag);
    set(response, header::CACHE_CONTROL, "private, no-cache");
}

/// Returns the 304 for a response whose tag `If-None-Match` names.
///
/// Repeats the tag as the client sent it, so that a cache knows which of its copies is current.
pub(in crate::api) fn not_modified(response: &Response, if_none_match: &ETagCondition) -> Option<Response> {
    let tag = if_none_match.matching_tag(response.header(header::ETAG)?)?;
    let mut not_modified = StatusCode::NOT_MODIFIED.into_response();
    set_etag(&mut not_modified, tag);
    Some(not_modified)
}

/// Returns a 204 with an `Allow` header.
pub(in crate::api) fn no_content(allow: &str) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    set(&mut response, header::ALLOW, allow);
    response
}
