//! Budgets of mail per recipient and of invitations per user.
//!
//! The attacks of issue 16: 310 mails to one stranger from throw-away accounts, and reset mails to anybody.

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::fixtures::account::{
    RESET, TOKENS, VERIFICATION, WELCOME, app_requiring_verification, count_mails, forgot_password, set_verified,
};
use crate::api::fixtures::common::{DAY, concurrently};
use crate::api::fixtures::members::{invite, through};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, Options, TestApp, TestDatabase};
use poem::http::Method;

const HOUR: Duration = Duration::from_hours(1);
const STRANGER: &str = "stranger@example.com";
const CHANGED: &str = "Your password was changed";
const NEW_TOKEN: &str = "A new API token was created";

/// Options with the default budgets.
fn budgets(further: &[(&'static str, &'static str)]) -> Options {
    let defaults = [
        ("MAIL_PER_RECIPIENT_PER_HOUR", "3"),
        ("MAIL_PER_RECIPIENT_PER_DAY", "10"),
        ("INVITATIONS_PER_USER_PER_DAY", "50"),
        ("TRUSTED_PROXY_HOPS", "1"),
    ];
    Options { variables: defaults.iter().chain(further).copied().collect(), ..Options::default() }
}

/// Invites the stranger into a new project.
async fn invite_stranger(user: &Client) -> u16 {
    let project = user.project().await;
    invite(user, &project, STRANGER, "viewer").await.status.as_u16()
}

/// Requests a reset from an address behind the proxy, and sends the mail.
async fn request_reset(app: &TestApp, address: &str, email: &str) {
    let call = app.anonymous().call(Method::POST, "/v1/auth/forgot-password").json(&json!({"email": email}));
    call.header("x-forwarded-for", address).send().await.expect(202);
    app.work().await;
}

