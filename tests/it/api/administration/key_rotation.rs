//! Rotation of the encryption key.

use pocket_tasks::services::KeyUsage;
use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::account::api_client;
use crate::api::fixtures::common::percent_encoded;
use crate::api::fixtures::members::through;
use crate::api::fixtures::webhooks::{WEBHOOKS, options, webhook};
use crate::api::fixtures::writes::{KEY, REPLAYED};
use crate::support::client::Ids as _;
use crate::support::{Client, Options, Receiver, TestApp, TestClock, TestDatabase};
use crate::{on_both_databases, on_sqlite};

const OLD: &str = "b25seSBmb3IgdGVzdHM6IDMyIGJ5dGVzIGV4YWN0bHk=";
const NEW: &str = "MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA=";
const OTHER: &str = "MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE=";

/// Another process on the same database, with these keys.
async fn rotated(
    database: &TestDatabase,
    key: &'static str,
    previous: Option<&'static str>,
    more: &[(&'static str, &'static str)],
) -> TestApp {
    let keys = [("ENCRYPTION_KEY", key)].into_iter().chain(previous.map(|key| ("ENCRYPTION_KEY_PREVIOUS", key)));
    let variables = options().variables.into_iter().chain(keys).chain(more.iter().copied()).collect();
    TestApp::over(database.store().await, Options { variables, ..Options::default() }, TestClock::default())
}

/// Creates a webhook with a key, or replays that.
async fn create(user: &Client, url: &str) -> (Value, bool) {
    let call = user.call(Method::POST, WEBHOOKS).json(&json!({"url": url, "events": ["*"]}));
    let answer = call.header(KEY, "once").send().await;
    let is_replayed = answer.headers.contains_key(REPLAYED);
    (answer.expect(201), is_replayed)
}

on_both_databases! {
    async fn what_the_previous_key_encrypted_and_signed_stays_valid_and_is_encrypted_again(database: TestDatabase) {
        let before = rotated(&database, OLD, None, &[]).await;
        let (user, receiver) = (before.user().await, Receiver::new("200 OK"));
        let (created, _) = create(&user, &receiver.url).await;
        let path = format!("{WEBHOOKS}/{}", created.id());
        user.post(format!("{path}/rotate-secret"), json!({"overlap_seconds": 3600})).await.ok();
        let project = user.project().await;
        for _ in 0..2 {
            user.task(&project, json!({"title": "x"})).await;
        }
        let next = |page: &Value| percent_encoded(page["meta"]["next_cursor"].as_str().unwrap());
        let tasks = next(&user.get(format!("/v2/projects/{project}/tasks?limit=1")).await.ok());
        let events = next(&user.get("/v1/events?limit=1").await.ok());
        let cursors = [format!("/v2/projects/{project}/tasks?limit=1&cursor={tasks}"), format!("/v1/events?cursor={events}")];
        before.work().await;
        let deliver = async |app: &TestApp| {
            through(app, &user).post_empty(format!("{path}/test")).await.expect(202);
            app.work().await;
            // Signed with both secrets.
            let message = receiver.messages().pop().unwrap();
            assert_eq!(message.body()["type"], "webhook.test");
            assert_eq!(message.header("webhook-signature").split(' ').count(), 2);
        };
        let usage = async |app: &TestApp| app.services.key_rotation.usage().await.unwrap();
        let all = |current, previous, unknown| KeyUsage { current, previous, unknown };
        assert_eq!(usage(&before).await, all(3, 0, 0));

        let during = rotated(&database, NEW, Some(OLD), &[]).await;
        assert_eq!(usage(&during).await, all(0, 3, 0));
        assert_eq!(create(&through(&during, &user), &receiver.url).await, (created.clone(), true));
        deliver(&during).await;
        for cursor in &cursors {
            through(&during, &user).get(cursor).await.ok();
        }
        during.services.key_rotation.enqueue().await.unwrap();
        during.work().await;
        assert_eq!(usage(&during).await, all(3, 0, 0));
        assert_eq!(during.services.key_rotation.reencrypt().await.unwrap(), all(3, 0, 0), "nothing is left to do");

        let after = rotated(&database, NEW, None, &[]).await;
        assert_eq!(usage(&after).await, all(3, 0, 0));
        assert_eq!(create(&through(&after, &user), &receiver.url).await, (created, true));
        deliver(&after).await;
        for cursor in &cursors {
            through(&after, &user).get(cursor).await.fails(400, "INVALID_CURSOR");
        }
        after.services.key_rotation.enqueue().await.unwrap();
        assert!(after.store.read().queue().list_unfinished().await.unwrap().is_empty(), "without a previous key");

        let lost = rotated(&database, OTHER, Some(OLD), &[]).await;
        assert_eq!(usage(&lost).await, all(0, 0, 3));
        lost.services.key_rotation.reencrypt().await.unwrap();
        assert_eq!(usage(&after).await, all(3, 0, 0), "what cannot be decrypted is kept");
    }
}

on_sqlite! {
    async fn all_portions_are_encrypted_again(database: TestDatabase) {
        let before = rotated(&database, OLD, None, &[]).await;
        let user = before.user().await;
        let (script, _) = api_client(&before, &user, &["read", "write"]).await;
        // A portion of stored responses, and one more.
        for number in 0..101 {
            let call = script.call(Method::POST, "/v1/projects").json(&json!({"name": "x"}));
            call.header(KEY, &format!("{number}")).send().await.created();
        }
        webhook(&script, "https://hook.invalid/").await;
        let during = rotated(&database, NEW, Some(OLD), &[]).await;
        let usage = during.services.key_rotation.reencrypt().await.unwrap();
        assert_eq!((usage.previous, usage.current), (102, 0));
        assert_eq!(during.services.key_rotation.usage().await.unwrap().current, 102);
    }

    async fn the_networks_of_earlier_logins_are_known_during_a_rotation(database: TestDatabase) {
        let settings = [("LOGIN_FAILURES_PER_HOUR", "1"), ("TRUSTED_PROXY_HOPS", "1")];
        let before = rotated(&database, OLD, None, &settings).await;
        let user = before.user().await;
        let log_in = async |app: &TestApp, address: &str, password: &str| {
            let call = app.anonymous().call(Method::POST, "/v1/auth/login");
            let call = call.json(&json!({"email": user.email(), "password": password}));
            call.header("x-forwarded-for", address).send().await.status.as_u16()
        };
        assert_eq!(log_in(&before, "192.0.2.7", "correct horse").await, 200);
        let during = rotated(&database, NEW, Some(OLD), &settings).await;
        assert_eq!(log_in(&during, "198.51.100.9", "a guess").await, 401);
        // The hour is used up for strangers.
        assert_eq!(log_in(&during, "198.51.100.9", "a guess").await, 429);
        let after = rotated(&database, NEW, None, &settings).await;
        assert_eq!(log_in(&after, "192.0.2.7", "a guess").await, 429);
        assert_eq!(log_in(&during, "192.0.2.7", "correct horse").await, 200);
        assert_eq!(log_in(&after, "192.0.2.7", "correct horse").await, 200, "the login was recorded with the new key");
    }
}
