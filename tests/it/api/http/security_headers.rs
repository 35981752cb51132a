//! Headers of every response: caching, content type, referrer and transport.

use poem::http::Method;
use serde_json::json;

use super::edge::{ask, authorization, without_storage};
use crate::on_sqlite;
use crate::support::{Options, TestApp, TestDatabase};

const NO_STORE: &str = "private, no-store";

#[tokio::test]
async fn every_response_has_the_security_headers() {
    let app = without_storage(&[]).await;
    let secure = without_storage(&[("PUBLIC_URL", "https://tasks.example")]).await;
    let preflight: &[(&str, &[u8])] =
        &[("origin", b"http://localhost:5173"), ("access-control-request-method", b"GET")];
    for (method, path, headers, status) in [
        ("GET", "/health/live", &[][..], 200),
        ("GET", "/health/ready", &[], 503),
        ("GET", "/nothing", &[], 404),
        ("DELETE", "/v1/tasks", &[], 405),
        ("OPTIONS", "/v1/tasks", &[], 204),
        ("OPTIONS", "/v1/tasks", preflight, 204),
        ("OPTIONS", "/docs", preflight, 204),
        ("GET", "/v1/me", &[], 401),
        ("GET", "/", &[], 302),
        ("GET", "/docs", &[], 200),
        ("GET", "/openapi.json", &[], 200),
        ("GET", "/openapi.json", &[("if-none-match", b"*")], 304),
        ("GET", "/reset-password", &[], 200),
    ] {
        for (app, transport) in [(&app, ""), (&secure, "max-age=31536000")] {
            let answer = ask(app, method, path, headers).await;
            assert_eq!(answer.status.as_u16(), status, "{method} {path}");
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{method} {path}");
            assert_eq!(answer.header("referrer-policy"), "no-referrer", "{method} {path}");
            assert_eq!(answer.header("strict-transport-security"), transport, "{method} {path}");
            let cache_control = match path {
                "/docs" | "/openapi.json" if method == "GET" => "no-cache",
                "/reset-password" => "no-store",
                _ => NO_STORE,
            };
            assert_eq!(answer.header("cache-control"), cache_control, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn the_documentation_connects_to_its_own_server_only() {
    let policy = ask(&without_storage(&[]).await, "GET", "/docs", &[]).await.header("content-security-policy");
    assert!(policy.contains("connect-src 'self';"), "{policy}");
}

on_sqlite! {
    async fn responses_to_users_are_stored_only_with_a_tag(app: TestApp) {
        let user = app.user().await;
        let project = user.project().await;
        let path = format!("/v1/projects/{project}");
        for (path, cache_control) in [
            (path.as_str(), "private, no-cache"),
            ("/v1/me", "private, no-cache"),
            ("/v1/projects", NO_STORE),
            ("/v1/events", NO_STORE),
            ("/v1/me/sessions", NO_STORE),
            ("/v2/tasks?limit=0", NO_STORE),
            ("/v1/projects/unknown", NO_STORE),
        ] {
            assert_eq!(user.get(path).await.header("cache-control"), cache_control, "{path}");
        }
        let stale = user.call(Method::PATCH, &path).header("if-match", "\"old\"").json(&json!({"name": "New"})).send().await;
        assert_eq!(stale.header("cache-control"), NO_STORE);
        stale.fails(412, "PRECONDITION_FAILED");
        let deleted = user.delete(&path).await;
        assert_eq!(deleted.header("cache-control"), NO_STORE);
        deleted.no_content();
        let authorization = authorization(&user);
        let unknown = ask(&app, "GET", "/nothing", &[("authorization", authorization.as_bytes())]).await;
        assert_eq!((unknown.status.as_u16(), unknown.header("cache-control").as_str()), (404, NO_STORE));
    }

    async fn requests_without_an_operation_count_by_address(database: TestDatabase) {
        let app = TestApp::new(&database, Options { api_per_minute: 3, ..Options::default() }).await;
        let user = app.user().await;
        for (method, path) in [("GET", "/nothing"), ("PUT", "/v1/me"), ("GET", "/.env")] {
            assert!(matches!(ask(&app, method, path, &[]).await.status.as_u16(), 404 | 405), "{path}");
        }
        for path in ["/nothing", "/v1/nothing"] {
            let authorization = authorization(&user);
            let limited = ask(&app, "GET", path, &[("authorization", authorization.as_bytes())]).await;
            assert_eq!((limited.status.as_u16(), &limited.json()["error"]), (429, &json!("RATE_LIMITED")));
            assert_eq!(limited.header("retry-after"), "20");
        }
        // The bucket of the address, not of the user.
        user.get("/v1/projects").await.ok();
    }
}
