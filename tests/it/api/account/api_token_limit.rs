//! Limit on the number of API tokens per user.

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::fixtures::account::TOKENS;
use crate::api::fixtures::common::{concurrently, log_in_again};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, TestApp};

const MAX_TOKENS: usize = 50;

async fn create_token(client: &Client, expires_at: Value) -> crate::support::Answer {
    client.post(TOKENS, json!({"name": "x", "scopes": ["read"], "expires_at": expires_at})).await
}

on_both_databases! {
    async fn active_tokens_are_limited_to_fifty_per_user(app: TestApp) {
        let user = app.user().await;
        let soon = json!((app.clock.now() + Duration::from_mins(5)).to_string());
        for _ in 0..3 {
            create_token(&user, soon.clone()).await.created();
        }
        let mut last = Value::Null;
        for _ in 3..MAX_TOKENS {
            last = create_token(&user, Value::Null).await.created();
        }
        let message = create_token(&user, Value::Null).await.fails(409, "LIMIT_REACHED")["message"].to_string();
        assert!(message.contains("API tokens"), "{message}");
        assert_eq!(user.get(TOKENS).await.ok()["meta"]["total"], MAX_TOKENS);
        create_token(&app.user().await, Value::Null).await.created();

        user.delete(format!("{TOKENS}/{}", last.id())).await.no_content();
        create_token(&user, Value::Null).await.created();
        create_token(&user, Value::Null).await.fails(409, "LIMIT_REACHED");
        app.clock.advance(Duration::from_mins(6));
        let user = log_in_again(&app, &user).await;
        for _ in 0..3 {
            create_token(&user, Value::Null).await.created();
        }
        create_token(&user, Value::Null).await.fails(409, "LIMIT_REACHED");
    }

    async fn concurrent_token_creation_respects_the_limit(app: TestApp) {
        let user = app.user().await;
        for _ in 0..MAX_TOKENS - 3 {
            create_token(&user, Value::Null).await.created();
        }
        let elsewhere = log_in_again(&app, &user).await;
        let requests = (0..16).map(|number| {
            let client = if number % 2 == 0 { user.clone() } else { elsewhere.clone() };
            async move { create_token(&client, Value::Null).await }
        });
        let (created, refused): (Vec<_>, Vec<_>) =
            concurrently(requests).await.into_iter().partition(|answer| answer.status.is_success());
        assert_eq!(created.len(), 3);
        for answer in refused {
            answer.fails(409, "LIMIT_REACHED");
        }
        assert_eq!(user.get(TOKENS).await.ok()["meta"]["total"], MAX_TOKENS);
    }
}
