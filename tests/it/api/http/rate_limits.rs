//! How many requests are allowed, and what the answers say about it.
//!
//! The limits go by the clock of the machine, so each test keeps to limits that take 20 seconds or more to give one
//! request back.

use poem::http::Method;
use serde_json::json;

use crate::on_both_databases;
use crate::support::databases::sqlite;
use crate::support::{Answer, Client, Options, TestApp, TestDatabase};

const HEADERS: [&str; 3] = ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"];

fn behind_a_proxy() -> Options {
    Options { variables: vec![("TRUSTED_PROXY_HOPS", "1")], ..Options::default() }
}

/// Tries to log in, from an address behind the proxy.
async fn log_in(app: &TestApp, address: &str, email: &str) -> Answer {
    let body = json!({"email": email, "password": "a guess"});
    let call = app.anonymous().call(Method::POST, "/v1/auth/login").json(&body);
    call.header("x-forwarded-for", address).send().await
}

#[track_caller]
fn is_refused(answer: Answer, limit: u32) {
    let per_request = 60 / limit;
    assert_eq!(answer.header("ratelimit-limit"), limit.to_string());
    assert_eq!(answer.header("ratelimit-remaining"), "0");
    let wait: u32 = answer.header("retry-after").parse().unwrap();
    assert!((1..=per_request).contains(&wait), "{wait}");
    answer.fails(429, "RATE_LIMITED");
}

#[track_caller]
fn says_nothing_of_limits(answer: &Answer) {
    for name in HEADERS {
        assert!(!answer.headers.contains_key(name), "{name}: {answer:?}");
    }
}

#[track_caller]
fn says(answer: &Answer, limit: u32, remaining: u32) {
    let found = ["ratelimit-limit", "ratelimit-remaining"].map(|name| answer.header(name).parse::<u32>().unwrap());
    assert_eq!(found, [limit, remaining], "{answer:?}");
    let reset: u32 = answer.header("ratelimit-reset").parse().unwrap();
    assert!((1..=60).contains(&reset), "{reset}");
}

