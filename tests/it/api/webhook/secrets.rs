//! Webhook secrets: returned once, stored encrypted, rotated with an overlap.

use std::time::Duration;

use pocket_tasks::contract::{Timestamp, WebhookId};
use pocket_tasks::webhooks::{SigningKey, signature};
use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::account::prune;
use crate::api::fixtures::webhooks::{WEBHOOKS, app, subscribed_user};
use crate::api::fixtures::writes::{KEY, REPLAYED, new_key};
use crate::on_both_databases;
use crate::support::receiver::Message;
use crate::support::{TestApp, TestDatabase};

fn secret(answer: &Value) -> SigningKey {
    SigningKey::parse(answer["secret"].as_str().unwrap()).unwrap()
}

fn signed(message: &Message, secrets: &[&SigningKey]) -> bool {
    let timestamp = message.header("webhook-timestamp").parse().unwrap();
    let expected = signature(secrets.iter().copied(), message.header("webhook-id"), timestamp, &message.text);
    message.header("webhook-signature") == expected
}

on_both_databases! {
    async fn both_signatures_are_sent_during_a_rotation(database: TestDatabase) {
        let app = app(&database).await;
        let (user, _, webhook, receiver) = subscribed_user(&app, "200 OK").await;
        let path = format!("{WEBHOOKS}/{webhook}");
        let test = async || {
            user.post_empty(format!("{path}/test")).await.expect(202);
            app.work().await;
            receiver.messages().pop().unwrap()
        };
        let rotate = async |body: Value| user.post(format!("{path}/rotate-secret"), body).await.ok();
        user.post_empty(format!("{path}/rotate-secret")).await.ok();
        let first = secret(&rotate(json!({"overlap_seconds": 0})).await);
        let second = secret(&rotate(json!({"overlap_seconds": 60})).await);
        assert!(signed(&test().await, &[&second, &first]));
        app.clock.advance(Duration::from_secs(61));
        assert!(signed(&test().await, &[&second]));
        let third = secret(&rotate(json!({})).await);
        app.clock.advance(Duration::from_hours(23));
        assert!(signed(&test().await, &[&third, &second]));
        app.clock.advance(Duration::from_hours(2));
        assert!(signed(&test().await, &[&third]));
        let fourth = secret(&rotate(json!({"overlap_seconds": 0})).await);
        assert!(signed(&test().await, &[&fourth]));
        for (overlap, failure) in [(json!(-1), "minimum"), (json!(604_801), "maximum"), (json!("5"), "type"), (json!(null), "null")] {
            let answer = user.post(format!("{path}/rotate-secret"), json!({"overlap_seconds": overlap})).await;
            answer.invalid(&[&format!("overlap_seconds:{failure}")]);
        }
        rotate(json!({"overlap_seconds": 604_800})).await;
    }

    async fn a_repeated_rotation_keeps_all_valid_secrets(database: TestDatabase) {
        let app = app(&database).await;
        let (user, _, webhook, receiver) = subscribed_user(&app, "200 OK").await;
        let path = format!("{WEBHOOKS}/{webhook}");
        let id = WebhookId::parse(&webhook).unwrap();
        let test = async || {
            user.post_empty(format!("{path}/test")).await.expect(202);
            app.work().await;
            receiver.messages().pop().unwrap()
        };
        let rotate = async |overlap: u32| {
            secret(&user.post(format!("{path}/rotate-secret"), json!({"overlap_seconds": overlap})).await.ok())
        };
        let former = async || {
            // All stored secrets, valid or not.
            app.store.read().webhooks().list_previous_secrets(id, Timestamp(0)).await.unwrap().len()
        };
        let first = rotate(0).await;
        assert_eq!(former().await, 0);
        let (second, third) = (rotate(600).await, rotate(60).await);
        assert!(signed(&test().await, &[&third, &second, &first]), "the first secret is valid for its whole overlap");
        app.clock.advance(Duration::from_secs(61));
        assert!(signed(&test().await, &[&third, &first]));
        let fourth = rotate(3_600).await;
        assert!(signed(&test().await, &[&fourth, &third, &first]));
        assert_eq!(former().await, 2, "expired secrets are erased by the next rotation");
        app.clock.advance(Duration::from_mins(10));
        assert!(signed(&test().await, &[&fourth, &third]));
        assert_eq!(former().await, 2);
        prune(&app).await;
        assert_eq!(former().await, 1, "or by the hourly job");
        let fifth = rotate(0).await;
        assert!(signed(&test().await, &[&fifth]));
        assert_eq!(former().await, 0);
        // Repeated rotations keep a limited number of previous secrets.
        let mut all = vec![fifth];
        for _ in 0..12 {
            all.insert(0, rotate(600).await);
        }
        assert!(signed(&test().await, &all.iter().take(11).collect::<Vec<_>>()));
        assert_eq!(former().await, 10);
    }

    async fn a_secret_is_returned_only_by_creation_rotation_and_their_replays(app: TestApp) {
        let user = app.user().await;
        let (key, body) = (new_key(), json!({"url": "https://example.com/", "events": ["*"]}));
        let create = || user.call(Method::POST, WEBHOOKS).json(&body).header(KEY, &key);
        let (first, again) = (create().send().await, create().send().await);
        assert_eq!(again.header(REPLAYED), "true");
        let id = first.body["id"].as_str().unwrap().to_owned();
        let path = format!("{WEBHOOKS}/{id}");
        let key = new_key();
        let rotate = || user.call(Method::POST, format!("{path}/rotate-secret")).header(KEY, &key);
        let (rotated, repeated) = (rotate().send().await, rotate().send().await);
        assert_ne!(rotated.body["secret"], first.body["secret"]);
        for (one, other) in [(&first, &again), (&rotated, &repeated)] {
            assert_eq!((&one.text, one.header("etag")), (&other.text, other.header("etag")));
            for answer in [one, other] {
                assert_eq!(answer.header("cache-control"), "private, no-store");
            }
        }
        assert_eq!(rotated.header("etag"), user.get(&path).await.header("etag"));
        let deliveries = format!("{path}/deliveries");
        for answer in [user.get(WEBHOOKS).await, user.get(&path).await, user.patch(&path, json!({"enabled": false})).await, user.get(deliveries).await] {
            assert!(!answer.text.contains("whsec_") && !answer.text.contains("\"secret\""), "{}", answer.text);
        }
        let (webhooks, id) = (app.store.read().webhooks(), WebhookId::parse(&id).unwrap());
        let stored = webhooks.find(id).await.unwrap().unwrap();
        let [former] = <[_; 1]>::try_from(webhooks.list_previous_secrets(id, app.clock.now()).await.unwrap()).ok().unwrap();
        for sealed in [stored.secret, former.secret] {
            assert!(!String::from_utf8_lossy(&sealed).contains("whsec_"));
        }
    }
}
