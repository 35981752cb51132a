//! How many API tokens a user may have.

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::fixtures::account::{TOKENS, api_client};
use crate::api::fixtures::common::{at_once, log_in_again};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, TestApp};

const MOST: usize = 50;

async fn make(client: &Client, expires_at: Value) -> crate::support::Answer {
    client.post(TOKENS, json!({"name": "x", "scopes": ["read"], "expires_at": expires_at})).await
}

on_both_databases! {
    async fn fifty_tokens_are_enough_and_those_that_are_no_good_do_not_count(app: TestApp) {
        let user = app.user().await;
        let soon = json!((app.clock.now() + Duration::from_mins(5)).to_string());
        for _ in 0..3 {
            make(&user, soon.clone()).await.created();
        }
        let mut last = Value::Null;
        for _ in 3..MOST {
            last = make(&user, Value::Null).await.created();
        }
        let message = make(&user, Value::Null).await.fails(409, "LIMIT_REACHED")["message"].to_string();
        assert!(message.contains("API tokens"), "{message}");
        assert_eq!(user.get(TOKENS).await.ok()["meta"]["total"], MOST);
        make(&app.user().await, Value::Null).await.created();

        user.delete(format!("{TOKENS}/{}", last.id())).await.no_content();
        make(&user, Value::Null).await.created();
        make(&user, Value::Null).await.fails(409, "LIMIT_REACHED");
        app.clock.advance(Duration::from_mins(6));
        let user = log_in_again(&app, &user).await;
        for _ in 0..3 {
            make(&user, Value::Null).await.created();
        }
        make(&user, Value::Null).await.fails(409, "LIMIT_REACHED");
    }

    async fn who_makes_many_at_once_gets_no_more(app: TestApp) {
        let user = app.user().await;
        for _ in 0..MOST - 4 {
            make(&user, Value::Null).await.created();
        }
        let (script, _) = api_client(&app, &user, &["read", "write"]).await;
        let requests = (0..16).map(|number| {
            let client = if number % 2 == 0 { user.clone() } else { script.clone() };
            async move { make(&client, Value::Null).await }
        });
        let (made, refused): (Vec<_>, Vec<_>) =
            at_once(requests).await.into_iter().partition(|answer| answer.status.is_success());
        assert_eq!(made.len(), 3);
        for answer in refused {
            answer.fails(409, "LIMIT_REACHED");
        }
        assert_eq!(user.get(TOKENS).await.ok()["meta"]["total"], MOST);
    }
}
