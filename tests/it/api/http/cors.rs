//! Cross-origin requests.

use super::edge::{Raw, ask, without_storage};

/// Headers of an API client, and those that libraries for tracing and events add.
const REQUESTED: &str = "authorization,baggage,cache-control,content-type,if-match,last-event-id,traceparent";

const LOCALHOST: &str = "http://localhost:5173";

/// Configured origins, the origin of a request, and the expected `Access-Control-Allow-Origin`.
const CASES: [(Option<&str>, &[u8], &str); 17] = [
    (None, LOCALHOST.as_bytes(), LOCALHOST),
    (None, b"https://localhost", "https://localhost"),
    (None, b"http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    (None, b"http://[::1]:3000", "http://[::1]:3000"),
    (None, b"http://localhost.example.com", ""),
    (None, b"https://app.example.com", ""),
    (None, b"null", ""),
    (None, b"http://\xe4.localhost\xff", ""),
    (Some("https://app.example.com, https://b.example/"), b"https://app.example.com", "https://app.example.com"),
    (Some("https://app.example.com, https://b.example/"), b"https://b.example", "https://b.example"),
    (Some("https://app.example.com"), b"https://app.example.com.evil.example", ""),
    (Some("https://app.example.com"), b"http://app.example.com", ""),
    (Some("https://app.example.com"), LOCALHOST.as_bytes(), ""),
    (Some("HTTPS://App.Example.com:443/"), b"https://app.example.com", "https://app.example.com"),
    (
        Some("http://app.example.com:80, https://app.example.com:8443"),
        b"https://app.example.com:8443",
        "https://app.example.com:8443",
    ),
    (Some("*"), b"https://anything.example", "*"),
    (Some("*"), b"http://\xff", "*"),
];

/// The policy of a path: the document may be read from anywhere.
fn for_path<'a>(path: &str, configured: Option<&'a str>, allowed: &'a str) -> (Option<&'a str>, &'a str) {
    if path.starts_with("/openapi") { (Some("*"), "*") } else { (configured, allowed) }
}

/// Asserts that the response allows no credentials and is not cached for another origin.
#[track_caller]
fn assert_safe(answer: &Raw, configured: Option<&str>) {
    assert!(!answer.headers.contains_key("access-control-allow-credentials"));
    assert_eq!(answer.header("vary").contains("Origin"), configured != Some("*"), "{}", answer.header("vary"));
}

#[tokio::test]
async fn allowed_origins_can_read_every_response() {
    for (configured, origin, allowed) in CASES {
        let variables: Vec<_> = configured.map(|origins| ("CORS_ALLOWED_ORIGINS", origins)).into_iter().collect();
        let app = without_storage(&variables).await;
        for (method, path, status) in [
            ("GET", "/health/live", 200),
            ("GET", "/openapi.json", 200),
            ("GET", "/openapi-3.0.json", 200),
            ("GET", "/v1/me", 401),
            ("GET", "/nothing", 404),
            ("PUT", "/v1/me", 405),
            ("GET", "/health/ready", 503),
        ] {
            let (configured, allowed) = for_path(path, configured, allowed);
            let answer = ask(&app, method, path, &[("origin", origin)]).await;
            assert_eq!(answer.status.as_u16(), status, "the status is the same for every origin");
            assert_eq!(answer.header("access-control-allow-origin"), allowed, "{configured:?} {origin:?} {path}");
            assert_eq!(answer.headers.contains_key("access-control-expose-headers"), !allowed.is_empty());
            assert_safe(&answer, configured);
        }
        let answer = ask(&app, "GET", "/health/live", &[]).await;
        assert_eq!(
            answer.header("access-control-expose-headers"),
            "",
            "a request without an origin gets no CORS headers"
        );
        assert_safe(&answer, configured);
    }
}

#[tokio::test]
async fn preflights_are_answered_for_every_path_method_and_header() {
    for (configured, origin, allowed) in CASES {
        let variables: Vec<_> = configured.map(|origins| ("CORS_ALLOWED_ORIGINS", origins)).into_iter().collect();
        let app = without_storage(&variables).await;
        for (path, method) in [
            ("/v1/me", "PATCH"),
            ("/v1/tasks/any", "DELETE"),
            ("/v1/auth/login", "POST"),
            ("/v1/auth/login", "PUT"),
            ("/health/live", "GET"),
            ("/openapi.json", "GET"),
            ("/nothing", "PATCH"),
            ("/nothing", "PROPFIND"),
        ] {
            let headers: [(&str, &[u8]); 3] = [
                ("origin", origin),
                ("access-control-request-method", method.as_bytes()),
                ("access-control-request-headers", REQUESTED.as_bytes()),
            ];
            let (configured, allowed) = for_path(path, configured, allowed);
            let answer = ask(&app, "OPTIONS", path, &headers).await;
            assert_eq!(answer.status.as_u16(), 204, "{path}");
            assert_eq!(answer.header("access-control-allow-origin"), allowed, "{configured:?} {origin:?} {path}");
            assert_safe(&answer, configured);
            if !allowed.is_empty() {
                let methods = answer.header("access-control-allow-methods");
                assert!(methods.split(", ").any(|known| known == method), "{method}: {methods}");
                assert_eq!(answer.header("access-control-allow-headers"), REQUESTED);
                let seconds: u32 = answer.header("access-control-max-age").parse().unwrap();
                assert!(seconds >= 600, "{seconds}");
            }
        }
    }
}

#[tokio::test]
async fn every_documented_header_is_exposed() {
    let app = without_storage(&[]).await;
    let answer = ask(&app, "GET", "/v1/me", &[("origin", LOCALHOST.as_bytes())]).await;
    let exposed = answer.header("access-control-expose-headers").to_lowercase();
    for name in [
        "x-request-id",
        "ratelimit-limit",
        "ratelimit-remaining",
        "ratelimit-reset",
        "retry-after",
        "location",
        "etag",
        "idempotency-replayed",
        "deprecation",
        "sunset",
        "link",
        "allow",
        "www-authenticate",
    ] {
        assert!(exposed.split(", ").any(|word| word == name), "{name}: {exposed}");
    }
}
