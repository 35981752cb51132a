//! The mails that tell the owner of an account how access to it has changed.

use serde_json::{Value, json};

use super::sessions::PASSWORD;
use crate::api::fixtures::account::{TOKENS, app_with_proofs, count_mails, reset, reset_token, try_log_in};
use crate::api::fixtures::webhooks::WEBHOOKS;
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, Mail, TestApp, TestDatabase};

const CHANGED: &str = "Your password was changed";
const WAS_RESET: &str = "Your password was reset";
const NEW_TOKEN: &str = "A new API token was created";
const NEW_WEBHOOK: &str = "A webhook sends to a new address";
const ALL: [&str; 4] = [CHANGED, WAS_RESET, NEW_TOKEN, NEW_WEBHOOK];

const NEW: &str = "battery staple";

fn notice(app: &TestApp, user: &Client, subject: &str) -> Mail {
    let mut mails: Vec<_> = app.mails_to(user.email()).into_iter().filter(|mail| mail.subject == subject).collect();
    assert_eq!(mails.len(), 1, "{subject}");
    mails.remove(0)
}

fn notices(app: &TestApp, user: &Client) -> usize {
    ALL.into_iter().map(|subject| count_mails(app, user, subject)).sum()
}

/// The clock's time as mails show it, to the minute.
fn minute(app: &TestApp) -> String {
    let now = app.clock.now().to_string();
    now[11..16].to_owned()
}

async fn change(user: &Client, from: &str, to: &str, revoke_all: bool) {
    let body = json!({"current_password": from, "new_password": to, "revoke_all": revoke_all});
    user.post("/v1/me/password", body).await.no_content();
}

