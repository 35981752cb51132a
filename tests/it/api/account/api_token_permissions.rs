//! Permissions of API tokens, and limits shared by all tokens of a user.

use std::sync::Arc;

use pocket_tasks::contract::Timestamp;
use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::account::{TOKENS, api_client, expiring_token, try_log_in, user_with};
use crate::api::fixtures::common::{DAY, percent_encoded, send, time};
use crate::api::fixtures::writes::{KEY, REPLAYED, new_key};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, Options, TestApp, TestDatabase};

on_both_databases! {
    async fn a_session_revoked_in_another_process_cannot_create_tokens(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let (user, body) = (app.user().await, json!({"name": "x", "scopes": ["read", "write"]}));
        // Another process, which has not learned about the logout yet.
        let elsewhere = TestApp::over(Arc::clone(&app.store), Options::default(), app.clock.clone());
        let there = elsewhere.with_token(user.token.as_ref().unwrap());
        there.post(TOKENS, body.clone()).await.created();
        user.post_empty("/v1/auth/logout").await.no_content();
        there.get("/v1/me").await.ok();
        there.post(TOKENS, body).await.fails(401, "TOKEN_REVOKED");
    }

    async fn read_and_write_scopes_are_independent(app: TestApp) {
        let user = app.user().await;
        let project = user.project().await;
        let task = user.task(&project, json!({"title": "Tea"})).await;
        let path = format!("/v1/tasks/{}", task.id());
        let (reader, _) = api_client(&app, &user, &["read"]).await;
        let (writer, _) = api_client(&app, &user, &["write"]).await;
        for read in ["/v1/me", "/v1/projects", "/v2/tasks", TOKENS, "/v1/me/sessions", &path] {
            reader.get(read).await.ok();
            let refused = writer.get(read).await;
            let challenge = refused.header("www-authenticate").to_owned();
            assert!(challenge.contains("insufficient_scope") && challenge.contains("scope=\"read\""), "{challenge}");
            let message = refused.fails(403, "INSUFFICIENT_SCOPE")["message"].to_string();
            assert!(message.contains("`read`"), "{message}");
        }
        let changes = [
            (Method::PATCH, path.clone(), json!({"title": "Coffee"})),
            (Method::PATCH, "/v1/me".to_owned(), json!({"name": "Ada"})),
            (Method::POST, format!("/v1/projects/{project}/tasks"), json!({"title": "x"})),
            (Method::POST, TOKENS.to_owned(), json!({"name": "x", "scopes": ["write"]})),
            (Method::POST, format!("{path}/move"), json!({})),
            (Method::DELETE, path.clone(), Value::Null),
            (Method::POST, format!("{path}/restore"), Value::Null),
        ];
        for (method, path, body) in &changes {
            let refused = send(&reader, method, path, body).await;
            assert!(refused.header("www-authenticate").contains("scope=\"write\""));
            refused.fails(403, "INSUFFICIENT_SCOPE");
        }
        // Nothing was changed, and the scope is checked before existence and validity.
        assert_eq!(user.get(&path).await.ok(), task);
        reader.delete("/v1/tasks/nonsense").await.fails(403, "INSUFFICIENT_SCOPE");
        reader.post(TOKENS, json!({"nonsense": 1})).await.fails(403, "INSUFFICIENT_SCOPE");
        for (method, path, body) in &changes {
            let answer = send(&writer, method, path, body).await;
            assert!(answer.status.is_success(), "{method} {path}: {}", answer.text);
        }
    }

    async fn api_tokens_cannot_perform_session_only_operations(app: TestApp) {
        let user = app.user().await;
        let (script, _) = api_client(&app, &user, &["read", "write"]).await;
        let change = json!({"current_password": "correct horse", "new_password": "battery staple"});
        for (path, body) in [
            ("/v1/me/password", change),
            ("/v1/me/password", json!({"nonsense": 1})),
            ("/v1/auth/logout", Value::Null),
            ("/v1/auth/resend-verification", Value::Null),
        ] {
            let refused = send(&script, &Method::POST, path, &body).await;
            refused.fails(403, "FORBIDDEN");
        }
        try_log_in(&app, user.email(), "correct horse").await.ok();
        // An API token is not accepted as a refresh token.
        let body = json!({"refresh_token": script.token});
        script.post("/v1/auth/refresh", body).await.fails(401, "INVALID_REFRESH_TOKEN");
    }

    async fn a_token_cannot_create_a_token_with_more_scopes_or_a_later_expiry(app: TestApp) {
        let user = app.user().await;
        let (both, _) = expiring_token(&app, &user, DAY).await;
        let (writer, _) = api_client(&app, &user, &["write"]).await;
        for scopes in [json!(["read"]), json!(["read", "write"])] {
            let refused = writer.post(TOKENS, json!({"name": "x", "scopes": scopes})).await;
            refused.fails(403, "INSUFFICIENT_SCOPE");
        }
        writer.post(TOKENS, json!({"name": "x", "scopes": ["write"]})).await.created();
        let now = app.clock.now();
        for end in [Value::Null, json!((now + DAY * 2).to_string()), json!("9999-12-31T23:59:59Z")] {
            let refused = both.post(TOKENS, json!({"name": "x", "scopes": ["read"], "expires_at": end})).await;
            refused.invalid(&["expires_at:maximum"]);
        }
        both.post(TOKENS, json!({"name": "x", "scopes": ["read"]})).await.invalid(&["expires_at:maximum"]);
        let list = user.get(format!("{TOKENS}?limit=1&offset={}", 1)).await.ok();
        assert_eq!(list["meta"]["total"], 3);
        let own = user.get(TOKENS).await.ok()["data"].as_array().unwrap().iter()
            .find(|one| one["expires_at"] != Value::Null).unwrap()["expires_at"].clone();
        let before = Timestamp(time(&own).0 - 1).to_string();
        for end in [own, json!(before)] {
            both.post(TOKENS, json!({"name": "x", "scopes": ["read", "write"], "expires_at": end})).await.created();
        }
    }

    async fn idempotency_keys_belong_to_the_user_rather_than_the_token(app: TestApp) {
        let user = app.user().await;
        let (one, _) = api_client(&app, &user, &["write"]).await;
        let (reader, _) = api_client(&app, &user, &["read"]).await;
        let key = new_key();
        let create = |client: &Client| {
            client.call(Method::POST, "/v1/projects").json(&json!({"name": "Once"})).header(KEY, &key)
        };
        let first = create(&one).send().await;
        let again = create(&user).send().await;
        assert_eq!(again.header(REPLAYED), "true");
        assert_eq!(first.created(), again.created());
        create(&reader).send().await.fails(403, "INSUFFICIENT_SCOPE");
        let stranger = app.user().await;
        assert!(!create(&stranger).send().await.headers.contains_key(REPLAYED));

        // Revocations are idempotent too.
        let (_, created) = api_client(&app, &user, &["write"]).await;
        let key = new_key();
        let end = || user.call(Method::DELETE, format!("{TOKENS}/{}", created.id())).header(KEY, &key);
        end().send().await.no_content();
        let again = end().send().await;
        assert_eq!(again.header(REPLAYED), "true");
        again.no_content();
    }

    async fn rate_limits_are_shared_by_all_tokens_of_a_user(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let (user, stranger) = (user_with(&app, &json!({})).await, app.user().await);
        let (one, _) = api_client(&app, &user, &["read"]).await;
        let (other, _) = api_client(&app, &user, &["read"]).await;
        let limited = TestApp::new(&database, Options { api_per_minute: 3, ..Options::default() }).await;
        let with = |client: &Client| limited.with_token(client.token.as_deref().unwrap());
        for (client, remaining) in [(&one, "2"), (&user, "1"), (&other, "0")] {
            let answer = with(client).get("/v1/me").await;
            assert_eq!(answer.header("ratelimit-remaining"), remaining);
            answer.ok();
        }
        for client in [&one, &user, &other] {
            with(client).get("/v1/me").await.fails(429, "RATE_LIMITED");
        }
        with(&stranger).get("/v1/me").await.ok();
        // A token in the query string is ignored.
        let path = format!("/v1/me?access_token={}", percent_encoded(one.token.as_deref().unwrap()));
        app.anonymous().get(path).await.fails(401, "UNAUTHENTICATED");
    }
}
