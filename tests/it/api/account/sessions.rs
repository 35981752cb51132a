//! Sessions of an account.

use std::time::Duration;

use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::account::signed_in;
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, TestApp};

pub(crate) const PASSWORD: &str = "correct horse";
const MINUTE: Duration = Duration::from_mins(1);

/// Logs the user in again, in a new session.
pub(crate) async fn log_in(app: &TestApp, user: &Client, user_agent: Option<&str>) -> Client {
    let body = json!({"email": user.email(), "password": PASSWORD});
    let call = app.anonymous().call(Method::POST, "/v1/auth/login").json(&body);
    let call = user_agent.into_iter().fold(call, |call, value| call.header("user-agent", value));
    signed_in(app, call.send().await.ok())
}

pub(crate) async fn refresh(app: &TestApp, client: &Client) -> Client {
    let body = json!({"refresh_token": client.session["refresh_token"]});
    signed_in(app, app.anonymous().post("/v1/auth/refresh", body).await.ok())
}

/// Id of the client's own session.
pub(crate) async fn session_id(client: &Client) -> String {
    let sessions = client.get("/v1/me/sessions?limit=100").await.ok();
    sessions["data"].as_array().unwrap().iter().find(|session| session["current"] == true).unwrap().id()
}

/// Creates a user with three sessions, started one minute apart, and returns their ids.
pub(crate) async fn three_sessions(app: &TestApp) -> ([Client; 3], [String; 3]) {
    let first = app.user().await;
    app.clock.advance(MINUTE);
    let second = log_in(app, &first, None).await;
    app.clock.advance(MINUTE);
    let third = log_in(app, &first, None).await;
    let ids = [session_id(&first).await, session_id(&second).await, session_id(&third).await];
    ([first, second, third], ids)
}

