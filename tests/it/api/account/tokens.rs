//! Access tokens and refresh tokens.

use std::time::Duration;

use poem::http::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::sessions::{log_in, session_id};
use crate::api::fixtures::account::api_client;
use crate::api::fixtures::members::{through, two_processes};
use crate::on_both_databases;
use crate::repositories::fixtures::soon;
use crate::support::databases::postgres;
use crate::support::{Answer, Client, Options, TestApp, TestDatabase};

const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

async fn refresh(app: &TestApp, token: &str) -> Answer {
    app.anonymous().post("/v1/auth/refresh", json!({"refresh_token": token})).await
}

/// Refreshes the session and returns the next refresh token.
async fn next(app: &TestApp, token: &str) -> String {
    refresh_token(&refresh(app, token).await.ok())
}

fn refresh_token(session: &Value) -> String {
    session["refresh_token"].as_str().unwrap().to_owned()
}

fn signed_in(app: &TestApp, session: &Value) -> Client {
    app.with_token(session["access_token"].as_str().unwrap())
}

#[track_caller]
fn assert_token_rejected(answer: Answer, error: &str) {
    let challenge = answer.header("www-authenticate");
    assert!(challenge.starts_with("Bearer realm=\"pocket-tasks\", error=\"invalid_token\""), "{error}: {challenge}");
    answer.fails(401, error);
}

