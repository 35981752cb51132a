//! Failed logins: a stranger who guesses locks out only the own network, and the owner is told.
//!
//! The attack of issue 16: ten wrong logins a minute by a stranger kept the owner out.

use std::time::{Duration, Instant};

use poem::http::Method;
use serde_json::json;

use crate::api::fixtures::account::{Tables, count_mails, prune, reset, reset_token};
use crate::api::fixtures::common::{DAY, concurrently};
use crate::support::{Answer, Client, Options, TestApp, TestDatabase};
use crate::{on_both_databases, on_sqlite};

const PASSWORD: &str = "correct horse";
const WRONG: &str = "wrong horse";
const HOME: &str = "198.51.100.7";
const STRANGER: &str = "192.0.2.1";
const NOTICE: &str = "Many failed logins to your account";
const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);

/// Creates an app with the default limits.
async fn limited_app(database: &TestDatabase) -> TestApp {
    TestApp::new(database, limited()).await
}

fn limited() -> Options {
    let limits = [("LOGIN_FAILURES_PER_MINUTE", "10"), ("LOGIN_FAILURES_PER_HOUR", "100"), ("TRUSTED_PROXY_HOPS", "1")];
    Options { variables: limits.to_vec(), ..Options::default() }
}

async fn log_in(app: &TestApp, address: &str, email: &str, password: &str) -> Answer {
    let body = json!({"email": email, "password": password});
    let call = app.anonymous().call(Method::POST, "/v1/auth/login").json(&body);
    call.header("x-forwarded-for", address).send().await
}

/// Registers a user, who has logged in from home.
async fn user(app: &TestApp) -> Client {
    let user = app.user().await;
    log_in(app, HOME, user.email(), PASSWORD).await.ok();
    user
}

/// Sends this many wrong logins, each from another address.
async fn guess_from_everywhere(app: &TestApp, email: &str, count: u32) {
    for number in 0..count {
        let address = format!("203.0.{}.{}", 113 + number / 200, number % 200);
        log_in(app, &address, email, WRONG).await.fails(401, "INVALID_CREDENTIALS");
    }
}

#[track_caller]
fn assert_refused(answer: Answer, limit: &str, max_wait: u64) {
    assert_eq!((answer.header("ratelimit-limit"), answer.header("ratelimit-remaining")), (limit, "0"));
    let wait: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=max_wait).contains(&wait), "{wait}");
    answer.fails(429, "RATE_LIMITED");
}

/// Parts of an answer that a stranger sees.
fn appearance(answer: &Answer) -> (u16, String, String, Vec<String>) {
    let names = answer.headers.keys().map(|name| name.as_str().to_owned()).collect();
    (answer.status.as_u16(), answer.body["error"].to_string(), answer.body["message"].to_string(), names)
}

