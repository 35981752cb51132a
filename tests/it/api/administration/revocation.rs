//! Webhooks and API tokens that the operator disables or revokes.

use pocket_tasks::contract::WebhookId;
use serde_json::json;

use super::{id, operator, operator_entries};
use crate::api::fixtures::account::{TOKENS, api_client};
use crate::api::fixtures::webhooks::{WEBHOOKS, webhook};
use crate::on_both_databases;
use crate::support::TestApp;
use crate::support::client::Ids as _;

on_both_databases! {
    async fn a_disabled_webhook_is_reported_to_its_owner_who_can_enable_it(app: TestApp) {
        let (user, other) = (app.user().await, app.user().await);
        let hook = webhook(&user, "https://hook.invalid/").await.id();
        webhook(&other, "https://hook.invalid/").await;
        let administration = &app.services.administration;
        let webhook_id = WebhookId::parse(&hook).unwrap();
        let disabled = administration.disable_webhook(&operator(), webhook_id).await.unwrap().unwrap();
        assert!(!disabled.enabled && disabled.disabled_reason.is_some());
        assert!(administration.disable_webhook(&operator(), webhook_id).await.unwrap().is_none());
        let unknown = administration.disable_webhook(&operator(), WebhookId::generate()).await.unwrap_err();
        assert_eq!(unknown.code().as_str(), "NOT_FOUND");
        let list = async |owner, enabled, limit| {
            let found = administration.list_webhooks(owner, enabled, limit).await.unwrap();
            found.iter().map(|record| record.owner).collect::<Vec<_>>()
        };
        assert_eq!(list(None, None, 10).await, [id(&other), id(&user)]);
        assert_eq!(list(None, None, 1).await, [id(&other)]);
        assert_eq!(list(None, Some(false), 10).await, [id(&user)]);
        assert_eq!(list(Some(id(&user)), Some(true), 10).await, Vec::new());
        app.work().await;
        let mails = app.mails_to(user.email());
        assert!(mails.iter().any(|mail| mail.text.contains("The operator of the server disabled the webhook")), "{mails:?}");
        let entries = operator_entries(&user).await;
        assert_eq!((entries.len(), &entries[0]["target_id"]), (1, &json!(hook)));
        let enabled = user.patch(format!("{WEBHOOKS}/{hook}"), json!({"enabled": true})).await.ok();
        assert_eq!((&enabled["enabled"], &enabled["disabled_reason"]), (&json!(true), &json!(null)));
    }

    async fn an_api_token_is_revoked_by_its_id_or_by_itself(app: TestApp) {
        let user = app.user().await;
        for by_id in [true, false] {
            let (script, created) = api_client(&app, &user, &["read", "write"]).await;
            let hook = webhook(&script, &format!("https://hook.invalid/{by_id}")).await.id();
            let name = if by_id { &created["id"] } else { &created["token"] }.as_str().unwrap();
            let revoked = app.services.administration.revoke_token(&operator(), name).await.unwrap();
            assert_eq!(revoked.to_string(), created.id());
            script.get("/v1/me").await.fails(401, "TOKEN_REVOKED");
            assert_eq!(user.get(format!("{WEBHOOKS}/{hook}")).await.ok()["enabled"], false);
            let again = app.services.administration.revoke_token(&operator(), name).await.unwrap_err();
            assert_eq!(again.code().as_str(), "TOKEN_REVOKED");
        }
        assert_eq!(user.get(TOKENS).await.ok()["meta"]["total"], 0);
        let entries = operator_entries(&user).await;
        assert!(entries.len() == 2 && entries.iter().all(|entry| entry["type"] == "api_token.revoked"), "{entries:?}");
        for unknown in ["nonsense", "01936f50-1c80-7e5c-b130-4d8e3f70ffff", user.user_id()] {
            let error = app.services.administration.revoke_token(&operator(), unknown).await.unwrap_err();
            assert_eq!(error.code().as_str(), "NOT_FOUND");
        }
    }
}
