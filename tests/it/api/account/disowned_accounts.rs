//! Accounts that someone else registered, disowned by the person with the address.

use pocket_tasks::contract::account::audit_entry::AuditEntryType;
use pocket_tasks::repositories::AuditFilter;
use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::account::{
    Tables, VERIFICATION, api_client, app_requiring_verification, mailed_tokens, reset_token, signed_in, try_log_in,
    verification_token, verify,
};
use crate::api::fixtures::common::{DAY, concurrently, send};
use crate::support::client::Ids as _;
use crate::support::{Answer, Options, TestApp, TestDatabase};
use crate::{on_both_databases, on_sqlite};

async fn disown(app: &TestApp, token: &str) -> Answer {
    app.anonymous().post("/v1/auth/disown-account", json!({"token": token})).await
}

on_both_databases! {
    async fn a_disowned_account_ends_at_once_and_frees_the_address(database: TestDatabase) {
        let app = app_requiring_verification(&database).await;
        let (squatter, token) = verification_token(&app).await;
        let project = squatter.project().await;
        squatter.task(&project, json!({"title": "Tea"})).await;
        let (script, _) = api_client(&app, &squatter, &["read", "write"]).await;
        disown(&app, &token).await.no_content();
        for client in [&squatter, &script] {
            for (method, path) in [(Method::GET, "/v1/me"), (Method::GET, "/v1/projects"), (Method::DELETE, "/v1/me")] {
                send(client, &method, path, &Value::Null).await.fails(401, "TOKEN_REVOKED");
            }
        }
        // Unlike after a deletion, a login restores nothing.
        try_log_in(&app, squatter.email(), "correct horse").await.fails(401, "INVALID_CREDENTIALS");
        let refresh = json!({"refresh_token": squatter.session["refresh_token"]});
        app.anonymous().post("/v1/auth/refresh", refresh).await.fails(401, "INVALID_REFRESH_TOKEN");
        disown(&app, &token).await.fails(422, "INVALID_TOKEN");
        let new = json!({"email": squatter.email(), "name": "The owner", "password": "battery staple"});
        let owner = signed_in(&app, app.anonymous().post("/v1/auth/register", new).await.created());
        assert_eq!(owner.get("/v1/projects").await.ok()["meta"]["total"], 0);

        // The job that was enqueued purges the rest.
        app.work().await;
        let tables = Tables::read(&database).await;
        assert_eq!(tables.columns_containing(squatter.user_id()), [""; 0]);
        assert!(tables.column("projects.id").is_empty() && tables.column("tasks.id").is_empty());
        assert_eq!(tables.columns_containing("disowned "), [""; 0]);
        owner.get("/v1/me").await.ok();
    }

    async fn a_squatter_cannot_keep_the_owner_of_the_address_from_disowning(database: TestDatabase) {
        let app = app_requiring_verification(&database).await;
        let (squatter, token) = verification_token(&app).await;
        // The link survives a change of the password, and no account can take the placeholder of the address.
        let change = json!({"current_password": "correct horse", "new_password": "battery staple", "revoke_all": true});
        squatter.post("/v1/me/password", change).await.no_content();
        for placeholder in [format!("disowned {}", squatter.user_id()), format!("{}@disowned.invalid", squatter.user_id())] {
            let body = json!({"email": placeholder, "name": "Squatter", "password": "correct horse"});
            app.anonymous().post("/v1/auth/register", body).await;
        }
        disown(&app, &token).await.no_content();
        let new = json!({"email": squatter.email(), "name": "The owner", "password": "battery staple"});
        app.anonymous().post("/v1/auth/register", new).await.created();
        app.work().await;
        // Operators see it, although the log of the account is gone.
        let filter = AuditFilter { user: None, kind: Some(AuditEntryType::AccountDisowned), since: None };
        assert_eq!(app.store.read().audit_log().list_all(&filter, 10).await.unwrap().len(), 1);
    }

    async fn invitations_of_others_to_the_address_survive(database: TestDatabase) {
        let app = app_requiring_verification(&database).await;
        let (inviter, token) = verification_token(&app).await;
        verify(&app, &token).await.no_content();
        let project = inviter.project().await;
        let (squatter, token) = verification_token(&app).await;
        let body = json!({"email": squatter.email(), "role": "editor"});
        let invitation = inviter.post(format!("/v1/projects/{project}/invitations"), body).await.created().id();
        disown(&app, &token).await.no_content();
        app.work().await;
        let new = json!({"email": squatter.email(), "name": "The owner", "password": "correct horse"});
        let owner = signed_in(&app, app.anonymous().post("/v1/auth/register", new).await.created());
        app.work().await;
        verify(&app, mailed_tokens(&app, &squatter, VERIFICATION).last().unwrap()).await.no_content();
        owner.post_empty(format!("/v1/invitations/{invitation}/accept")).await.ok();
        // The inviter's history is complete.
        let events = inviter.get("/v1/events?type=invitation.created").await.ok();
        assert_eq!(events["data"][0]["data"]["email"], squatter.email());
    }

    async fn a_deleted_unverified_account_can_be_disowned(database: TestDatabase) {
        let app = app_requiring_verification(&database).await;
        let (squatter, token) = verification_token(&app).await;
        squatter.project().await;
        app.user().await;
        squatter.delete("/v1/me").await.no_content();
        disown(&app, &token).await.no_content();
        try_log_in(&app, squatter.email(), "correct horse").await.fails(401, "INVALID_CREDENTIALS");
        app.work().await;
        assert_eq!(Tables::read(&database).await.columns_containing(squatter.user_id()), [""; 0]);
    }

    async fn a_verified_account_cannot_be_disowned(database: TestDatabase) {
        let app = app_requiring_verification(&database).await;
        let (user, token) = verification_token(&app).await;
        verify(&app, &token).await.no_content();
        disown(&app, &token).await.fails(422, "INVALID_TOKEN");
        let (by_reset, token) = verification_token(&app).await;
        let password_reset = reset_token(&app, &by_reset).await;
        disown(&app, &password_reset).await.fails(422, "INVALID_TOKEN");
        let body = json!({"token": password_reset, "password": "correct horse"});
        app.anonymous().post("/v1/auth/reset-password", body).await.no_content();
        disown(&app, &token).await.fails(422, "INVALID_TOKEN");
        user.get("/v1/me").await.ok();
        try_log_in(&app, by_reset.email(), "correct horse").await.ok();
    }

    async fn a_token_to_disown_an_account_expires_after_a_day(database: TestDatabase) {
        let app = app_requiring_verification(&database).await;
        let (user, token) = verification_token(&app).await;
        app.clock.advance(DAY);
        disown(&app, &token).await.fails(422, "INVALID_TOKEN");
        try_log_in(&app, user.email(), "correct horse").await.ok();
    }

    async fn disowning_and_verifying_at_once_have_one_winner(database: TestDatabase) {
        let app = app_requiring_verification(&database).await;
        for _ in 0..4 {
            let (user, token) = verification_token(&app).await;
            let requests = (0..4).map(|number| {
                let (app, token) = (app.clone(), token.clone());
                async move {
                    let verifies = number % 2 == 0;
                    (verifies, if verifies { verify(&app, &token).await } else { disown(&app, &token).await })
                }
            });
            let answers = concurrently(requests).await;
            // In the order of their completion.
            let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(_, answer)| answer.status.is_success());
            let [(verified, _)] = <[_; 1]>::try_from(won).map_err(|won| won.len()).unwrap();
            for (_, answer) in lost {
                answer.fails(422, "INVALID_TOKEN");
            }
            assert_eq!(try_log_in(&app, user.email(), "correct horse").await.status.is_success(), verified);
        }
    }
}

on_sqlite! {
    async fn without_required_verification_there_is_nothing_to_disown(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let user = app.user().await;
        app.work().await;
        assert_eq!(mailed_tokens(&app, &user, VERIFICATION).len(), 0);
        disown(&app, &format!("mt_{}", "A".repeat(43))).await.fails(422, "INVALID_TOKEN");
    }
}
