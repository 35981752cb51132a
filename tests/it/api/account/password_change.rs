//! Password changes.

use serde_json::json;
use tokio::task::JoinSet;

use super::sessions::{PASSWORD, log_in, refresh, three_sessions};
use crate::on_both_databases;
use crate::support::TestApp;
use crate::support::client::Ids as _;

on_both_databases! {
    async fn a_password_change_ends_the_other_sessions(app: TestApp) {
        let ([first, second, third], [_, b, _]) = three_sessions(&app).await;
        let stranger = app.user().await;
        let change = json!({"current_password": PASSWORD, "new_password": "battery staple"});
        second.post("/v1/me/password", change.clone()).await.no_content();
        for client in [&first, &third] {
            client.get("/v1/me").await.fails(401, "TOKEN_REVOKED");
            let body = json!({"refresh_token": client.session["refresh_token"]});
            app.anonymous().post("/v1/auth/refresh", body).await.fails(401, "INVALID_REFRESH_TOKEN");
        }
        assert_eq!(second.get("/v1/me/sessions").await.ok().column("id"), [json!(b)]);
        refresh(&app, &second).await.get("/v1/me").await.ok();
        stranger.get("/v1/me").await.ok();

        let login = |password: &str| json!({"email": second.email(), "password": password});
        app.anonymous().post("/v1/auth/login", login(PASSWORD)).await.fails(401, "INVALID_CREDENTIALS");
        app.anonymous().post("/v1/auth/login", login("battery staple")).await.ok();
        second.post("/v1/me/password", change).await.invalid(&["current_password:incorrect"]);
    }

    async fn a_wrong_current_password_changes_nothing(app: TestApp) {
        let ([first, second, _], _) = three_sessions(&app).await;
        let body = json!({"current_password": "wrong", "new_password": "battery staple"});
        let answer = first.post("/v1/me/password", body).await;
        assert_eq!(answer.body["field"], "current_password");
        assert_eq!(answer.body["details"][0]["in"], "body");
        answer.invalid(&["current_password:incorrect"]);
        second.get("/v1/me").await.ok();
        log_in(&app, &first, None).await.get("/v1/me").await.ok();
    }

    async fn a_new_password_is_validated(app: TestApp) {
        let user = app.user().await;
        for (body, failures) in [
            (json!({}), &["current_password:required", "new_password:required"][..]),
            (json!({"current_password": PASSWORD, "new_password": "1234567"}), &["new_password:too_short"]),
            (json!({"current_password": PASSWORD, "new_password": "ä".repeat(37)}), &["new_password:too_long"]),
            (json!({"current_password": PASSWORD, "new_password": null}), &["new_password:null"]),
            (json!({"current_password": "", "new_password": "battery staple"}), &["current_password:too_short"]),
            (
                json!({"password": "x", "current_password": PASSWORD, "new_password": "battery staple"}),
                &["password:unknown_field"],
            ),
        ] {
            user.post("/v1/me/password", body).await.invalid(failures);
        }
        let longest = "correct horse battery staple ".repeat(3)[..70].to_owned() + "ä";
        let change = json!({"current_password": PASSWORD, "new_password": longest});
        user.post("/v1/me/password", change).await.no_content();
        app.anonymous().post("/v1/auth/login", json!({"email": user.email(), "password": longest})).await.ok();
    }

    async fn a_concurrent_login_with_the_old_password_does_not_survive_the_change(app: TestApp) {
        let user = app.user().await;
        let change = json!({"current_password": PASSWORD, "new_password": "battery staple"});
        let mut racing = JoinSet::new();
        for _ in 0..12 {
            let (anonymous, body) = (app.anonymous(), json!({"email": user.email(), "password": PASSWORD}));
            racing.spawn(async move { anonymous.post("/v1/auth/login", body).await });
        }
        user.post("/v1/me/password", change).await.no_content();
        for answer in racing.join_all().await {
            if answer.status.is_client_error() {
                answer.fails(401, "INVALID_CREDENTIALS");
                continue;
            }
            let session = answer.ok();
            let client = app.with_token(session["access_token"].as_str().unwrap());
            client.get("/v1/me").await.fails(401, "TOKEN_REVOKED");
            let body = json!({"refresh_token": session["refresh_token"]});
            app.anonymous().post("/v1/auth/refresh", body).await.fails(401, "INVALID_REFRESH_TOKEN");
        }
        assert_eq!(user.get("/v1/me/sessions").await.ok()["meta"]["total"], 1);
    }

    async fn one_of_two_concurrent_password_changes_succeeds(app: TestApp) {
        let user = app.user().await;
        let change = |new: &str| {
            user.post("/v1/me/password", json!({"current_password": PASSWORD, "new_password": new}))
        };
        let (one, other) = tokio::join!(change("battery staple"), change("another staple"));
        let (winner, lost) = if one.status.is_success() { ("battery staple", other) } else { ("another staple", one) };
        lost.invalid(&["current_password:incorrect"]);
        app.anonymous().post("/v1/auth/login", json!({"email": user.email(), "password": winner})).await.ok();
    }
}
