//! CORS (the Fetch standard).
//!
//! Pages send the token themselves, so browser credentials are never allowed. Other origins get the response without the
//! headers, and the browser hides it from the page.

use poem::http::{HeaderValue, Method, StatusCode, header};
use poem::{IntoResponse as _, Request, Response};

use crate::api::respond::set;
use crate::api::settings::CorsPolicy;

/// Response headers that a page may read.
const EXPOSED_HEADERS: &str = "X-Request-Id, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, Location, \
                       ETag, Idempotency-Replayed, Deprecation, Sunset, Link, Allow, WWW-Authenticate";

/// Request methods that a page may use.
const ALLOWED_METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

impl CorsPolicy {
    /// Returns the policy for a path: the document may be read from anywhere, for tools that load it in a browser.
    pub(super) fn for_path(&self, path: &str) -> Self {
        if path.starts_with("/openapi") { Self::Any } else { self.clone() }
    }

    /// Returns the value of `Access-Control-Allow-Origin`, if the origin is allowed.
    pub(super) fn allowed(&self, request: &Request) -> Option<HeaderValue> {
        let origin = request.headers().get(header::ORIGIN)?;
        match self {
            Self::Any => Some(HeaderValue::from_static("*")),
            Self::Localhost => origin.to_str().is_ok_and(is_localhost).then(|| origin.clone()),
            Self::List(allowed) => {
                allowed.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()).then(|| origin.clone())
            }
        }
    }

    pub(super) fn apply(&self, origin: Option<HeaderValue>, response: &mut Response) {
        if *self != Self::Any {
            response.headers_mut().append(header::VARY, HeaderValue::from_static("Origin"));
        }
        if let Some(origin) = origin {
            response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            set(response, header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
        }
    }
}

fn is_localhost(origin: &str) -> bool {
    let Some((_, host)) = origin.split_once("://") else { return false };
    let host = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => host,
    };
    matches!(host, "localhost" | "127.0.0.1" | "[::1]") || host.ends_with(".localhost")
}

/// Returns whether the request is a CORS preflight.
pub(super) fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ORIGIN)
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Responds to a preflight, for any path and method and with any headers, so that a page sees the error of the request
/// itself. Nothing depends on this list: browsers send no credentials, and the pipeline checks every request.
pub(super) fn preflight(request: &Request) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let requested =
        request.headers().get(header::ACCESS_CONTROL_REQUEST_METHOD).and_then(|method| method.to_str().ok());
    match requested.filter(|method| !ALLOWED_METHODS.split(", ").any(|known| known == *method)) {
        Some(other) => set(&mut response, header::ACCESS_CONTROL_ALLOW_METHODS, &format!("{ALLOWED_METHODS}, {other}")),
        None => set(&mut response, header::ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS),
    }
    if let Some(names) = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Access-Control-Request-Headers"));
    set(&mut response, header::ACCESS_CONTROL_MAX_AGE, "7200");
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_origins_of_this_machine_are_local() {
        for (origin, local) in [
            ("http://localhost:5173", true),
            ("https://localhost", true),
            ("http://127.0.0.1:8080", true),
            ("http://[::1]:3000", true),
            ("http://app.localhost", true),
            ("http://localhost.example.com", false),
            ("http://example.com", false),
            ("http://localhost:80@example.com", false),
            ("null", false),
        ] {
            assert_eq!(is_localhost(origin), local, "{origin}");
        }
    }

    #[test]
    fn a_non_ascii_origin_is_rejected() {
        let origin = HeaderValue::from_bytes(b"http://\xff").unwrap();
        let request = Request::builder().header(header::ORIGIN, origin).finish();
        for policy in [CorsPolicy::Localhost, CorsPolicy::List(vec!["https://a.example".into()])] {
            assert_eq!(policy.allowed(&request), None);
        }
    }
}
