//! Request ids, unknown paths and methods, HEAD, and health checks.

use std::io::Read as _;

use flate2::read::GzDecoder;
use poem::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use poem::{Endpoint as _, Request};
use serde_json::{Value, json};

use crate::support::databases::sqlite;
use crate::support::{Client, Options, TestApp, TestClock};

/// Raw HTTP response.
pub(crate) struct Raw {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Raw {
    /// Values of a header, joined; empty if the header is missing.
    pub(crate) fn header(&self, name: &str) -> String {
        let values = self.headers.get_all(name).iter().map(|value| value.to_str().unwrap());
        values.collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn unzipped(&self) -> Vec<u8> {
        assert_eq!(self.header("content-encoding"), "gzip");
        let mut plain = Vec::new();
        GzDecoder::new(self.body.as_slice()).read_to_end(&mut plain).unwrap();
        plain
    }
}

/// Sends a request without a body and with arbitrary headers, including those that the checked client cannot send.
pub(crate) async fn ask(app: &TestApp, method: &str, path: &str, headers: &[(&str, &[u8])]) -> Raw {
    let mut request = Request::builder().method(method.parse().unwrap()).uri(path.parse().unwrap()).finish();
    for (name, value) in headers {
        let name: HeaderName = name.parse().unwrap();
        request.headers_mut().append(name, HeaderValue::from_bytes(value).unwrap());
    }
    let mut response = app.endpoint.call(request).await.unwrap();
    let body = response.take_body().into_vec().await.unwrap();
    Raw { status: response.status(), headers: response.headers().clone(), body }
}

/// Creates the API over a closed store, for tests that need none.
pub(crate) async fn without_storage(variables: &[(&'static str, &'static str)]) -> TestApp {
    let options = Options { variables: variables.to_vec(), ..Options::default() };
    TestApp::over(sqlite().await.closed_store().await, options, TestClock::default())
}

pub(crate) fn authorization(client: &Client) -> String {
    format!("Bearer {}", client.token.as_deref().unwrap())
}

#[tokio::test]
async fn valid_request_ids_are_kept_and_invalid_ones_replaced() {
    let app = without_storage(&[]).await;
    let (longest, too_long) = ("x".repeat(128), "x".repeat(129));
    for (path, status) in [
        ("/health/live", 200),
        ("/nothing", 404),
        ("/v1/me", 401),
        ("/health/ready", 503),
        ("/docs", 200),
        ("/", 302),
        ("/openapi.json", 200),
    ] {
        for (given, kept) in [
            (&["abc-1_~!"][..], true),
            (&[longest.as_str()], true),
            (&[too_long.as_str()], false),
            (&["two words"], false),
            (&["tab\there"], false),
            (&[""], false),
            (&["one", "two"], false),
            (&[], false),
        ] {
            let headers: Vec<_> = given.iter().map(|id| ("x-request-id", id.as_bytes())).collect();
            let answer = ask(&app, "GET", path, &headers).await;
            assert_eq!(answer.status.as_u16(), status, "{path}");
            let id = answer.header("x-request-id");
            assert_eq!(given.first() == Some(&id.as_str()), kept, "{path}: {given:?} {id}");
            assert!(kept || uuid::Uuid::parse_str(&id).is_ok(), "{path}: {given:?} {id}");
            if status >= 400 {
                assert_eq!(answer.json()["request_id"], id, "{path}");
            }
        }
        let first = ask(&app, "GET", path, &[("x-request-id", b"\xe4")]).await.header("x-request-id");
        assert_ne!(first, ask(&app, "GET", path, &[]).await.header("x-request-id"), "each request has its own id");
    }
    for method in ["DELETE", "OPTIONS"] {
        let answer = ask(&app, method, "/v1/tasks", &[("x-request-id", b"mine")]).await;
        assert_eq!(answer.header("x-request-id"), "mine", "{method}");
    }
}

#[tokio::test]
async fn an_unknown_path_gets_the_error_envelope() {
    let app = without_storage(&[]).await;
    for path in [
        "/nothing",
        "//",
        "//v1/me",
        "/v1",
        "/v1/",
        "/v1/me/",
        "/v1//me",
        "/V1/me",
        "/v1/Me",
        "/v1/%6de",
        "/v3/me",
        "/v1/tasks/",
        "/v1/tasks//restore",
        "/v1/projects//tasks",
        "/v1/tasks/x/y",
        "/docs//",
        "/docs/../docs",
        "/docs/index.html",
        "/openapi.yml",
        "/health",
        "/health/live/",
        "/favicon.ico",
        "/v1/me;a=b",
        "/.env",
    ] {
        for method in ["GET", "POST", "DELETE", "OPTIONS", "PROPFIND"] {
            let answer = ask(&app, method, path, &[]).await;
            assert_eq!(answer.status.as_u16(), 404, "{method} {path}");
            assert_eq!(answer.header("content-type"), "application/json", "{path}");
            let (id, body) = (answer.header("x-request-id"), answer.json());
            let message = "Nothing has this path. The documentation at /docs lists all paths.";
            assert_eq!(body, json!({"error": "NOT_FOUND", "message": message, "request_id": id}), "{path}");
        }
    }
}

#[tokio::test]
async fn a_method_not_allowed_gets_the_allowed_methods() {
    let app = without_storage(&[]).await;
    for (path, method, allow) in [
        ("/v1/me", "PUT", "GET, HEAD, PATCH, DELETE, OPTIONS"),
        ("/v1/me", "PROPFIND", "GET, HEAD, PATCH, DELETE, OPTIONS"),
        ("/v1/auth/login", "GET", "POST, OPTIONS"),
        ("/v1/auth/login", "HEAD", "POST, OPTIONS"),
        ("/v1/projects", "PATCH", "GET, HEAD, POST, OPTIONS"),
        ("/v1/tasks/any", "POST", "GET, HEAD, PATCH, DELETE, OPTIONS"),
        ("/health/live", "POST", "GET, HEAD, OPTIONS"),
    ] {
        let answer = ask(&app, method, path, &[]).await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, allow.to_owned()), "{method} {path}");
        assert_eq!(answer.json()["error"], "METHOD_NOT_ALLOWED", "{method} {path}");
        let options = ask(&app, "OPTIONS", path, &[]).await;
        assert_eq!((options.status.as_u16(), options.header("allow")), (204, allow.to_owned()), "{path}");
        assert!(options.body.is_empty() && !options.headers.contains_key("content-type"), "{path}");
    }
}

