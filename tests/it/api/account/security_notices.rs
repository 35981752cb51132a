//! Security notices sent to the account owner about changes of access.

use serde_json::{Value, json};

use super::sessions::PASSWORD;
use crate::api::fixtures::account::{TOKENS, app_requiring_verification, count_mails, reset, reset_token, try_log_in};
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

/// Current time of the test clock as shown in e-mails, to the minute.
fn minute(app: &TestApp) -> String {
    let now = app.clock.now().to_string();
    now[11..16].to_owned()
}

async fn change(user: &Client, from: &str, to: &str, revoke_all: bool) {
    let body = json!({"current_password": from, "new_password": to, "revoke_all": revoke_all});
    user.post("/v1/me/password", body).await.no_content();
}

on_both_databases! {
    async fn every_change_of_access_sends_one_notice_with_its_time_and_no_secrets(app: TestApp) {
        let user = app.user().await;
        let token = user.post(TOKENS, json!({"name": "Backup <b>", "scopes": ["read"]})).await.created();
        let hook = json!({"url": "https://example.com/hook?a=1&b=2", "events": ["*"]});
        let webhook = user.post(WEBHOOKS, hook).await.created();
        change(&user, PASSWORD, NEW, false).await;
        let time = minute(&app);
        app.work().await;
        let token_notice = notice(&app, &user, NEW_TOKEN);
        assert!(token_notice.text.contains("\"Backup <b>\"") && token_notice.html.contains("Backup &#60;b&#62;"), "{}", token_notice.raw);
        assert!(token_notice.text.contains(&token.id()), "{}", token_notice.text);
        let webhook_notice = notice(&app, &user, NEW_WEBHOOK);
        // The query string is omitted, because it may contain a secret of the receiver.
        assert!(webhook_notice.text.contains("https://example.com/hook and"), "{}", webhook_notice.text);
        assert!(webhook_notice.text.contains(&webhook.id()), "{}", webhook_notice.text);
        let changed = notice(&app, &user, CHANGED);
        assert!(changed.text.contains("API tokens and webhooks still work"), "{}", changed.text);
        for mail in [&token_notice, &webhook_notice, &changed] {
            for text in [&mail.text, &mail.html] {
                assert!(text.contains("UTC") && text.contains(&time), "{time}: {text}");
                assert!(text.contains("forgot-password") && text.contains("http://127.0.0.1:3000"), "{text}");
                for secret in [&token["token"], &webhook["secret"], &user.session["access_token"], &json!(NEW)] {
                    assert!(!text.contains(secret.as_str().unwrap()), "{text}");
                }
                assert!(!text.contains("token="), "{text}");
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

    async fn a_rejected_change_sends_no_notice(app: TestApp) {
        let user = app.user().await;
        let body = json!({"current_password": "wrong", "new_password": NEW});
        user.post("/v1/me/password", body).await.invalid(&["current_password:incorrect"]);
        reset(&app, &format!("mt_{}", "A".repeat(43)), NEW).await.fails(422, "INVALID_TOKEN");
        user.post(TOKENS, json!({"name": "", "scopes": ["read"]})).await.expect(400);
        user.post(WEBHOOKS, json!({"url": "https://127.0.0.1/", "events": ["*"]})).await.expect(422);
        app.work().await;
        assert_eq!(notices(&app, &user), 0);
    }

    async fn a_deleted_account_receives_no_notices(app: TestApp) {
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

    async fn only_a_new_webhook_url_sends_a_notice(app: TestApp) {
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

    async fn a_notice_about_a_deleted_token_or_webhook_omits_its_details(app: TestApp) {
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

    async fn a_notice_to_an_unverified_address_contains_no_user_text(database: TestDatabase) {
        let app = app_requiring_verification(&database).await;
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
