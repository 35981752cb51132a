//! Rate limits that several servers on one PostgreSQL share.

use poem::http::Method;
use serde_json::json;

use super::rate_limits::{assert_limit_headers, assert_limited, behind_a_proxy, log_in};
use crate::support::databases::postgres;
use crate::support::{Answer, Options, TestApp};

fn limited() -> Options {
    Options { auth_per_minute: 3, refresh_per_minute: 2, ..behind_a_proxy() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authentication_is_limited_across_servers_on_postgres() {
    let Some(database) = postgres().await else { return };
    let one = TestApp::new(&database, limited()).await;
    let other = TestApp::over(database.another_store().await, limited(), one.clock.clone());
    for (app, remaining) in [(&one, 2), (&other, 1), (&one, 0)] {
        let answer = log_in(app, "192.0.2.1", "ada@example.com").await;
        assert_limit_headers(&answer, 3, remaining);
        answer.fails(401, "INVALID_CREDENTIALS");
    }
    for app in [&one, &other] {
        assert_limited(log_in(app, "192.0.2.1", "ada@example.com").await, 3);
    }
    let answer = log_in(&other, "192.0.2.2", "ada@example.com").await;
    assert_limit_headers(&answer, 3, 2);
    answer.fails(401, "INVALID_CREDENTIALS");

    // A household that is refused takes nothing from its site, which has twelve requests.
    let allowed = async |address: &str| {
        let mut allowed = 0;
        for app in [&one, &other, &one, &other, &one, &other] {
            let status = log_in(app, address, "ada@example.com").await.status.as_u16();
            allowed += usize::from(status == 401);
        }
        allowed
    };
    for household in 0..4 {
        assert_eq!(allowed(&format!("2001:db8:0:{household}::1")).await, 3, "{household}");
    }

    let refresh = async |app: &TestApp| -> Answer {
        let call = app.anonymous().call(Method::POST, "/v1/auth/refresh").json(&json!({"refresh_token": "rt_x"}));
        call.header("x-forwarded-for", "192.0.2.1").send().await
    };
    for (app, remaining) in [(&one, 1), (&other, 0)] {
        assert_limit_headers(&refresh(app).await, 2, remaining);
    }
    assert_limited(refresh(&one).await, 2);
    drop((one, other));
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_counts_alone_while_postgres_is_away() {
    let Some(database) = postgres().await else { return };
    let app = TestApp::over(database.closed_store().await, limited(), crate::support::TestClock::default());
    for _ in 0..3 {
        log_in(&app, "192.0.2.1", "ada@example.com").await.fails(503, "UNAVAILABLE");
    }
    assert_limited(log_in(&app, "192.0.2.1", "ada@example.com").await, 3);
    drop(app);
    database.remove().await;
}
