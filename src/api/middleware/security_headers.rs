//! Headers of every response, including errors and preflights.

use poem::Response;
use poem::http::header;

use crate::api::respond::{NO_STORE, set};

/// A year, the minimum that browsers' preload lists accept.
const STRICT_TRANSPORT_SECURITY: &str = "max-age=31536000";

/// Adds the headers. `is_https` adds the one that makes browsers use HTTPS only.
pub(super) fn apply(response: &mut Response, is_https: bool) {
    // Responses without a tag are private, errors, or outdated at once.
    if !response.headers().contains_key(header::CACHE_CONTROL) {
        set(response, header::CACHE_CONTROL, NO_STORE);
    }
    set(response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    // Paths contain ids, and those of landing pages lead to tokens.
    set(response, header::REFERRER_POLICY, "no-referrer");
    if is_https {
        set(response, header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT_SECURITY);
    }
}