on_both_databases! {
    async fn a_session_shows_its_user_agent_and_last_use(app: TestApp) {
        let first = app.user().await;
        app.clock.advance(MINUTE);
        let second = log_in(&app, &first, Some("Browser/1.0 (of a kind)")).await;
        let list = second.get("/v1/me/sessions").await.ok();
        assert_eq!(list.column("current"), [true, false]);
        assert_eq!(list.column("user_agent"), [json!("Browser/1.0 (of a kind)"), Value::Null]);
        assert_eq!(list.column("created_at"), list.column("last_used_at"));
        assert_eq!(first.get("/v1/me/sessions").await.ok().column("current"), [false, true]);
        let stranger = app.user().await;
        assert_eq!(stranger.get("/v1/me/sessions").await.ok()["meta"]["total"], 1, "other users' sessions are not listed");
    }

    async fn a_refresh_updates_last_use_and_keeps_the_user_agent(app: TestApp) {
        let user = app.user().await;
        let user = log_in(&app, &user, Some("Browser/1.0")).await;
        let before = user.get("/v1/me/sessions?limit=1").await.ok();
        app.clock.advance(MINUTE);
        let body = json!({"refresh_token": user.session["refresh_token"]});
        let call = app.anonymous().call(Method::POST, "/v1/auth/refresh").json(&body);
        call.header("user-agent", "Another/2.0").send().await.ok();
        let after = user.get("/v1/me/sessions?limit=1").await.ok();
        for (field, stays) in [("id", true), ("created_at", true), ("user_agent", true), ("last_used_at", false)] {
            assert_eq!(before.column(field) == after.column(field), stays, "{field}");
        }
    }

    async fn long_user_agents_are_truncated(app: TestApp) {
        let user = app.user().await;
        let long = format!("Browser/{}", "9".repeat(5_000));
        let user = log_in(&app, &user, Some(&long)).await;
        let list = user.get("/v1/me/sessions").await.ok();
        let kept = list["data"][0]["user_agent"].as_str().unwrap();
        assert!(long.starts_with(kept) && (200..=1_000).contains(&kept.len()), "{} characters", kept.len());
    }

    async fn session_lists_are_sorted_and_paginated(app: TestApp) {
        let ([first, ..], [a, b, c]) = three_sessions(&app).await;
        app.clock.advance(MINUTE);
        refresh(&app, &first).await;
        for (query, expected, page, has_more) in [
            ("", vec![&c, &b, &a], 1, false),
            ("?dir=asc", vec![&a, &b, &c], 1, false),
            ("?sort=created_at", vec![&c, &b, &a], 1, false),
            ("?sort=created_at&dir=asc", vec![&a, &b, &c], 1, false),
            ("?sort=last_used_at", vec![&b, &c, &a], 1, false),
            ("?sort=last_used_at&dir=desc", vec![&a, &c, &b], 1, false),
            ("?limit=2", vec![&c, &b], 1, true),
            ("?limit=2&page=2", vec![&a], 2, false),
            ("?limit=2&page=3", vec![], 3, false),
            ("?limit=1&offset=1", vec![&b], 2, true),
            ("?offset=2", vec![&a], 1, false),
        ] {
            let list = first.get(format!("/v1/me/sessions{query}")).await.ok();
            let expected: Vec<Value> = expected.into_iter().map(|id| json!(id)).collect();
            assert_eq!(list.column("id"), expected, "{query}");
            let limit = if query.contains("limit=1") { 1 } else if query.contains("limit=2") { 2 } else { 20 };
            let meta = json!({"total": 3, "total_is_exact": true, "page": page, "limit": limit, "has_more": has_more});
            assert_eq!(list["meta"], meta, "{query}");
        }
    }

    async fn invalid_session_list_queries_are_rejected(app: TestApp) {
        let user = app.user().await;
        for (query, failures) in [
            ("limit=0", &["limit:minimum"][..]),
            ("limit=101", &["limit:maximum"]),
            ("limit=ten", &["limit:type"]),
            ("page=0", &["page:minimum"]),
            ("offset=-1", &["offset:minimum"]),
            ("page=1&offset=0", &["offset:conflict"]),
            ("sort=user_agent", &["sort:enum"]),
            ("dir=up", &["dir:enum"]),
            ("limit=1&limit=2", &["limit:duplicate_parameter"]),
            ("current=true", &["current:unknown_parameter"]),
            ("dir=up&x=1&limit=0", &["dir:enum", "x:unknown_parameter", "limit:minimum"]),
        ] {
            user.get(format!("/v1/me/sessions?{query}")).await.invalid(failures);
        }
    }

    async fn a_revoked_session_stops_working_immediately(app: TestApp) {
        let ([first, second, _], [a, b, c]) = three_sessions(&app).await;
        first.delete(format!("/v1/me/sessions/{b}")).await.no_content();
        second.get("/v1/me").await.fails(401, "TOKEN_REVOKED");
        let body = json!({"refresh_token": second.session["refresh_token"]});
        app.anonymous().post("/v1/auth/refresh", body).await.fails(401, "INVALID_REFRESH_TOKEN");
        assert_eq!(first.get("/v1/me/sessions").await.ok().column("id"), [c, a]);
        first.delete(format!("/v1/me/sessions/{b}")).await.fails(404, "NOT_FOUND");
    }

    async fn a_session_can_revoke_itself(app: TestApp) {
        let ([first, second, _], [a, ..]) = three_sessions(&app).await;
        first.delete(format!("/v1/me/sessions/{a}")).await.no_content();
        first.get("/v1/me").await.fails(401, "TOKEN_REVOKED");
        assert_eq!(second.get("/v1/me/sessions").await.ok()["meta"]["total"], 2);
    }

    async fn a_session_of_another_user_cannot_be_revoked(app: TestApp) {
        let (user, stranger) = (app.user().await, app.user().await);
        let id = session_id(&user).await;
        stranger.delete(format!("/v1/me/sessions/{id}")).await.fails(403, "FORBIDDEN");
        user.get("/v1/me").await.ok();
        // A revoked session is not found by anyone.
        user.post_empty("/v1/auth/logout").await.no_content();
        stranger.delete(format!("/v1/me/sessions/{id}")).await.fails(404, "NOT_FOUND");
    }

    async fn an_unknown_session_cannot_be_revoked(app: TestApp) {
        let user = app.user().await;
        let (unknown, nil) = (pocket_tasks::contract::ids::new_uuid().to_string(), uuid::Uuid::nil().to_string());
        for id in [&unknown, &nil, "x", user.user_id()] {
            user.delete(format!("/v1/me/sessions/{id}")).await.fails(404, "NOT_FOUND");
        }
        user.get("/v1/me").await.ok();
    }

    async fn a_session_expires_after_30_days_without_use(app: TestApp) {
        let ([first, second, _], [a, b, _]) = three_sessions(&app).await;
        app.clock.advance(MINUTE * 60 * 24 * 20);
        let second = refresh(&app, &second).await;
        app.clock.advance(MINUTE * 60 * 24 * 10);
        let second = refresh(&app, &second).await;
        assert_eq!(second.get("/v1/me/sessions").await.ok().column("id"), [b]);
        second.delete(format!("/v1/me/sessions/{a}")).await.fails(404, "NOT_FOUND");
        first.get("/v1/me").await.fails(401, "TOKEN_EXPIRED");
    }
}
