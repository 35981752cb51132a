//! Password resets.

use std::time::Duration;

use serde_json::{Value, json};

use super::sessions::{PASSWORD, refresh, three_sessions};
use crate::api::fixtures::account::{
    RESET, api_client, app_requiring_verification, count_mails, forgot_password, mailed_tokens, reset, reset_token,
    signed_in, try_log_in, verification_token, verify,
};
use crate::api::fixtures::common::{concurrently, time};
use crate::on_both_databases;
use crate::support::{Answer, Client, TestApp, TestDatabase};

const NEW: &str = "battery staple";

async fn assert_session_ended(app: &TestApp, client: &Client) {
    client.get("/v1/me").await.fails(401, "TOKEN_REVOKED");
    let body = json!({"refresh_token": client.session["refresh_token"]});
    app.anonymous().post("/v1/auth/refresh", body).await.fails(401, "INVALID_REFRESH_TOKEN");
}

#[track_caller]
fn single_success(answers: Vec<(String, Answer)>) -> String {
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(_, answer)| answer.status.is_success());
    for (_, answer) in lost {
        answer.fails(422, "INVALID_TOKEN");
    }
    let [(password, _)] = <[_; 1]>::try_from(won).unwrap();
    password
}

on_both_databases! {
    async fn a_reset_request_does_not_reveal_whether_an_account_exists(app: TestApp) {
        let user = app.user().await;
        let deleted = app.user().await;
        deleted.delete("/v1/me").await.no_content();
        app.work().await;
        let before = app.mails().len();
        let mut seen = Vec::new();
        for email in [&user.email().to_uppercase(), "nobody@example.com", deleted.email()] {
            let answer = forgot_password(&app, email).await;
            let mut headers: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
            headers.sort();
            seen.push((answer.status.as_u16(), headers, answer.text));
        }
        assert_eq!((seen[0].0, seen[0].2.as_str()), (202, ""));
        assert!(seen.iter().all(|answer| *answer == seen[0]), "{seen:?}");
        app.work().await;
        let mails = app.mails();
        assert!(mails.iter().all(|mail| !mail.to.contains("nobody")));
        assert_eq!(count_mails(&app, &user, RESET), 1);
        assert!(mails.len() <= before + 2);
        let mail = app.mails_to(user.email()).pop().unwrap();
        let link = format!("http://127.0.0.1:3000/reset-password#token={}", mail.token());
        assert!(mail.text.contains(&link) && mail.html.contains(&link), "{}", mail.raw);
    }

    async fn a_reset_ends_all_sessions_and_replaces_the_password(app: TestApp) {
        let ([first, second, third], _) = three_sessions(&app).await;
        let stranger = app.user().await;
        let before = first.get("/v1/me").await.ok();
        let token = reset_token(&app, &first).await;
        first.get("/v1/me").await.ok();
        try_log_in(&app, first.email(), PASSWORD).await.ok();
        reset(&app, &token, NEW).await.no_content();
        for client in [&first, &second, &third] {
            assert_session_ended(&app, client).await;
        }
        try_log_in(&app, first.email(), PASSWORD).await.fails(401, "INVALID_CREDENTIALS");
        let session = try_log_in(&app, first.email(), NEW).await.ok();
        assert_eq!(session["user"]["version"], before["version"], "the password is not part of the account resource");
        let client = app.with_token(session["access_token"].as_str().unwrap());
        assert_eq!(client.get("/v1/me/sessions").await.ok()["meta"]["total"], 1);
        stranger.get("/v1/me").await.ok();
        refresh(&app, &stranger).await.get("/v1/me").await.ok();
    }

    async fn a_reset_token_is_valid_once_and_for_an_hour(app: TestApp) {
        let (early, late) = (app.user().await, app.user().await);
        let (early_token, late_token) = (reset_token(&app, &early).await, reset_token(&app, &late).await);
        app.clock.advance(Duration::from_mins(55));
        reset(&app, &early_token, NEW).await.no_content();
        reset(&app, &early_token, "another staple").await.fails(422, "INVALID_TOKEN");
        app.clock.advance(Duration::from_mins(5));
        reset(&app, &late_token, NEW).await.fails(422, "INVALID_TOKEN");
        try_log_in(&app, early.email(), NEW).await.ok();
        try_log_in(&app, late.email(), PASSWORD).await.ok();
    }

    async fn an_invalid_password_does_not_consume_the_token(app: TestApp) {
        let user = app.user().await;
        let token = reset_token(&app, &user).await;
        let body = |password: &Value| json!({"token": token, "password": password});
        for (password, failures) in [
            (json!("1234567"), &["password:too_short"][..]),
            (json!(""), &["password:too_short"]),
            (json!("ä".repeat(37)), &["password:too_long"]),
            (Value::Null, &["password:null"]),
            (json!(12_345_678), &["password:type"]),
        ] {
            let answer = app.anonymous().post("/v1/auth/reset-password", body(&password)).await;
            answer.invalid(failures);
        }
        for (body, failures) in [
            (json!({}), &["token:required", "password:required"][..]),
            (json!({"token": "", "password": "short"}), &["token:too_short", "password:too_short"]),
            (json!({"token": token, "password": NEW, "email": "x"}), &["email:unknown_field"]),
        ] {
            app.anonymous().post("/v1/auth/reset-password", body).await.invalid(failures);
        }
        user.get("/v1/me").await.ok();
        let longest = "correct horse battery staple ".repeat(3)[..70].to_owned() + "ä";
        reset(&app, &token, &longest).await.no_content();
        try_log_in(&app, user.email(), &longest).await.ok();
    }

    async fn one_of_many_concurrent_resets_with_one_token_succeeds(app: TestApp) {
        let user = app.user().await;
        let token = reset_token(&app, &user).await;
        let resets = (0..6).map(|number| {
            let (app, token, password) = (app.clone(), token.clone(), format!("battery staple {number}"));
            async move { (password.clone(), reset(&app, &token, &password).await) }
        });
        let password = single_success(concurrently(resets).await);
        try_log_in(&app, user.email(), &password).await.ok();
        assert_session_ended(&app, &user).await;
    }

    async fn one_of_many_concurrent_resets_with_several_tokens_succeeds(app: TestApp) {
        let user = app.user().await;
        for _ in 0..6 {
            reset_token(&app, &user).await;
        }
        let resets = mailed_tokens(&app, &user, RESET).into_iter().enumerate().map(|(number, token)| {
            let (app, password) = (app.clone(), format!("battery staple {number}"));
            async move { (password.clone(), reset(&app, &token, &password).await) }
        });
        let password = single_success(concurrently(resets.collect::<Vec<_>>()).await);
        try_log_in(&app, user.email(), &password).await.ok();
    }

    async fn a_reset_invalidates_all_reset_tokens_of_the_account(app: TestApp) {
        let (user, other) = (app.user().await, app.user().await);
        let of_other = reset_token(&app, &other).await;
        let (first, second) = (reset_token(&app, &user).await, reset_token(&app, &user).await);
        reset(&app, &second, NEW).await.no_content();
        for token in [&first, &second] {
            reset(&app, token, "another staple").await.fails(422, "INVALID_TOKEN");
        }
        reset(&app, &of_other, NEW).await.no_content();
    }

    async fn repeated_reset_requests_keep_one_pending_email(app: TestApp) {
        let user = app.user().await;
        for _ in 0..4 {
            forgot_password(&app, user.email()).await.expect(202);
        }
        app.work().await;
        assert_eq!(count_mails(&app, &user, RESET), 1);
    }

    async fn a_concurrent_login_with_the_old_password_does_not_survive_the_reset(app: TestApp) {
        let user = app.user().await;
        let token = reset_token(&app, &user).await;
        let logins = (0..8).map(|_| {
            let (app, email) = (app.clone(), user.email().to_owned());
            async move { try_log_in(&app, &email, PASSWORD).await }
        });
        let (answers, answer) = tokio::join!(concurrently(logins), reset(&app, &token, NEW));
        answer.no_content();
        for answer in answers {
            if answer.status.is_client_error() {
                answer.fails(401, "INVALID_CREDENTIALS");
                continue;
            }
            let client = signed_in(&app, answer.ok());
            assert_session_ended(&app, &client).await;
        }
    }

    async fn a_reset_verifies_the_address_and_revokes_earlier_access(database: TestDatabase) {
        let app = app_requiring_verification(&database).await;
        // An attacker who registered someone else's address keeps no access.
        let (user, verification) = verification_token(&app).await;
        let (script, _) = api_client(&app, &user, &["read"]).await;
        script.get("/v1/me").await.ok();
        let before = user.get("/v1/me").await.ok();
        let token = reset_token(&app, &user).await;
        app.clock.advance(Duration::from_secs(1));
        reset(&app, &token, NEW).await.no_content();
        script.get("/v1/me").await.fails(401, "TOKEN_REVOKED");
        assert_session_ended(&app, &user).await;
        let after = try_log_in(&app, user.email(), NEW).await.ok()["user"].clone();
        assert_eq!((&after["email_verified"], &after["version"]), (&json!(true), &json!(2)));
        assert!(time(&after["updated_at"]) > time(&before["updated_at"]));
        // The earlier verification e-mail changes nothing: the address is verified already.
        verify(&app, &verification).await;
        let user_again = try_log_in(&app, user.email(), NEW).await.ok()["user"].clone();
        assert_eq!((&user_again["email_verified"], &user_again["version"]), (&json!(true), &json!(2)));
    }

    async fn a_reset_revokes_api_tokens_of_a_verified_account(database: TestDatabase) {
        let app = app_requiring_verification(&database).await;
        let (user, verification) = verification_token(&app).await;
        verify(&app, &verification).await.no_content();
        let (script, _) = api_client(&app, &user, &["read"]).await;
        let token = reset_token(&app, &user).await;
        reset(&app, &token, NEW).await.no_content();
        script.get("/v1/me").await.fails(401, "TOKEN_REVOKED");
        assert_session_ended(&app, &user).await;
    }

    async fn a_deleted_account_is_restored_with_the_new_password(app: TestApp) {
        let user = app.user().await;
        user.delete("/v1/me").await.no_content();
        let token = reset_token(&app, &user).await;
        reset(&app, &token, NEW).await.no_content();
        try_log_in(&app, user.email(), PASSWORD).await.fails(401, "INVALID_CREDENTIALS");
        assert_eq!(try_log_in(&app, user.email(), NEW).await.ok()["user"]["id"], user.user_id());
    }
}