on_both_databases! {
    async fn an_access_token_is_valid_for_15_minutes(app: TestApp) {
        let user = app.user().await;
        app.clock.advance(MINUTE * 14);
        user.get("/v1/me").await.ok();
        app.clock.advance(MINUTE);
        assert_token_rejected(user.get("/v1/me").await, "TOKEN_EXPIRED");
        assert_token_rejected(user.delete("/v1/me/sessions/x").await, "TOKEN_EXPIRED");
        let session = refresh(&app, &refresh_token(&user.session)).await.ok();
        signed_in(&app, &session).get("/v1/me").await.ok();
    }

    async fn the_challenge_without_a_token_names_no_error(app: TestApp) {
        let user = app.user().await;
        let token = user.token.as_deref().unwrap();
        for authorization in [None, Some("Basic YWRhOmFkYQ=="), Some(token)] {
            let call = app.anonymous().call(Method::GET, "/v1/me");
            let call = authorization.into_iter().fold(call, |call, value| call.header("authorization", value));
            let answer = call.send().await;
            assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"pocket-tasks\"", "{authorization:?}");
            answer.fails(401, "UNAUTHENTICATED");
        }
    }

    async fn malformed_access_tokens_are_rejected(app: TestApp) {
        let user = app.user().await;
        let token = user.token.as_deref().unwrap();
        let (head, signature) = token.rsplit_once('.').unwrap();
        let other = app.user().await;
        let (_, others_signature) = other.token.as_deref().unwrap().rsplit_once('.').unwrap();
        for garbage in [
            "x".to_owned(),
            "a.b.c".to_owned(),
            "pt_not_yet".to_owned(),
            refresh_token(&user.session),
            format!("{head}."),
            format!("{head}.{others_signature}"),
            format!("{token}x"),
            format!("{token}, {token}"),
            signature.to_owned(),
        ] {
            assert_token_rejected(app.with_token(&garbage).get("/v1/me").await, "UNAUTHENTICATED");
        }
        let call = app.anonymous().call(Method::GET, "/v1/me");
        call.header("authorization", &format!("bearer {token}")).send().await.ok();
    }

    async fn logout_revokes_all_tokens_of_the_session_immediately(app: TestApp) {
        let user = app.user().await;
        let elsewhere = json!({"email": user.email(), "password": "correct horse"});
        let elsewhere = app.anonymous().post("/v1/auth/login", elsewhere).await.ok();
        let refreshed = refresh(&app, &refresh_token(&user.session)).await.ok();
        user.post_empty("/v1/auth/logout").await.no_content();
        assert_token_rejected(user.get("/v1/me").await, "TOKEN_REVOKED");
        assert_token_rejected(user.post_empty("/v1/auth/logout").await, "TOKEN_REVOKED");
        assert_token_rejected(signed_in(&app, &refreshed).get("/v1/me").await, "TOKEN_REVOKED");
        for token in [&user.session, &refreshed].map(refresh_token) {
            refresh(&app, &token).await.fails(401, "INVALID_REFRESH_TOKEN");
        }
        signed_in(&app, &elsewhere).get("/v1/me").await.ok();
        refresh(&app, &refresh_token(&elsewhere)).await.ok();
    }

    async fn another_process_learns_about_revoked_sessions(database: TestDatabase) {
        let here = TestApp::new(&database, Options::default()).await;
        let there = TestApp::over(database.another_store().await, Options::default(), here.clock.clone());
        let (leaving, staying) = (here.user().await, here.user().await);
        let [leaving_there, staying_there] = [&leaving, &staying].map(|user| signed_in(&there, &user.session));
        leaving_there.get("/v1/me").await.ok();
        leaving.post_empty("/v1/auth/logout").await.no_content();
        there.services.accounts.sync_revocations().await.unwrap();
        assert_token_rejected(leaving_there.get("/v1/me").await, "TOKEN_REVOKED");
        staying_there.get("/v1/me").await.ok();
        // A process that starts now also learns about them while the token is valid.
        here.clock.advance(MINUTE * 14);
        let new = TestApp::over(database.another_store().await, Options::default(), here.clock.clone());
        new.services.accounts.sync_revocations().await.unwrap();
        assert_token_rejected(signed_in(&new, &leaving.session).get("/v1/me").await, "TOKEN_REVOKED");
        signed_in(&new, &staying.session).get("/v1/me").await.ok();
    }

    async fn a_refresh_issues_new_tokens_for_the_same_session(app: TestApp) {
        let user = app.user().await;
        app.clock.advance(MINUTE);
        let session = refresh(&app, &refresh_token(&user.session)).await.ok();
        assert_ne!(session["refresh_token"], user.session["refresh_token"]);
        assert_ne!(session["access_token"], user.session["access_token"]);
        assert_eq!(session["user"], user.session["user"]);
        assert_eq!(session["expires_in"], 900);
        let sessions = signed_in(&app, &session).get("/v1/me/sessions").await.ok();
        assert_eq!(sessions["meta"]["total"], 1, "no new session was started");
        assert_eq!(sessions["data"][0]["current"], true);
        // The previous access token stays valid until it expires.
        user.get("/v1/me").await.ok();
    }

    async fn a_refresh_returns_the_current_user(app: TestApp) {
        let user = app.user().await;
        let changed = user.patch("/v1/me", json!({"name": "Another"})).await.ok();
        let session = refresh(&app, &refresh_token(&user.session)).await.ok();
        assert_eq!(session["user"], changed);
    }

    async fn a_used_refresh_token_returns_the_same_successor(app: TestApp) {
        let first = refresh_token(&app.user().await.session);
        let second = next(&app, &first).await;
        for _ in 0..3 {
            assert_eq!(next(&app, &first).await, second);
        }
        app.clock.advance(Duration::from_secs(20));
        let session = refresh(&app, &first).await.ok();
        assert_eq!(refresh_token(&session), second);
        signed_in(&app, &session).get("/v1/me").await.ok();
        assert_ne!(next(&app, &second).await, second, "the successor works");
    }

    async fn concurrent_refreshes_in_many_tabs_stay_logged_in(app: TestApp) {
        let token = refresh_token(&app.user().await.session);
        let mut tabs = JoinSet::new();
        for _ in 0..10 {
            let (app, token) = (app.clone(), token.clone());
            tabs.spawn(async move { next(&app, &token).await });
        }
        let successors = tabs.join_all().await;
        assert_eq!(successors, vec![successors[0].clone(); 10]);
        assert_ne!(successors[0], token);
        next(&app, &successors[0]).await;
    }

    async fn used_tokens_lead_to_the_valid_one_within_the_grace_period(app: TestApp) {
        let mut spent = vec![refresh_token(&app.user().await.session)];
        for _ in 0..4 {
            spent.push(next(&app, spent.last().unwrap()).await);
        }
        let good = spent.pop().unwrap();
        for token in &spent {
            assert_eq!(next(&app, token).await, good);
        }
        assert_ne!(next(&app, &good).await, good, "returning the token again did not use it");
    }

    async fn reuse_of_a_refresh_token_after_the_grace_period_ends_the_session(app: TestApp) {
        let user = app.user().await;
        let elsewhere = json!({"email": user.email(), "password": "correct horse"});
        let elsewhere = app.anonymous().post("/v1/auth/login", elsewhere).await.ok();
        let first = refresh_token(&user.session);
        let session = refresh(&app, &first).await.ok();
        app.clock.advance(Duration::from_secs(30));
        let answer = refresh(&app, &first).await;
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"pocket-tasks\"");
        answer.fails(401, "REFRESH_TOKEN_REUSED");
        assert_token_rejected(user.get("/v1/me").await, "TOKEN_REVOKED");
        assert_token_rejected(signed_in(&app, &session).get("/v1/me").await, "TOKEN_REVOKED");
        for token in [first, refresh_token(&session)] {
            refresh(&app, &token).await.fails(401, "INVALID_REFRESH_TOKEN");
        }
        // The user's other sessions are unaffected.
        let elsewhere = signed_in(&app, &elsewhere);
        assert_eq!(elsewhere.get("/v1/me/sessions").await.ok()["meta"]["total"], 1);
    }

    async fn the_grace_period_starts_at_the_first_use_of_the_token(app: TestApp) {
        let first = refresh_token(&app.user().await.session);
        let second = next(&app, &first).await;
        for _ in 0..2 {
            app.clock.advance(MINUTE / 6);
            assert_eq!(next(&app, &first).await, second);
        }
        app.clock.advance(MINUTE / 6);
        refresh(&app, &first).await.fails(401, "REFRESH_TOKEN_REUSED");
    }

    async fn a_refresh_token_works_once_without_a_grace_period(database: TestDatabase) {
        let variables = vec![("REFRESH_GRACE_SECONDS", "0")];
        let app = TestApp::new(&database, Options { variables, ..Options::default() }).await;
        let first = refresh_token(&app.user().await.session);
        next(&app, &first).await;
        refresh(&app, &first).await.fails(401, "REFRESH_TOKEN_REUSED");
    }

    async fn a_refresh_token_is_valid_for_30_days(app: TestApp) {
        let user = app.user().await;
        app.clock.advance(DAY * 29);
        let second = next(&app, &refresh_token(&user.session)).await;
        // Each refresh restarts the 30 days.
        app.clock.advance(DAY * 29);
        let third = next(&app, &second).await;
        app.clock.advance(DAY * 30);
        refresh(&app, &third).await.fails(401, "INVALID_REFRESH_TOKEN");
    }

    async fn invalid_refresh_tokens_are_rejected(app: TestApp) {
        let user = app.user().await;
        let access_token = user.token.as_deref().unwrap();
        let unknown = format!("rt_{}", "A".repeat(43));
        for token in [&unknown, "rt_", "x", access_token, refresh_token(&user.session).trim_start_matches("rt_")] {
            let answer = refresh(&app, token).await;
            assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"pocket-tasks\"");
            answer.fails(401, "INVALID_REFRESH_TOKEN");
        }
        for (body, failure) in [
            (json!({}), "refresh_token:required"),
            (json!({"refresh_token": ""}), "refresh_token:too_short"),
            (json!({"refresh_token": null}), "refresh_token:null"),
            (json!({"refresh_token": "x".repeat(513)}), "refresh_token:too_long"),
            (json!({"refresh_token": unknown, "user_id": 1}), "user_id:unknown_field"),
        ] {
            app.anonymous().post("/v1/auth/refresh", body).await.invalid(&[failure]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_revocation_applies_in_other_processes_when_it_is_announced_on_postgres() {
    let Some(database) = postgres().await else { return };
    let (here, there) = two_processes(&database).await;
    let applied = async || soon(there.services.accounts.apply_announced_revocation()).await;
    assert!(!applied().await, "those before it listened must be loaded");
    let change = |revoke_all| json!({"current_password": "correct horse", "new_password": "battery staple", "revoke_all": revoke_all});
    for round in 0..5 {
        let user = here.user().await;
        let victim = log_in(&here, &user, None).await;
        let victim_there = through(&there, &victim);
        victim_there.get("/v1/me").await.ok();
        match round {
            0 => victim.post_empty("/v1/auth/logout").await.no_content(),
            1 => user.delete(format!("/v1/me/sessions/{}", session_id(&victim).await)).await.no_content(),
            2 => user.post("/v1/me/password", change(false)).await.no_content(),
            3 => user.post("/v1/me/password", change(true)).await.no_content(),
            _ => user.delete("/v1/me").await.no_content(),
        }
        assert!(applied().await, "{round}");
        assert_token_rejected(victim_there.get("/v1/me").await, "TOKEN_REVOKED");
    }
    // An API token is looked up with every request, but not with every event of a stream.
    let user = here.user().await;
    let (script, created) = api_client(&here, &user, &["read"]).await;
    let mut stream = through(&there, &script).call(Method::GET, "/v1/events/stream").follow().await;
    user.delete(format!("/v1/me/api-tokens/{}", created["id"].as_str().unwrap())).await.no_content();
    assert!(applied().await);
    stream.ends().await;
    drop((stream, here, there));
    database.remove().await;
}