#[tokio::test]
async fn head_equals_get_without_the_body() {
    let database = sqlite().await;
    let app = TestApp::new(&database, Options { api_per_minute: 100, ..Options::default() }).await;
    let authorization = authorization(&app.user().await);
    let headers = [("authorization", authorization.as_bytes()), ("origin", b"http://localhost:5173")];
    for path in ["/v1/me", "/v1/projects", "/v1/projects?limit=0", "/v1/tasks/x", "/health/live", "/docs", "/"] {
        let [get, head] = [ask(&app, "GET", path, &headers).await, ask(&app, "HEAD", path, &headers).await];
        assert_eq!(head.status, get.status, "{path}");
        let names =
            |raw: &Raw| raw.headers.keys().map(HeaderName::to_string).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(names(&head), names(&get), "{path}");
        for name in ["content-type", "vary", "access-control-allow-origin", "etag", "location"] {
            assert_eq!(head.header(name), get.header(name), "{path}: {name}");
        }
    }
    let app = without_storage(&[]).await;
    assert_eq!(ask(&app, "HEAD", "/v1/me", &[]).await.status.as_u16(), 401);
    assert_eq!(ask(&app, "HEAD", "/nothing", &[]).await.status.as_u16(), 404);
    database.remove().await;
}

#[tokio::test]
async fn non_utf8_headers_are_harmless() {
    let app = without_storage(&[]).await;
    for name in
        ["accept", "accept-encoding", "authorization", "origin", "user-agent", "x-forwarded-for", "if-none-match"]
    {
        let headers: [(&str, &[u8]); 1] = [(name, b"http://\xff\xfe localhost")];
        assert_eq!(ask(&app, "GET", "/v1/me", &headers).await.status.as_u16(), 401, "{name}");
        assert_eq!(ask(&app, "GET", "/docs", &headers).await.status.as_u16(), 200, "{name}");
    }
}

#[tokio::test]
async fn readiness_depends_on_storage_and_shutdown_while_liveness_does_not() {
    let database = sqlite().await;
    let app = TestApp::new(&database, Options::default()).await;
    let ok = json!({"status": "ok"});
    assert_eq!(app.anonymous().get("/health/ready").await.ok(), ok);
    app.draining.begin();
    for app in [app, without_storage(&[]).await] {
        let answer = app.anonymous().get("/health/ready").await;
        assert_eq!(answer.header("retry-after"), "1");
        answer.fails(503, "UNAVAILABLE");
        assert_eq!(app.anonymous().get("/health/live").await.ok(), ok);
    }
    database.remove().await;
}
