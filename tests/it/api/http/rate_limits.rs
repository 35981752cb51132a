//! Rate limits and their headers.
//!
//! The limits use the system clock, so each test uses limits that take at least 20 seconds to replenish one request.

use pocket_tasks::api::operations::{OPERATIONS, RateLimitClass};
use poem::http::Method;
use serde_json::json;

use crate::on_sqlite;
use crate::support::databases::sqlite;
use crate::support::document::operations;
use crate::support::{Answer, Client, Options, TestApp, TestDatabase};

const HEADERS: [&str; 3] = ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"];

pub(super) fn behind_a_proxy() -> Options {
    Options { variables: vec![("TRUSTED_PROXY_HOPS", "1")], ..Options::default() }
}

/// Attempts a login from an address behind the proxy.
pub(super) async fn log_in(app: &TestApp, address: &str, email: &str) -> Answer {
    let body = json!({"email": email, "password": "a guess"});
    let call = app.anonymous().call(Method::POST, "/v1/auth/login").json(&body);
    call.header("x-forwarded-for", address).send().await
}

#[track_caller]
pub(super) fn assert_limited(answer: Answer, limit: u32) {
    let per_request = 60 / limit;
    assert_eq!(answer.header("ratelimit-limit"), limit.to_string());
    assert_eq!(answer.header("ratelimit-remaining"), "0");
    let wait: u32 = answer.header("retry-after").parse().unwrap();
    assert!((1..=per_request).contains(&wait), "{wait}");
    answer.fails(429, "RATE_LIMITED");
}

#[track_caller]
fn assert_no_limit_headers(answer: &Answer) {
    for name in HEADERS {
        assert!(!answer.headers.contains_key(name), "{name}: {answer:?}");
    }
}

#[track_caller]
pub(super) fn assert_limit_headers(answer: &Answer, limit: u32, remaining: u32) {
    let found = ["ratelimit-limit", "ratelimit-remaining"].map(|name| answer.header(name).parse::<u32>().unwrap());
    assert_eq!(found, [limit, remaining], "{answer:?}");
    let reset: u32 = answer.header("ratelimit-reset").parse().unwrap();
    assert!((1..=60).contains(&reset), "{reset}");
}