on_both_databases! {
    async fn throw_away_accounts_send_a_stranger_three_mails_an_hour_and_ten_a_day(database: TestDatabase) {
        let app = TestApp::new(&database, budgets(&[])).await;
        let mut statuses = Vec::new();
        for _ in 0..7 {
            let account = app.user().await;
            for _ in 0..45 {
                statuses.push(invite_stranger(&account).await);
            }
        }
        // The senders learn nothing.
        assert_eq!(statuses, vec![201; 315]);
        app.work().await;
        assert_eq!(app.mails_to(STRANGER).len(), 3);
        let account = app.user().await;
        for hour in 1..24 {
            app.clock.advance(HOUR);
            let account = crate::api::fixtures::common::log_in_again(&app, &account).await;
            for _ in 0..2 {
                invite_stranger(&account).await;
            }
            app.work().await;
            assert!(app.mails_to(STRANGER).len() <= 10, "{hour}");
        }
        assert_eq!(app.mails_to(STRANGER).len(), 10);
        app.clock.advance(HOUR);
        let account = crate::api::fixtures::common::log_in_again(&app, &account).await;
        invite_stranger(&account).await;
        app.work().await;
        assert_eq!(app.mails_to(STRANGER).len(), 11);
    }

    async fn unverified_accounts_send_no_invitations(database: TestDatabase) {
        let app = app_requiring_verification(&database).await;
        let account = app.user().await;
        let project = account.project().await;
        invite(&account, &project, STRANGER, "viewer").await.fails(403, "EMAIL_NOT_VERIFIED");
        set_verified(&app, &account, true).await;
        invite(&account, &project, STRANGER, "viewer").await.created();
        app.work().await;
        assert_eq!(app.mails_to(STRANGER).len(), 1);
    }

    async fn all_kinds_of_mail_that_strangers_cause_share_a_budget(database: TestDatabase) {
        let app = TestApp::new(&database, budgets(&[("REQUIRE_EMAIL_VERIFICATION", "true")])).await;
        let (sender, user) = (app.user().await, app.user().await);
        set_verified(&app, &sender, true).await;
        app.work().await;
        assert_eq!((count_mails(&app, &user, WELCOME), count_mails(&app, &user, VERIFICATION)), (1, 1));
        for _ in 0..3 {
            request_reset(&app, "192.0.2.1", user.email()).await;
            let project = sender.project().await;
            invite(&sender, &project, user.email(), "viewer").await.created();
            user.post_empty("/v1/auth/resend-verification").await.expect(202);
            // The address is not verified, so the account may be a stranger's.
            user.post(TOKENS, json!({"name": "x", "scopes": ["read"]})).await.created();
            app.work().await;
        }
        assert_eq!(app.mails_to(user.email()).len(), 3);
    }

    async fn a_stranger_cannot_suppress_the_mails_of_the_owner(database: TestDatabase) {
        let app = TestApp::new(&database, budgets(&[])).await;
        let user = app.user().await;
        let login = json!({"email": user.email(), "password": "correct horse"});
        let call = app.anonymous().call(Method::POST, "/v1/auth/login").json(&login);
        call.header("x-forwarded-for", "198.51.100.7").send().await.ok();
        app.clock.advance(HOUR * 2);
        let user = crate::api::fixtures::common::log_in_again(&app, &user).await;
        for _ in 0..40 {
            request_reset(&app, "192.0.2.1", user.email()).await;
        }
        assert_eq!(count_mails(&app, &user, RESET), 3);
        for _ in 0..5 {
            user.post(TOKENS, json!({"name": "x", "scopes": ["read"]})).await.created();
        }
        for (from, to) in [("correct horse", "battery staple"), ("battery staple", "correct horse")] {
            user.post("/v1/me/password", json!({"current_password": from, "new_password": to})).await.no_content();
        }
        app.work().await;
        assert_eq!((count_mails(&app, &user, NEW_TOKEN), count_mails(&app, &user, CHANGED)), (3, 2));
        // The owner still gets a link from where they have logged in, once the budget of the tokens has recovered.
        app.clock.advance(HOUR);
        for _ in 0..5 {
            request_reset(&app, "192.0.2.1", user.email()).await;
        }
        assert_eq!(count_mails(&app, &user, RESET), 6);
        request_reset(&app, "198.51.100.7", user.email()).await;
        assert_eq!(count_mails(&app, &user, RESET), 7);
    }

    async fn resets_for_an_address_without_an_account_do_not_spend_its_budget(database: TestDatabase) {
        let app = TestApp::new(&database, budgets(&[])).await;
        for _ in 0..20 {
            forgot_password(&app, STRANGER).await.expect(202);
        }
        let body = json!({"email": STRANGER, "name": "Ada", "password": "correct horse"});
        app.anonymous().post("/v1/auth/register", body).await.created();
        app.work().await;
        assert_eq!(app.mails_to(STRANGER).len(), 1);
    }

    async fn processes_share_the_budget_of_a_recipient(database: TestDatabase) {
        let one = TestApp::new(&database, budgets(&[])).await;
        let other = TestApp::over(database.another_store().await, budgets(&[]), one.clock.clone());
        let mut invitations = Vec::new();
        for number in 0..12 {
            let sender = one.user().await;
            let project = sender.project().await;
            let sender = if number % 2 == 0 { sender } else { through(&other, &sender) };
            invitations.push(async move { invite(&sender, &project, STRANGER, "viewer").await.status.as_u16() });
        }
        assert_eq!(concurrently(invitations).await, [201; 12]);
        one.work().await;
        assert_eq!(one.mails_to(STRANGER).len() + other.mails_to(STRANGER).len(), 3);
    }

    async fn invitations_are_limited_per_user_and_day(database: TestDatabase) {
        let app = TestApp::new(&database, budgets(&[("INVITATIONS_PER_USER_PER_DAY", "3")])).await;
        let (sender, other) = (app.user().await, app.user().await);
        let (project, others) = (sender.project().await, other.project().await);
        let mut ids = Vec::new();
        for name in ["a", "b", "c"] {
            ids.push(invite(&sender, &project, &format!("{name}@example.com"), "viewer").await.created().id());
            // A refused invitation is free.
            invite(&sender, &project, &format!("{name}@example.com"), "viewer").await.fails(409, "ALREADY_INVITED");
        }
        let refused = invite(&sender, &project, "d@example.com", "viewer").await;
        assert_eq!((refused.header("ratelimit-limit"), refused.header("ratelimit-remaining")), ("3", "0"));
        assert!((1..=86_400).contains(&refused.header("retry-after").parse::<u32>().unwrap()));
        let body = refused.fails(429, "RATE_LIMITED");
        assert_eq!(body["message"], "You have sent 3 invitations within a day, which is the maximum. Try again later.");
        // A revoked invitation still counts, because its mail was sent.
        sender.delete(format!("/v1/projects/{project}/invitations/{}", ids[0])).await.no_content();
        invite(&sender, &project, "d@example.com", "viewer").await.fails(429, "RATE_LIMITED");
        invite(&other, &others, "d@example.com", "viewer").await.created();
        app.clock.advance(DAY);
        let sender = crate::api::fixtures::common::log_in_again(&app, &sender).await;
        invite(&sender, &project, "d@example.com", "viewer").await.created();
        assert_ne!(sender.get("/v1/me").await.ok(), Value::Null);
    }
}
