//! New passwords: weak ones are refused, and hashes are renewed on login.

use serde_json::{Value, json};

use crate::api::fixtures::account::{Tables, reset, reset_token, try_log_in};
use crate::on_both_databases;
use crate::support::{Options, TestApp, TestDatabase};

const PASSWORD: &str = "correct horse";

async fn with_cost(database: &TestDatabase, cost: &'static str) -> TestApp {
    TestApp::new(database, Options { variables: vec![("BCRYPT_COST", cost)], ..Options::default() }).await
}

on_both_databases! {
    async fn common_and_personal_passwords_are_refused(app: TestApp) {
        let register = async |email: &str, password: &str| {
            let body = json!({"email": email, "name": "Ada Lovelace", "password": password});
            app.anonymous().post("/v1/auth/register", body).await
        };
        for weak in ["password", "12345678", "qwerty123", "iloveyou", "Password1!", "adalovelace", "Lovelace1815", "first@example"] {
            register("first@example.com", weak).await.invalid(&["password:too_weak"]);
        }
        let body = register("first@example.com", "ada lovelace").await.fails(400, "VALIDATION_FAILED");
        assert_eq!(body["message"], "password must not be made of your name or e-mail address.");
        register("first@example.com", PASSWORD).await.created();
        // Validation comes before the conflict.
        register("first@example.com", "password").await.invalid(&["password:too_weak"]);
        register("first@example.com", PASSWORD).await.fails(409, "EMAIL_TAKEN");
    }

    async fn a_change_and_a_reset_refuse_weak_passwords(app: TestApp) {
        let user = app.user().await;
        let change = async |current: &str, new: &str| {
            user.post("/v1/me/password", json!({"current_password": current, "new_password": new})).await
        };
        let name = user.session["user"]["name"].as_str().unwrap();
        change(PASSWORD, "password").await.invalid(&["new_password:too_weak"]);
        change(PASSWORD, name).await.invalid(&["new_password:too_weak"]);
        change("wrong horse", "password").await.invalid(&["current_password:incorrect", "new_password:too_weak"]);
        change("wrong horse", "battery staple").await.invalid(&["current_password:incorrect"]);
        let token = reset_token(&app, &user).await;
        reset(&app, &token, "password").await.invalid(&["password:too_weak"]);
        reset(&app, &token, user.email()).await.invalid(&["password:too_weak"]);
        reset(&app, &format!("mt_{}", "A".repeat(43)), "password").await.invalid(&["password:too_weak"]);
        reset(&app, &token, "battery staple").await.no_content();
    }

    async fn a_login_renews_a_hash_of_another_cost(database: TestDatabase) {
        let old = with_cost(&database, "4").await;
        let user = old.user().await;
        let before = user.get("/v1/me").await.ok();
        for (cost, prefix) in [("5", "$2b$05$"), ("4", "$2b$04$")] {
            let app = with_cost(&database, cost).await;
            try_log_in(&app, user.email(), "wrong horse").await.fails(401, "INVALID_CREDENTIALS");
            let session = try_log_in(&app, user.email(), PASSWORD).await.ok();
            assert_eq!(session["user"], before);
            let tables = Tables::read(&database).await;
            let hashes = tables.column("users.password_hash");
            assert!(hashes.iter().all(|hash| hash.contains(prefix)), "{hashes:?}");
            assert!(tables.column("users.password_cost")[0].contains(cost));
            try_log_in(&app, user.email(), PASSWORD).await.ok();
            try_log_in(&app, user.email(), "wrong horse").await.fails(401, "INVALID_CREDENTIALS");
        }
        let client = old.with_token(user.token.as_deref().unwrap());
        assert_eq!(client.get("/v1/me").await.ok(), before);
    }

    async fn concurrent_logins_renew_a_hash_without_failing(database: TestDatabase) {
        let user = with_cost(&database, "4").await.user().await;
        let app = with_cost(&database, "5").await;
        let logins = (0..8).map(|_| {
            let (app, email) = (app.clone(), user.email().to_owned());
            async move { try_log_in(&app, &email, PASSWORD).await.status.as_u16() }
        });
        let statuses = crate::api::fixtures::common::concurrently(logins).await;
        assert_eq!(statuses, [200; 8]);
        assert_ne!(app.with_token(user.token.as_deref().unwrap()).get("/v1/me").await.ok(), Value::Null);
    }
}