on_sqlite! {
    async fn login_attempts_are_limited_by_ip_address(database: TestDatabase) {
        let app = TestApp::new(&database, Options { auth_per_minute: 3, ..behind_a_proxy() }).await;
        for (n, remaining) in [(1, 2), (2, 1), (3, 0)] {
            let answer = log_in(&app, "192.0.2.1", &format!("ada{n}@example.com")).await;
            assert_limit_headers(&answer, 3, remaining);
            answer.fails(401, "INVALID_CREDENTIALS");
        }
        assert_limited(log_in(&app, "192.0.2.1", "ada4@example.com").await, 3);
        let body = json!({"email": "ada@example.com", "name": "Ada", "password": "correct horse"});
        let call = app.anonymous().call(Method::POST, "/v1/auth/register").json(&body);
        assert_limited(call.header("x-forwarded-for", "192.0.2.1").send().await, 3);
        let answer = log_in(&app, "192.0.2.2", "ada5@example.com").await;
        assert_limit_headers(&answer, 3, 2);
        answer.fails(401, "INVALID_CREDENTIALS");
    }

    async fn password_reset_requests_are_counted_apart_from_logins(database: TestDatabase) {
        let app = TestApp::new(&database, Options { auth_per_minute: 3, ..behind_a_proxy() }).await;
        let forgot = async || {
            let call = app.anonymous().call(Method::POST, "/v1/auth/forgot-password");
            call.json(&json!({"email": "ada@example.com"})).header("x-forwarded-for", "192.0.2.1").send().await
        };
        for _ in 0..3 {
            log_in(&app, "192.0.2.1", "ada@example.com").await.fails(401, "INVALID_CREDENTIALS");
        }
        assert_limited(log_in(&app, "192.0.2.1", "ada@example.com").await, 3);
        for remaining in [2, 1, 0] {
            let answer = forgot().await;
            assert_limit_headers(&answer, 3, remaining);
            answer.expect(202);
        }
        assert_limited(forgot().await, 3);
    }

    async fn larger_networks_of_ipv6_have_larger_limits(database: TestDatabase) {
        let app = TestApp::new(&database, Options { auth_per_minute: 1, ..behind_a_proxy() }).await;
        let allowed = async |addresses: Vec<String>| {
            let mut allowed = 0;
            for address in addresses {
                let status = log_in(&app, &address, "ada@example.com").await.status.as_u16();
                allowed += usize::from(status == 401);
            }
            allowed
        };
        assert_eq!(allowed((0..10).map(|n| format!("2001:db8:0:100::{n:x}")).collect()).await, 1);
        assert_eq!(allowed((0..10).map(|n| format!("2001:db8:0:1{n:02x}::1")).collect()).await, 3);
        assert_eq!(allowed((0..40).map(|n| format!("2001:db8:0:{n:02x}00::1")).collect()).await, 12);
        assert_eq!(allowed((0..4).map(|n| format!("2001:db8:{}::1", n + 1)).collect()).await, 4);
    }

    async fn password_changes_are_limited_by_user_across_ip_addresses(database: TestDatabase) {
        let open = TestApp::new(&database, behind_a_proxy()).await;
        let (user, other) = (open.user().await, open.user().await);
        let app = TestApp::new(&database, Options { auth_per_minute: 2, ..behind_a_proxy() }).await;
        let guess = async |client: &Client, address: &str| {
            let body = json!({"current_password": "a guess", "new_password": "battery staple"});
            let client = app.with_token(client.token.as_deref().unwrap());
            let call = client.call(Method::POST, "/v1/me/password").json(&body);
            call.header("x-forwarded-for", address).send().await
        };
        for address in ["192.0.2.1", "192.0.2.2"] {
            guess(&user, address).await.invalid(&["current_password:incorrect"]);
        }
        assert_limited(guess(&user, "192.0.2.3").await, 2);
        guess(&other, "192.0.2.4").await.invalid(&["current_password:incorrect"]);
        assert_no_limit_headers(&app.with_token(user.token.as_deref().unwrap()).get("/v1/me").await);
    }

    async fn limit_headers_describe_the_nearest_limit(database: TestDatabase) {
        let app = TestApp::new(&database, Options { auth_per_minute: 3, ..behind_a_proxy() }).await;
        assert_limit_headers(&log_in(&app, "2001:db8::1", "ada@example.com").await, 3, 2);
        for n in 1..10 {
            log_in(&app, &format!("2001:db8:0:{n:x}::1"), "ada@example.com").await.fails(401, "INVALID_CREDENTIALS");
        }
        // One request is left for this site, two for the new household.
        assert_limit_headers(&log_in(&app, "2001:db8:0:a::1", "ada@example.com").await, 12, 1);
    }

    async fn other_operations_are_limited_by_user(database: TestDatabase) {
        let app = TestApp::new(&database, Options { api_per_minute: 3, ..Options::default() }).await;
        let (user, other) = (app.user().await, app.user().await);
        let login = json!({"email": user.email(), "password": "correct horse"});
        let login = app.anonymous().post("/v1/auth/login", login).await;
        assert_no_limit_headers(&login);
        let login = login.ok();
        let elsewhere = app.with_token(login["access_token"].as_str().unwrap());
        assert_limit_headers(&user.get("/v1/me").await, 3, 2);
        assert_limit_headers(&elsewhere.get("/v1/projects").await, 3, 1);
        let answer = user.get("/v1/tasks/x").await;
        assert_limit_headers(&answer, 3, 0);
        answer.fails(404, "NOT_FOUND");
        assert_limited(user.get("/v1/me").await, 3);
        assert_limited(elsewhere.post("/v1/projects", json!({"name": "A project"})).await, 3);
        // Other users and anonymous clients have limits of their own.
        assert_limit_headers(&other.get("/v1/me").await, 3, 2);
        let answer = app.anonymous().get("/v1/me").await;
        assert_limit_headers(&answer, 3, 2);
        answer.fails(401, "UNAUTHENTICATED");
    }

    async fn requests_without_a_valid_token_are_limited_by_ip_address_before_authentication(database: TestDatabase) {
        let app = TestApp::new(&database, Options { api_per_minute: 3, ..behind_a_proxy() }).await;
        let user = app.user().await;
        let ask = async |client: &Client, address: &str| {
            client.call(Method::GET, "/v1/me").header("x-forwarded-for", address).send().await
        };
        for client in [app.anonymous(), app.with_token("garbage"), app.with_token("a.b.c")] {
            ask(&client, "192.0.2.1").await.fails(401, "UNAUTHENTICATED");
        }
        assert_limited(ask(&app.anonymous(), "192.0.2.1").await, 3);
        assert_limited(ask(&app.with_token("garbage"), "192.0.2.1").await, 3);
        ask(&user, "192.0.2.1").await.ok();
        ask(&app.anonymous(), "192.0.2.2").await.fails(401, "UNAUTHENTICATED");
    }

    async fn refreshes_have_a_separate_limit(database: TestDatabase) {
        let options = Options { auth_per_minute: 3, refresh_per_minute: 2, api_per_minute: 3, ..Options::default() };
        let app = TestApp::new(&database, options).await;
        let user = app.user().await;
        let refresh = async || {
            let body = json!({"refresh_token": user.session["refresh_token"]});
            app.anonymous().post("/v1/auth/refresh", body).await
        };
        for remaining in [1, 0] {
            let answer = refresh().await;
            assert_limit_headers(&answer, 2, remaining);
            answer.ok();
        }
        assert_limited(refresh().await, 2);
        assert_limit_headers(&user.get("/v1/me").await, 3, 2);
        assert_limit_headers(&app.anonymous().post("/v1/auth/login", json!({})).await, 3, 1);
    }

    async fn a_limit_of_zero_disables_the_limit(app: TestApp) {
        let user = app.user().await;
        for _ in 0..40 {
            let answer = user.get("/v1/me").await;
            assert_no_limit_headers(&answer);
            answer.ok();
        }
        for _ in 0..12 {
            let answer = app.anonymous().post("/v1/auth/login", json!({"email": user.email(), "password": "x"})).await;
            assert_no_limit_headers(&answer);
            answer.fails(401, "INVALID_CREDENTIALS");
        }
    }
}