on_both_databases! {
    async fn credentials_are_limited_by_address(database: TestDatabase) {
        let app = TestApp::new(&database, Options { auth_per_minute: 3, ..behind_a_proxy() }).await;
        for (n, remaining) in [(1, 2), (2, 1), (3, 0)] {
            let answer = log_in(&app, "192.0.2.1", &format!("ada{n}@example.com")).await;
            says(&answer, 3, remaining);
            answer.fails(401, "INVALID_CREDENTIALS");
        }
        is_refused(log_in(&app, "192.0.2.1", "ada4@example.com").await, 3);
        let body = json!({"email": "ada@example.com", "name": "Ada", "password": "correct horse"});
        let call = app.anonymous().call(Method::POST, "/v1/auth/register").json(&body);
        is_refused(call.header("x-forwarded-for", "192.0.2.1").send().await, 3);
        let answer = log_in(&app, "192.0.2.2", "ada5@example.com").await;
        says(&answer, 3, 2);
        answer.fails(401, "INVALID_CREDENTIALS");
    }

    async fn credentials_are_limited_by_account_whatever_the_address(database: TestDatabase) {
        let app = TestApp::new(&database, behind_a_proxy()).await;
        let user = app.user().await;
        // The same database, now with a limit.
        let app = TestApp::new(&database, Options { auth_per_minute: 3, ..behind_a_proxy() }).await;
        for email in [user.email(), "nobody@example.com"] {
            for (n, email) in [(1, email.to_owned()), (2, email.to_uppercase()), (3, email.to_owned())] {
                let answer = log_in(&app, &format!("192.0.2.{n}"), &email).await;
                answer.fails(401, "INVALID_CREDENTIALS");
            }
        }
        // Of whom there is an account or not makes no difference, and the right password does not help.
        for email in [user.email(), "nobody@example.com"] {
            is_refused(log_in(&app, "198.51.100.1", email).await, 3);
        }
        let body = json!({"email": user.email(), "password": "correct horse"});
        let call = app.anonymous().call(Method::POST, "/v1/auth/login").json(&body);
        is_refused(call.header("x-forwarded-for", "198.51.100.2").send().await, 3);
        log_in(&app, "198.51.100.3", "somebody.else@example.com").await.fails(401, "INVALID_CREDENTIALS");
    }

    async fn changing_the_password_is_limited_by_user_whatever_the_address(database: TestDatabase) {
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
        is_refused(guess(&user, "192.0.2.3").await, 2);
        guess(&other, "192.0.2.4").await.invalid(&["current_password:incorrect"]);
        says_nothing_of_limits(&app.with_token(user.token.as_deref().unwrap()).get("/v1/me").await);
    }

    async fn the_answer_tells_of_the_limit_that_is_nearest(database: TestDatabase) {
        let app = TestApp::new(&database, Options { auth_per_minute: 3, ..behind_a_proxy() }).await;
        says(&log_in(&app, "192.0.2.1", "ada@example.com").await, 3, 2);
        // By this account one is left, by the new address two.
        says(&log_in(&app, "192.0.2.2", "ada@example.com").await, 3, 1);
        // By this address one is left, by the new account two.
        says(&log_in(&app, "192.0.2.2", "eve@example.com").await, 3, 1);
    }

    async fn everything_else_is_limited_by_user(database: TestDatabase) {
        let app = TestApp::new(&database, Options { api_per_minute: 3, ..Options::default() }).await;
        let (user, other) = (app.user().await, app.user().await);
        let login = json!({"email": user.email(), "password": "correct horse"});
        let login = app.anonymous().post("/v1/auth/login", login).await;
        says_nothing_of_limits(&login);
        let login = login.ok();
        let elsewhere = app.with_token(login["access_token"].as_str().unwrap());
        says(&user.get("/v1/me").await, 3, 2);
        says(&elsewhere.get("/v1/projects").await, 3, 1);
        let answer = user.get("/v1/tasks/x").await;
        says(&answer, 3, 0);
        answer.fails(404, "NOT_FOUND");
        is_refused(user.get("/v1/me").await, 3);
        is_refused(elsewhere.post("/v1/projects", json!({"name": "A project"})).await, 3);
        // Neither another user nor who has no token shares this limit.
        says(&other.get("/v1/me").await, 3, 2);
        let answer = app.anonymous().get("/v1/me").await;
        says(&answer, 3, 2);
        answer.fails(401, "UNAUTHENTICATED");
    }

    async fn who_has_no_good_token_is_limited_by_address_and_before_authentication(database: TestDatabase) {
        let app = TestApp::new(&database, Options { api_per_minute: 3, ..behind_a_proxy() }).await;
        let user = app.user().await;
        let ask = async |client: &Client, address: &str| {
            client.call(Method::GET, "/v1/me").header("x-forwarded-for", address).send().await
        };
        for client in [app.anonymous(), app.with_token("garbage"), app.with_token("a.b.c")] {
            ask(&client, "192.0.2.1").await.fails(401, "UNAUTHENTICATED");
        }
        is_refused(ask(&app.anonymous(), "192.0.2.1").await, 3);
        is_refused(ask(&app.with_token("garbage"), "192.0.2.1").await, 3);
        ask(&user, "192.0.2.1").await.ok();
        ask(&app.anonymous(), "192.0.2.2").await.fails(401, "UNAUTHENTICATED");
    }

    async fn refreshing_has_a_limit_of_its_own(database: TestDatabase) {
        let options = Options { auth_per_minute: 3, refresh_per_minute: 2, api_per_minute: 3, ..Options::default() };
        let app = TestApp::new(&database, options).await;
        let user = app.user().await;
        let refresh = async || {
            let body = json!({"refresh_token": user.session["refresh_token"]});
            app.anonymous().post("/v1/auth/refresh", body).await
        };
        for remaining in [1, 0] {
            let answer = refresh().await;
            says(&answer, 2, remaining);
            answer.ok();
        }
        is_refused(refresh().await, 2);
        says(&user.get("/v1/me").await, 3, 2);
        says(&app.anonymous().post("/v1/auth/login", json!({})).await, 3, 1);
    }

    async fn a_limit_of_zero_is_off(app: TestApp) {
        let user = app.user().await;
        for _ in 0..40 {
            let answer = user.get("/v1/me").await;
            says_nothing_of_limits(&answer);
            answer.ok();
        }
        for _ in 0..12 {
            let answer = app.anonymous().post("/v1/auth/login", json!({"email": user.email(), "password": "x"})).await;
            says_nothing_of_limits(&answer);
            answer.fails(401, "INVALID_CREDENTIALS");
        }
    }
}

#[tokio::test]
async fn errors_of_existing_routes_tell_of_the_limit() {
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
async fn what_is_no_route_of_the_api_tells_of_no_limit() {
    let database = sqlite().await;
    let options = Options { auth_per_minute: 1, refresh_per_minute: 1, api_per_minute: 1, ..Options::default() };
    let app = TestApp::new(&database, options).await;
    for path in ["/v1/nothing", "/v1", "/nothing", "/docs", "/openapi.json", "/health/live", "/health/ready", "/"] {
        for _ in 0..3 {
            let answer = app.anonymous().get(path).await;
            says_nothing_of_limits(&answer);
            assert_ne!(answer.status.as_u16(), 429, "{path}");
        }
    }
    database.remove().await;
}

#[tokio::test]
async fn only_what_trusted_proxies_say_names_the_client() {
    let database = sqlite().await;
    // The number of proxies, what the first and the second request say, and whether they come from one client.
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
