//! Permissions of API tokens, and limits shared by all tokens of a user.

use std::sync::Arc;

use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::account::{TOKENS, api_client, try_log_in, user_with};
use crate::api::fixtures::common::{percent_encoded, send};
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
        reader.post("/v1/projects", json!({"nonsense": 1})).await.fails(403, "INSUFFICIENT_SCOPE");
        for (method, path, body) in &changes {
            let answer = send(&writer, method, path, body).await;
            assert!(answer.status.is_success(), "{method} {path}: {}", answer.text);
        }
    }

    async fn api_tokens_cannot_perform_session_only_operations(app: TestApp) {
        let user = app.user().await;
        let (script, created) = api_client(&app, &user, &["read", "write"]).await;
        let session = user.get("/v1/me/sessions").await.ok()["data"][0].id();
        let change = json!({"current_password": "correct horse", "new_password": "battery staple"});
        for (method, path, body) in [
            (Method::POST, "/v1/me/password".to_owned(), change),
            (Method::POST, "/v1/me/password".to_owned(), json!({"nonsense": 1})),
            (Method::POST, "/v1/auth/logout".to_owned(), Value::Null),
            (Method::POST, "/v1/auth/resend-verification".to_owned(), Value::Null),
            (Method::DELETE, "/v1/me".to_owned(), Value::Null),
            (Method::DELETE, format!("/v1/me/sessions/{session}"), Value::Null),
            (Method::POST, TOKENS.to_owned(), json!({"name": "Child", "scopes": ["read"]})),
            (Method::DELETE, format!("{TOKENS}/{}", created.id()), Value::Null),
        ] {
            let refused = send(&script, &method, &path, &body).await;
            let message = refused.fails(403, "FORBIDDEN")["message"].to_string();
            assert!(message.contains("API tokens cannot do this"), "{method} {path}: {message}");
        }
        assert_eq!(user.get(TOKENS).await.ok()["meta"]["total"], 1);
        script.get("/v1/me").await.ok();
        try_log_in(&app, user.email(), "correct horse").await.ok();
        // An API token is not accepted as a refresh token.
        let body = json!({"refresh_token": script.token});
        script.post("/v1/auth/refresh", body).await.fails(401, "INVALID_REFRESH_TOKEN");
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