on_both_databases! {
    async fn every_change_of_access_is_told_once_with_its_time_and_without_secrets(app: TestApp) {
        let user = app.user().await;
        let token = user.post(TOKENS, json!({"name": "Backup <b>", "scopes": ["read"]})).await.created();
        let hook = json!({"url": "https://example.com/hook?a=1&b=2", "events": ["*"]});
        let webhook = user.post(WEBHOOKS, hook).await.created();
        change(&user, PASSWORD, NEW, false).await;
        let time = minute(&app);
        app.work().await;
        let of_token = notice(&app, &user, NEW_TOKEN);
        assert!(of_token.text.contains("\"Backup <b>\"") && of_token.html.contains("Backup &#60;b&#62;"), "{}", of_token.raw);
        assert!(of_token.text.contains(&token.id()), "{}", of_token.text);
        let of_webhook = notice(&app, &user, NEW_WEBHOOK);
        // Without the query, which may hold a secret of the receiver.
        assert!(of_webhook.text.contains("https://example.com/hook and"), "{}", of_webhook.text);
        assert!(of_webhook.text.contains(&webhook.id()), "{}", of_webhook.text);
        let changed = notice(&app, &user, CHANGED);
        assert!(changed.text.contains("API tokens and webhooks still work"), "{}", changed.text);
        for mail in [&of_token, &of_webhook, &changed] {
            for text in [&mail.text, &mail.html] {
                assert!(text.contains("UTC") && text.contains(&time), "{time}: {text}");
                assert!(text.contains("forgot-password") && text.contains("http://127.0.0.1:3000"), "{text}");
                for secret in [&token["token"], &webhook["secret"], &user.session["access_token"], &json!(NEW)] {
                    assert!(!text.contains(secret.as_str().unwrap()), "{text}");
                }
                assert!(!text.contains("?token="), "{text}");
            }
        }
        change(&user, NEW, PASSWORD, true).await;
        app.work().await;
        let [_, changed] = app.mails_to(user.email()).into_iter().filter(|mail| mail.subject == CHANGED)
            .collect::<Vec<_>>().try_into().unwrap();
        assert!(changed.text.contains("Your API tokens were revoked"), "{}", changed.text);
        let reset_token = reset_token(&app, &user).await;
        reset(&app, &reset_token, NEW).await.no_content();
        app.work().await;
        let was_reset = notice(&app, &user, WAS_RESET);
        assert!(!was_reset.raw.contains(&reset_token), "{}", was_reset.raw);
        assert_eq!(notices(&app, &user), 5);
    }

    async fn a_refused_change_is_not_told(app: TestApp) {
        let user = app.user().await;
        let body = json!({"current_password": "wrong", "new_password": NEW});
        user.post("/v1/me/password", body).await.invalid(&["current_password:incorrect"]);
        reset(&app, &format!("mt_{}", "A".repeat(43)), NEW).await.fails(422, "INVALID_TOKEN");
        user.post(TOKENS, json!({"name": "", "scopes": ["read"]})).await.expect(400);
        user.post(WEBHOOKS, json!({"url": "https://127.0.0.1/", "events": ["*"]})).await.expect(422);
        app.work().await;
        assert_eq!(notices(&app, &user), 0);
    }

    async fn an_account_in_the_trash_is_not_told(app: TestApp) {
        let user = app.user().await;
        user.post(TOKENS, json!({"name": "x", "scopes": ["read"]})).await.created();
        user.post(WEBHOOKS, json!({"url": "https://example.com/", "events": ["*"]})).await.created();
        change(&user, PASSWORD, NEW, false).await;
        user.delete("/v1/me").await.no_content();
        let token = reset_token(&app, &user).await;
        reset(&app, &token, PASSWORD).await.no_content();
        app.work().await;
        assert_eq!(notices(&app, &user), 0);
        try_log_in(&app, user.email(), PASSWORD).await.ok();
    }

    async fn a_webhook_that_is_redirected_is_told_and_other_changes_are_not(app: TestApp) {
        let user = app.user().await;
        let webhook = user.post(WEBHOOKS, json!({"url": "https://example.com/x", "events": ["*"]})).await.created().id();
        app.work().await;
        assert_eq!(count_mails(&app, &user, NEW_WEBHOOK), 1);
        let path = format!("{WEBHOOKS}/{webhook}");
        for unnoticed in [json!({"description": "Mine"}), json!({"enabled": false}), json!({"url": "https://example.com/x"})] {
            user.patch(&path, unnoticed).await.ok();
        }
        app.work().await;
        assert_eq!(count_mails(&app, &user, NEW_WEBHOOK), 1);
        user.patch(&path, json!({"url": "https://example.org/y"})).await.ok();
        app.work().await;
        let mails: Vec<_> =
            app.mails_to(user.email()).into_iter().filter(|mail| mail.subject == NEW_WEBHOOK).collect();
        assert_eq!(mails.len(), 2);
        assert!(mails[1].text.contains("https://example.org/y"), "{}", mails[1].text);
    }

    async fn a_token_or_webhook_that_is_gone_is_told_without_its_details(app: TestApp) {
        let user = app.user().await;
        let token = user.post(TOKENS, json!({"name": "Brief", "scopes": ["read"]})).await.created().id();
        let webhook = user.post(WEBHOOKS, json!({"url": "https://example.com/x", "events": ["*"]})).await.created().id();
        user.delete(format!("{TOKENS}/{token}")).await.no_content();
        user.delete(format!("{WEBHOOKS}/{webhook}")).await.no_content();
        app.work().await;
        assert!(notice(&app, &user, NEW_TOKEN).text.contains(&token));
        let mail = notice(&app, &user, NEW_WEBHOOK);
        assert!(mail.text.contains(&webhook) && !mail.text.contains("example.com/x"), "{}", mail.text);
    }

    async fn an_unproven_address_is_told_without_text_of_the_creator(database: TestDatabase) {
        let app = app_with_proofs(&database).await;
        let user = app.user().await;
        user.post(TOKENS, json!({"name": "Buy now", "scopes": ["read"]})).await.created();
        user.post(WEBHOOKS, json!({"url": "https://example.com/buy", "events": ["*"]})).await.created();
        app.work().await;
        for subject in [NEW_TOKEN, NEW_WEBHOOK] {
            let mail = notice(&app, &user, subject);
            assert!(!mail.raw.contains("Buy now") && !mail.raw.contains("/buy") && !mail.raw.contains("User "), "{}", mail.raw);
            assert!(mail.text.starts_with("Hello there,"), "{}", mail.text);
        }
        assert_eq!(app.store.read().queue().list_unfinished().await.unwrap().len(), 0);
        assert_ne!(user.get("/v1/me").await.ok()["email_verified"], Value::Bool(true));
    }
}
