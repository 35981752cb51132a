//! Compression and media types.

use poem::http::Method;
use serde_json::{Value, json};

use super::edge::{ask, authorization, without_storage};
use crate::support::databases::sqlite;
use crate::support::{Options, TestApp};

#[tokio::test]
async fn large_responses_are_compressed_if_accepted() {
    let database = sqlite().await;
    let app = TestApp::new(&database, Options::default()).await;
    let user = app.user().await;
    let project = user.post("/v1/projects", json!({"name": "P", "description": "word ".repeat(390)})).await.created();
    let path = format!("/v1/projects/{}", project["id"].as_str().unwrap());
    let authorization = authorization(&user);
    for (accepted, compressed) in [
        (Some("gzip"), true),
        (Some("deflate, GZIP;q=0.5, br"), true),
        (Some("*"), true),
        (Some("identity;q=0.1, *;q=1.0"), true),
        (Some("gzip;q=0"), false),
        (Some("gzip; q=0.000, *"), false),
        (Some("gzip;Q=0"), false),
        (Some("br, deflate"), false),
        (Some("*;q=0"), false),
        (Some(""), false),
        (None, false),
    ] {
        let mut headers = vec![("authorization", authorization.as_bytes())];
        headers.extend(accepted.map(|accepted| ("accept-encoding", accepted.as_bytes())));
        let large = ask(&app, "GET", &path, &headers).await;
        let plain = if compressed { large.unzipped() } else { large.body.clone() };
        assert_eq!(large.headers.contains_key("content-encoding"), compressed, "{accepted:?}");
        assert_eq!(compressed, large.body.len() < 500, "{accepted:?}");
        assert_eq!(serde_json::from_slice::<Value>(&plain).unwrap(), project, "{accepted:?}");
        assert_eq!(large.header("content-type"), "application/json");
        let small = ask(&app, "GET", "/v1/me", &headers).await;
        assert_eq!(small.header("content-encoding"), "", "{accepted:?}");
        assert_eq!(small.json(), user.session["user"]);
        for answer in [large, small] {
            assert_eq!(answer.header("vary").matches("Accept-Encoding").count(), 1, "{accepted:?}");
        }
    }
    database.remove().await;
}

#[tokio::test]
async fn accept_must_allow_json_for_json_responses() {
    let database = sqlite().await;
    let app = TestApp::new(&database, Options::default()).await;
    let user = app.user().await;
    for (accept, status) in [
        ("application/json", 200),
        ("text/html, application/xhtml+xml, */*;q=0.8", 200),
        ("application/*", 200),
        ("text/html", 406),
        ("application/xml, text/*", 406),
        ("application/json;q=0, */*", 406),
    ] {
        let call = user.call(Method::GET, "/v1/me").header("accept", accept);
        assert_eq!(call.send().await.status.as_u16(), status, "{accept}");
    }
    let call = || app.anonymous().call(Method::PATCH, "/v1/me").header("accept", "text/html").body("text/plain", "{");
    call().send().await.fails(401, "UNAUTHENTICATED");
    let call = call().header("authorization", &authorization(&user));
    call.send().await.fails(406, "NOT_ACCEPTABLE");
    for path in ["/docs", "/health/live", "/openapi.json"] {
        assert_eq!(ask(&app, "GET", path, &[("accept", b"image/png")]).await.status.as_u16(), 200, "{path}");
    }
    database.remove().await;
}

#[tokio::test]
async fn encoded_request_bodies_are_rejected() {
    let app = without_storage(&[]).await;
    for (encoding, refused) in [("gzip", true), ("br", true), ("gzip, identity", true), ("identity", false)] {
        let call = app.anonymous().call(Method::POST, "/v1/auth/login").json(&json!({}));
        let answer = call.header("content-encoding", encoding).send().await;
        let (status, error) = if refused { (415, "UNSUPPORTED_MEDIA_TYPE") } else { (400, "VALIDATION_FAILED") };
        answer.fails(status, error);
    }
    let call = app.anonymous().call(Method::POST, "/v1/auth/login").body("application/json", "{}");
    call.without_header("content-type").send().await.fails(415, "UNSUPPORTED_MEDIA_TYPE");
}