#[tokio::test]
async fn errors_of_existing_routes_have_limit_headers() {
    let database = sqlite().await;
    let app = TestApp::new(&database, Options { api_per_minute: 60, ..Options::default() }).await;
    let user = app.user().await;
    let patch = || user.call(Method::PATCH, "/v1/me");
    for (call, status) in [
        (patch().json(&json!({"x": 1})), 400),
        (patch().body("application/json", "{"), 400),
        (patch().without_header("authorization"), 401),
        (user.call(Method::GET, "/v1/projects/x"), 404),
        (patch().json(&json!({})).header("accept", "text/html"), 406),
        (patch().body("application/json", vec![b' '; 2_000_000]), 413),
        (patch().body("text/plain", "{}"), 415),
    ] {
        let answer = call.send().await;
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!(answer.header("ratelimit-limit"), "60", "{status}");
    }
    database.remove().await;
}

#[tokio::test]
async fn health_checks_and_documentation_are_not_limited() {
    let database = sqlite().await;
    let options = Options { auth_per_minute: 1, refresh_per_minute: 1, api_per_minute: 1, ..Options::default() };
    let app = TestApp::new(&database, options).await;
    for path in ["/docs", "/openapi.json", "/health/live", "/health/ready", "/"] {
        for _ in 0..3 {
            let answer = app.anonymous().get(path).await;
            assert_no_limit_headers(&answer);
            assert_ne!(answer.status.as_u16(), 429, "{path}");
        }
    }
    database.remove().await;
}

#[tokio::test]
async fn paths_that_do_not_exist_count_for_the_address() {
    let database = sqlite().await;
    let app = TestApp::new(&database, Options { api_per_minute: 3, ..Options::default() }).await;
    for path in ["/v1/nothing", "/v1", "/nothing"] {
        let answer = app.anonymous().get(path).await;
        assert_no_limit_headers(&answer);
        answer.fails(404, "NOT_FOUND");
    }
    for path in ["/nothing", "/v1/projects"] {
        let answer = app.anonymous().get(path).await;
        assert!(!answer.header("retry-after").is_empty(), "{path}");
        answer.fails(429, "RATE_LIMITED");
    }
    database.remove().await;
}

#[tokio::test]
async fn client_addresses_are_taken_only_from_trusted_proxies() {
    let database = sqlite().await;
    // Number of trusted proxies, `X-Forwarded-For` of two requests, and whether they count as one client.
    for (hops, first, second, same) in [
        ("0", "192.0.2.1", "192.0.2.2", true),
        ("1", "192.0.2.1", "192.0.2.2", false),
        ("1", "6.6.6.6, 192.0.2.1", "7.7.7.7, 192.0.2.1", true),
        ("2", "192.0.2.1, 198.51.100.1", "192.0.2.1, 198.51.100.2", true),
        ("2", "192.0.2.1, 198.51.100.1", "192.0.2.2, 198.51.100.1", false),
        ("1", "2001:db8::1", "2001:db8::ffff:2", true),
        ("1", "2001:db8::1", "2001:db8:0:1::1", false),
        ("1", "192.0.2.1", "::ffff:192.0.2.1", true),
        ("1", "192.0.2.1", "192.0.2.1:4711", true),
        ("1", "nonsense", "other nonsense", true),
    ] {
        let variables = vec![("TRUSTED_PROXY_HOPS", hops)];
        let app = TestApp::new(&database, Options { auth_per_minute: 1, variables, ..Options::default() }).await;
        log_in(&app, first, "ada@example.com").await.fails(401, "INVALID_CREDENTIALS");
        let status = log_in(&app, second, "eve@example.com").await.status.as_u16();
        assert_eq!(status, if same { 429 } else { 401 }, "{hops}: {first} | {second}");
    }
    database.remove().await;
}

#[test]
fn every_operation_that_takes_credentials_or_sends_mail_has_a_stricter_limit() {
    let sensitive = |id: &str, path: &str| {
        path.starts_with("/v1/auth/") && id != "logout" || matches!(id, "changePassword" | "createInvitation")
    };
    for (id, _, path, _) in operations() {
        let policy = OPERATIONS.iter().find(|policy| policy.id == id).unwrap();
        let is_strict = !matches!(policy.rate_limit, RateLimitClass::Api);
        assert_eq!(is_strict, sensitive(&id, &path), "{id}");
    }
}
