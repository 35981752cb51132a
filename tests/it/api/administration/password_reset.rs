//! Password resets by the operator.

use std::time::Duration;

use pocket_tasks::services::PasswordResetDelivery::{Link, Mail};
use serde_json::json;

use super::{id, operator, operator_entries};
use crate::api::fixtures::account::{
    RESET, api_client, app_requiring_verification, mailed_tokens, reset, signed_in, try_log_in,
};
use crate::api::fixtures::webhooks::WEBHOOKS;
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{TestApp, TestDatabase};

on_both_databases! {
    async fn the_operator_revokes_a_password_and_passes_a_link_on(app: TestApp) {
        let user = app.user().await;
        let (script, _) = api_client(&app, &user, &["read"]).await;
        let webhook = user.post(WEBHOOKS, json!({"url": "https://hook.invalid/", "events": ["*"]})).await.created().id();
        let administration = &app.services.administration;
        let first = administration.reset_password(&operator(), id(&user), Link).await.unwrap().unwrap();
        let second = administration.reset_password(&operator(), id(&user), Link).await.unwrap().unwrap();
        for client in [&user, &script] {
            client.get("/v1/me").await.fails(401, "TOKEN_REVOKED");
        }
        try_log_in(&app, user.email(), "correct horse").await.fails(401, "INVALID_CREDENTIALS");
        reset(&app, &first.token, "battery staple").await.fails(422, "INVALID_TOKEN");
        reset(&app, &second.token, "battery staple").await.no_content();
        reset(&app, &second.token, "battery staple").await.fails(422, "INVALID_TOKEN");
        let user = signed_in(&app, try_log_in(&app, user.email(), "battery staple").await.ok());
        assert_eq!(user.get(format!("{WEBHOOKS}/{webhook}")).await.ok()["enabled"], false);
        assert_eq!(operator_entries(&user).await.len(), 2);
        let late = administration.reset_password(&operator(), id(&user), Link).await.unwrap().unwrap();
        app.clock.advance(Duration::from_mins(61));
        reset(&app, &late.token, "another horse").await.fails(422, "INVALID_TOKEN");
    }

    async fn a_link_verifies_no_address_unless_it_is_mailed(database: TestDatabase) {
        let app = app_requiring_verification(&database).await;
        let user = app.user().await;
        let administration = &app.services.administration;
        let refused = administration.reset_password(&operator(), id(&user), Link).await.err().unwrap();
        assert_eq!(refused.code().as_str(), "EMAIL_NOT_VERIFIED");
        try_log_in(&app, user.email(), "correct horse").await.ok();
        assert!(administration.reset_password(&operator(), id(&user), Mail).await.unwrap().is_none());
        try_log_in(&app, user.email(), "correct horse").await.fails(401, "INVALID_CREDENTIALS");
        app.work().await;
        let [token] = mailed_tokens(&app, &user, RESET).try_into().unwrap();
        reset(&app, &token, "battery staple").await.no_content();
        let session = try_log_in(&app, user.email(), "battery staple").await.ok();
        assert_eq!(session["user"]["email_verified"], true);
    }
}