on_both_databases! {
    async fn ten_wrong_logins_a_minute_by_a_stranger_do_not_lock_out_the_owner(database: TestDatabase) {
        let app = limited_app(&database).await;
        let owner = user(&app).await;
        for _ in 0..12 {
            for _ in 0..10 {
                let status = log_in(&app, STRANGER, owner.email(), WRONG).await.status.as_u16();
                assert!([401, 429].contains(&status), "{status}");
            }
            assert_eq!(log_in(&app, STRANGER, owner.email(), PASSWORD).await.status.as_u16(), 429);
            log_in(&app, HOME, owner.email(), PASSWORD).await.ok();
            app.clock.advance(MINUTE);
        }
    }

    async fn failures_are_counted_by_account_and_network(database: TestDatabase) {
        let app = limited_app(&database).await;
        let (owner, other) = (user(&app).await, user(&app).await);
        for n in 0..10 {
            log_in(&app, &format!("2001:db8::{n}"), owner.email(), WRONG).await.fails(401, "INVALID_CREDENTIALS");
        }
        // The right password makes no difference, so the stranger learns nothing.
        assert_refused(log_in(&app, "2001:db8::ff", &owner.email().to_uppercase(), PASSWORD).await, "10", 60);
        log_in(&app, "2001:db8::ff", other.email(), PASSWORD).await.ok();
        log_in(&app, "2001:db8:0:1::1", owner.email(), PASSWORD).await.ok();
        app.clock.advance(MINUTE);
        log_in(&app, "2001:db8::ff", owner.email(), PASSWORD).await.ok();
    }

    async fn a_success_costs_nothing(database: TestDatabase) {
        let app = limited_app(&database).await;
        let owner = user(&app).await;
        for _ in 0..30 {
            log_in(&app, HOME, owner.email(), PASSWORD).await.ok();
        }
        for _ in 0..10 {
            log_in(&app, HOME, owner.email(), WRONG).await.fails(401, "INVALID_CREDENTIALS");
        }
        assert_refused(log_in(&app, HOME, owner.email(), PASSWORD).await, "10", 60);
    }

    async fn beyond_100_failures_an_hour_only_known_networks_are_let_through(database: TestDatabase) {
        let app = limited_app(&database).await;
        let owner = user(&app).await;
        guess_from_everywhere(&app, owner.email(), 100).await;
        assert_refused(log_in(&app, STRANGER, owner.email(), PASSWORD).await, "100", 3_600);
        for _ in 0..10 {
            log_in(&app, HOME, owner.email(), PASSWORD).await.ok();
        }
        // A known network is limited like any other.
        for _ in 0..10 {
            log_in(&app, HOME, owner.email(), WRONG).await.fails(401, "INVALID_CREDENTIALS");
        }
        assert_refused(log_in(&app, HOME, owner.email(), PASSWORD).await, "10", 60);
        app.clock.advance(HOUR);
        log_in(&app, STRANGER, owner.email(), PASSWORD).await.ok();
        // Both networks are known for 30 days.
        app.clock.advance(DAY * 30);
        prune(&app).await;
        assert_eq!(Tables::read(&database).await.column("known_addresses.address").len(), 0);
        assert_eq!(Tables::read(&database).await.column("counters.key").len(), 0);
        guess_from_everywhere(&app, owner.email(), 100).await;
        assert_refused(log_in(&app, HOME, owner.email(), PASSWORD).await, "100", 3_600);
    }

    async fn a_reset_lets_the_owner_in_from_a_new_network_during_an_attack(database: TestDatabase) {
        let app = limited_app(&database).await;
        let owner = app.user().await;
        guess_from_everywhere(&app, owner.email(), 100).await;
        let token = reset_token(&app, &owner).await;
        let body = json!({"token": token, "password": "battery staple"});
        let call = app.anonymous().call(Method::POST, "/v1/auth/reset-password").json(&body);
        call.header("x-forwarded-for", "198.51.100.8").send().await.no_content();
        log_in(&app, "198.51.100.8", owner.email(), "battery staple").await.ok();
        assert_refused(log_in(&app, "198.51.100.9", owner.email(), "battery staple").await, "100", 3_600);
    }

    async fn unknown_accounts_are_limited_like_known_ones(database: TestDatabase) {
        let app = limited_app(&database).await;
        let owner = app.user().await;
        for round in 0..2 {
            for n in 0..12 {
                let address = format!("192.0.2.{round}");
                let known = log_in(&app, &address, owner.email(), WRONG).await;
                let unknown = log_in(&app, &address, "nobody@example.com", WRONG).await;
                assert_eq!(appearance(&known), appearance(&unknown), "{round} {n}");
                assert_eq!(known.status.as_u16(), if n < 10 { 401 } else { 429 });
            }
        }
        for email in [owner.email(), "nobody@example.com"] {
            guess_from_everywhere(&app, email, 80).await;
        }
        let known = log_in(&app, "192.0.2.3", owner.email(), PASSWORD).await;
        let unknown = log_in(&app, "192.0.2.3", "nobody@example.com", PASSWORD).await;
        assert_eq!(appearance(&known), appearance(&unknown));
        assert_refused(known, "100", 3_600);
    }

    async fn counts_survive_a_restart_and_are_shared_by_processes(database: TestDatabase) {
        let one = limited_app(&database).await;
        let owner = user(&one).await;
        let other = TestApp::over(database.another_store().await, limited(), one.clock.clone());
        for app in [&one, &other, &one, &other, &one, &other, &one, &other, &one, &other] {
            log_in(app, STRANGER, owner.email(), WRONG).await.fails(401, "INVALID_CREDENTIALS");
        }
        for app in [&one, &other] {
            assert_refused(log_in(app, STRANGER, owner.email(), PASSWORD).await, "10", 60);
            log_in(app, HOME, owner.email(), PASSWORD).await.ok();
        }
    }

    async fn concurrent_guesses_count_exactly(database: TestDatabase) {
        let app = limited_app(&database).await;
        let owner = user(&app).await;
        let guesses = (0..40).map(|_| {
            let (app, email) = (app.clone(), owner.email().to_owned());
            async move { log_in(&app, STRANGER, &email, WRONG).await.status.as_u16() }
        });
        let statuses = concurrently(guesses).await;
        assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 10, "{statuses:?}");
    }

    async fn the_owner_is_told_once_an_hour_after_20_failures(database: TestDatabase) {
        let app = limited_app(&database).await;
        let (owner, other) = (user(&app).await, user(&app).await);
        guess_from_everywhere(&app, owner.email(), 19).await;
        guess_from_everywhere(&app, other.email(), 19).await;
        guess_from_everywhere(&app, "nobody@example.com", 25).await;
        app.work().await;
        assert_eq!(count_mails(&app, &owner, NOTICE), 0);
        for expected in [1, 1, 1, 2] {
            guess_from_everywhere(&app, owner.email(), 25).await;
            app.work().await;
            assert_eq!(count_mails(&app, &owner, NOTICE), expected);
            app.clock.advance(Duration::from_mins(25));
        }
        assert_eq!(count_mails(&app, &other, NOTICE), 0);
        let mails = app.mails_to(owner.email());
        let notice = mails.iter().find(|mail| mail.subject == NOTICE).unwrap();
        assert!(notice.text.contains("at least 20 times") && !notice.text.contains("203.0"), "{}", notice.text);
    }

    async fn networks_are_stored_only_in_the_audit_log_and_unknown_addresses_nowhere(database: TestDatabase) {
        let app = limited_app(&database).await;
        let owner = user(&app).await;
        log_in(&app, STRANGER, "nobody@example.com", WRONG).await.fails(401, "INVALID_CREDENTIALS");
        let tables = Tables::read(&database).await;
        // The audit log shows the owner from where an account was used, but not which addresses were tried.
        for network in [HOME, STRANGER] {
            let columns = tables.columns_containing(network);
            assert!(columns.iter().all(|column| column.starts_with("audit_entries.")), "{network}: {columns:?}");
        }
        assert_eq!(tables.columns_containing("nobody@example.com"), [""; 0]);
        assert_eq!(tables.column("known_addresses.address").len(), 2, "{}", owner.email());
    }
}

