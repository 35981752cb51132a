//! Webhooks that were created with an API token: they take both scopes, and end with the token.

use pocket_tasks::contract::event::EventType;
use serde_json::{Value, json};

use crate::api::fixtures::account::{TOKENS, api_client, expiring_token, prune};
use crate::api::fixtures::common::{DAY, log_in_again};
use crate::api::fixtures::webhooks::{WEBHOOKS, app, emit_event, webhook};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, Receiver, TestApp, TestDatabase};

async fn state(user: &Client, webhook: &str) -> (Value, String) {
    let found = user.get(format!("{WEBHOOKS}/{webhook}")).await.ok();
    (found["enabled"].clone(), found["disabled_reason"].as_str().unwrap_or_default().to_owned())
}

async fn revoke(user: &Client, token: &Value) {
    user.delete(format!("{TOKENS}/{}", token.id())).await.no_content();
}

on_both_databases! {
    async fn creating_or_updating_a_webhook_takes_both_scopes(app: TestApp) {
        let user = app.user().await;
        let new = json!({"url": "https://hook.invalid/", "events": ["*"]});
        let existing = user.post(WEBHOOKS, new.clone()).await.created().id();
        let path = format!("{WEBHOOKS}/{existing}");
        for (scope, missing) in [("write", "read"), ("read", "write")] {
            let (script, _) = api_client(&app, &user, &[scope]).await;
            let moved = json!({"url": "https://other.invalid/"});
            for refused in [script.post(WEBHOOKS, new.clone()).await, script.patch(&path, moved).await] {
                let challenge = refused.header("www-authenticate").to_owned();
                assert!(challenge.contains(&format!("scope=\"{missing}\"")), "{challenge}");
                refused.fails(403, "INSUFFICIENT_SCOPE");
            }
        }
        assert_eq!(user.get(WEBHOOKS).await.ok()["meta"]["total"], 1);
        let (both, _) = api_client(&app, &user, &["read", "write"]).await;
        both.post(WEBHOOKS, json!({"url": "https://third.invalid/", "events": ["*"]})).await.created();
        both.patch(&path, json!({"description": "Mine"})).await.ok();
    }

    async fn a_webhook_is_disabled_when_the_token_that_created_it_is_revoked(database: TestDatabase) {
        let app = app(&database).await;
        let user = app.user().await;
        let project = user.project().await;
        let (intruder, token) = api_client(&app, &user, &["read", "write"]).await;
        let (other, _) = api_client(&app, &user, &["read", "write"]).await;
        let receivers = [Receiver::new("204 Fine"), Receiver::new("204 Fine"), Receiver::new("204 Fine")];
        let planted = webhook(&intruder, &receivers[0].url).await.id();
        let others = webhook(&other, &receivers[1].url).await.id();
        let own = webhook(&user, &receivers[2].url).await.id();
        emit_event(&app, EventType::TaskCreated, &project).await;
        // Also what is pending at the time of the revocation.
        revoke(&user, &token).await;
        app.work().await;
        emit_event(&app, EventType::TaskCreated, &project).await;
        app.work().await;
        assert_eq!(receivers.each_ref().map(|receiver| receiver.messages().len()), [0, 2, 2]);
        let (enabled, reason) = state(&user, &planted).await;
        assert!(enabled == false && reason.contains("API token") && reason.contains("revoked"), "{reason}");
        for kept in [others, own] {
            assert_eq!(state(&user, &kept).await, (json!(true), String::new()));
        }
        // Its owner can keep it.
        user.patch(format!("{WEBHOOKS}/{planted}"), json!({"enabled": true})).await.ok();
        emit_event(&app, EventType::TaskCreated, &project).await;
        app.work().await;
        assert_eq!(receivers[0].messages().len(), 1);
    }

    async fn a_webhook_ends_with_the_token_that_changed_its_url_last(app: TestApp) {
        let user = app.user().await;
        let (script, token) = api_client(&app, &user, &["read", "write"]).await;
        let new = |host: &str| json!({"url": format!("https://{host}.invalid/"), "events": ["*"]});
        let of_user = user.post(WEBHOOKS, new("first")).await.created().id();
        let of_script = script.post(WEBHOOKS, new("second")).await.created().id();
        script.patch(format!("{WEBHOOKS}/{of_user}"), json!({"url": "https://third.invalid/"})).await.ok();
        user.patch(format!("{WEBHOOKS}/{of_script}"), json!({"url": "https://fourth.invalid/"})).await.ok();
        revoke(&user, &token).await;
        assert_eq!(state(&user, &of_user).await.0, false);
        assert_eq!(state(&user, &of_script).await.0, true);
    }

    async fn a_webhook_is_disabled_after_the_expiry_of_its_token(app: TestApp) {
        let user = app.user().await;
        let (script, _) = expiring_token(&app, &user, DAY).await;
        let new = json!({"url": "https://hook.invalid/", "events": ["*"]});
        let webhook = script.post(WEBHOOKS, new).await.created().id();
        prune(&app).await;
        assert_eq!(state(&user, &webhook).await.0, true);
        app.clock.advance(DAY);
        prune(&app).await;
        let user = log_in_again(&app, &user).await;
        let (enabled, reason) = state(&user, &webhook).await;
        assert!(enabled == false && reason.contains("expired"), "{reason}");
        // Enabled by a person, it no longer depends on the token.
        user.patch(format!("{WEBHOOKS}/{webhook}"), json!({"enabled": true})).await.ok();
        prune(&app).await;
        assert_eq!(state(&user, &webhook).await.0, true);
    }
}