on_sqlite! {
    async fn a_login_that_is_not_reached_in_time_is_a_503_at_once(database: TestDatabase) {
        // A login may wait for a third of the timeout. Slow hashes, so that far fewer than 200 are reached.
        let timeout = Duration::from_secs(6);
        let variables = vec![("BCRYPT_COST", "12")];
        let app = TestApp::new(&database, Options { variables, request_timeout: timeout, ..Options::default() }).await;
        let user = app.user().await;
        let logins = (0..200).map(|_| {
            let (app, email) = (app.clone(), user.email().to_owned());
            async move {
                let started = Instant::now();
                (log_in(&app, HOME, &email, PASSWORD).await, started.elapsed())
            }
        });
        let (reached, refused): (Vec<_>, Vec<_>) =
            concurrently(logins).await.into_iter().partition(|(answer, _)| answer.status.is_success());
        assert!(!reached.is_empty() && !refused.is_empty(), "{} {}", reached.len(), refused.len());
        for (answer, duration) in refused {
            assert!(duration < timeout * 2 / 3, "{duration:?}");
            assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
            answer.fails(503, "UNAVAILABLE");
        }
    }

    async fn a_disabled_limit_refuses_no_login(app: TestApp) {
        let user = app.user().await;
        for _ in 0..120 {
            log_in(&app, STRANGER, user.email(), WRONG).await.fails(401, "INVALID_CREDENTIALS");
        }
        log_in(&app, STRANGER, user.email(), PASSWORD).await.ok();
        app.work().await;
        assert_eq!(count_mails(&app, &user, NOTICE), 1);
        reset(&app, "mt_none", "battery staple").await.fails(422, "INVALID_TOKEN");
    }
}
