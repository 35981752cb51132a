//! Changes of webhooks during deliveries.

use std::sync::Arc;
use std::time::Duration;

use pocket_tasks::contract::WebhookId;
use pocket_tasks::contract::event::EventType;
use pocket_tasks::repositories::Queue;
use pocket_tasks::webhooks::{SigningKey, signature};
use serde_json::{Value, json};

use crate::api::fixtures::stored_members::{add_member, remove_member};
use crate::api::fixtures::webhooks::{
    RunningWorker, WEBHOOKS, app, count_deliveries, deliveries, emit_event, emit_events, fan_out, subscribed_user,
    user_with_api_token, wait_until, webhook,
};
use crate::on_both_databases;
use crate::repositories::fixtures::{commit_beside, soon, waits};
use crate::support::client::Ids as _;
use crate::support::{Receiver, TestDatabase};

const TIMEOUT: Duration = Duration::from_secs(20);

/// Maximum number of concurrent requests.
const MAX_CONCURRENT: usize = 4;

on_both_databases! {
    async fn a_response_of_the_previous_url_does_not_count_against_the_new_one(database: TestDatabase) {
        let app = Arc::new(app(&database).await);
        for answer in ["410 Gone", "500 Oh"] {
            let (user, project, webhook, receiver) = subscribed_user(&app, "200 OK").await;
            let (path, next) = (format!("{WEBHOOKS}/{webhook}"), Receiver::new("200 OK"));
            let door = receiver.holds(answer);
            for _ in 0..2 {
                emit_event(&app, EventType::TaskCreated, &project).await;
            }
            let working = tokio::spawn({
                let app = Arc::clone(&app);
                async move { app.work().await }
            });
            wait_until("both are sent", TIMEOUT, async || receiver.messages().len() == 2).await;
            user.patch(&path, json!({"url": next.url})).await.ok();
            door.add_permits(2);
            working.await.unwrap();
            let after = user.get(&path).await.ok();
            assert_eq!((&after["enabled"], &after["disabled_reason"]), (&json!(true), &Value::Null), "{answer}");
            let id = WebhookId::parse(&webhook).unwrap();
            let health = app.store.read().webhooks().find(id).await.unwrap().unwrap().health;
            assert_eq!((health.failing_since, health.is_degraded), (None, false), "{answer}");
            let all = deliveries(&user, &webhook).await;
            assert!(all.iter().all(|one| one["status"] == "pending" && one["attempts"].as_array().unwrap().len() == 1));
            app.clock.advance(Duration::from_secs(6));
            app.work().await;
            assert_eq!((next.messages().len(), count_deliveries(&user, &webhook, "delivered").await), (2, 2), "{answer}");
            user.delete(&path).await.no_content();
            app.work().await;
        }
    }

    async fn a_410_response_stops_further_deliveries_of_the_same_run(database: TestDatabase) {
        let app = app(&database).await;
        let (user, project, webhook, receiver) = subscribed_user(&app, "410 Gone").await;
        emit_events(&app, 40, &project).await;
        app.work().await;
        // Requests in flight at the time of the response were already sent.
        assert!((1..=MAX_CONCURRENT).contains(&receiver.messages().len()), "{}", receiver.messages().len());
        assert_eq!(user.get(format!("{WEBHOOKS}/{webhook}")).await.ok()["enabled"], false);
        // Only those that had started are recorded.
        assert!(count_deliveries(&user, &webhook, "failed").await <= MAX_CONCURRENT as u64);
    }

    async fn changes_during_a_run_apply_to_its_next_message(database: TestDatabase) {
        let app = app(&database).await;
        let owner = app.user().await;
        for change in ["leave", "delete the account", "disable", "delete", "change the URL", "rotate the secret"] {
            let (user, receiver, next) = (user_with_api_token(&app).await, Receiver::new("200 OK"), Receiver::new("200 OK"));
            let project = owner.project().await;
            add_member(&app, &project, &user, "viewer").await;
            let id = webhook(&user, &receiver.url).await.id();
            let path = format!("{WEBHOOKS}/{id}");
            app.work().await;
            let door = receiver.holds("200 OK");
            emit_events(&app, 30, &project).await;
            let working = RunningWorker::start(&app);
            wait_until("some are sent", TIMEOUT, async || receiver.messages().len() == MAX_CONCURRENT).await;
            let mut secret = None;
            match change {
                "leave" => remove_member(&app, &project, &user).await,
                "delete the account" => {
                    let body = json!({"email": user.email(), "password": "correct horse"});
                    let session = app.anonymous().post("/v1/auth/login", body).await.ok();
                    app.with_token(session["access_token"].as_str().unwrap()).delete("/v1/me").await.no_content();
                }
                "disable" => drop(user.patch(&path, json!({"enabled": false})).await.ok()),
                "delete" => user.delete(&path).await.no_content(),
                "change the URL" => drop(user.patch(&path, json!({"url": next.url})).await.ok()),
                _ => {
                    let rotated = user.post(format!("{path}/rotate-secret"), json!({"overlap_seconds": 0})).await.ok();
                    secret = SigningKey::parse(rotated["secret"].as_str().unwrap());
                }
            }
            door.add_permits(1_000);
            wait_until("the jobs are done", TIMEOUT, async || {
                let jobs = app.store.read().queue().list_unfinished().await.unwrap();
                jobs.iter().all(|job| job.kind != "deliver_webhook")
            })
            .await;
            drop(working);
            let sent = receiver.messages();
            let expected = if change == "rotate the secret" { 30 } else { MAX_CONCURRENT };
            assert_eq!((sent.len(), next.messages().len()), (expected, if change == "change the URL" { 26 } else { 0 }), "{change}");
            if let Some(secret) = secret {
                for message in &sent[MAX_CONCURRENT..] {
                    let timestamp = message.header("webhook-timestamp").parse().unwrap();
                    let signed = signature([&secret], message.header("webhook-id"), timestamp, &message.text);
                    assert_eq!(message.header("webhook-signature"), signed);
                }
            }
            if ["leave", "disable"].contains(&change) {
                assert_eq!(deliveries(&user, &id).await.len(), MAX_CONCURRENT, "{change}: only attempts are recorded");
                assert_eq!(count_deliveries(&user, &id, "delivered").await, MAX_CONCURRENT as u64, "{change}");
            }
        }
    }

    async fn one_failure_among_successes_after_five_days_keeps_the_webhook_enabled(database: TestDatabase) {
        let app = app(&database).await;
        let (user, project, webhook, receiver) = subscribed_user(&app, "500 Oh").await;
        emit_event(&app, EventType::TaskCreated, &project).await;
        app.work().await;
        app.clock.advance(Duration::from_hours(6 * 24));
        // The first two deliveries fail, one of them at the very end.
        let door = receiver.holds("503 Busy");
        emit_events(&app, 9, &project).await;
        let working = RunningWorker::start(&app);
        wait_until("the first are sent", TIMEOUT, async || receiver.messages().len() == 3).await;
        receiver.answers("200 OK");
        door.add_permits(1);
        wait_until("all are sent", TIMEOUT, async || receiver.messages().len() == 11).await;
        door.add_permits(1);
        wait_until("the successful deliveries are recorded", TIMEOUT, async || count_deliveries(&user, &webhook, "delivered").await == 8).await;
        // One of the two has failed a second time.
        app.clock.advance(Duration::from_secs(400));
        wait_until("all have arrived", TIMEOUT, async || count_deliveries(&user, &webhook, "delivered").await == 10).await;
        drop(working);
        assert_eq!(user.get(format!("{WEBHOOKS}/{webhook}")).await.ok()["enabled"], true);
    }

    async fn a_delivery_does_not_wait_for_a_request_that_waits_for_it(database: TestDatabase) {
        let app = app(&database).await;
        for change in ["disable", "delete"] {
            let (user, project, webhook, _receiver) = subscribed_user(&app, "200 OK").await;
            emit_event(&app, EventType::TaskCreated, &project).await;
            fan_out(&app).await;
            let (now, id) = (app.clock.now(), WebhookId::parse(&webhook).unwrap());
            let leasing = app.store.begin().await.unwrap();
            let until = now + Duration::from_mins(1);
            let [leased] = <[_; 1]>::try_from(leasing.queue().claim(&[Queue::Webhooks], 1, now, until).await.unwrap()).unwrap();
            leasing.commit().await.unwrap();
            let ending = app.store.begin().await.unwrap();
            assert!(ending.webhooks().lock(id).await.unwrap().is_some());
            let path = format!("{WEBHOOKS}/{webhook}");
            let mut changing = Box::pin(async {
                if change == "delete" {
                    user.delete(&path).await.no_content();
                } else {
                    user.patch(&path, json!({"enabled": false})).await.ok();
                }
            });
            waits(&mut changing).await;
            let requeued = soon(ending.queue().requeue(leased.lease, Queue::Webhooks, now)).await;
            assert!(requeued.unwrap(), "{change}: the job is locked by the delivery");
            commit_beside(ending, changing).await;
            app.work().await;
            assert!(app.store.read().queue().list_unfinished().await.unwrap().is_empty(), "{change}");
        }
    }

    async fn toggling_a_webhook_during_deliveries_loses_no_later_event(database: TestDatabase) {
        let app = Arc::new(app(&database).await);
        let (user, project, webhook, receiver) = subscribed_user(&app, "200 OK").await;
        let path = format!("{WEBHOOKS}/{webhook}");
        let working = RunningWorker::start(&app);
        let mut writers = Vec::new();
        for _ in 0..3 {
            let (app, project) = (Arc::clone(&app), project.clone());
            writers.push(tokio::spawn(async move {
                for _ in 0..15 {
                    emit_event(&app, EventType::TaskCreated, &project).await;
                }
            }));
        }
        for _ in 0..15 {
            user.patch(&path, json!({"enabled": false})).await.ok();
            user.patch(&path, json!({"enabled": true})).await.ok();
            user.post(format!("{path}/rotate-secret"), json!({"overlap_seconds": 60})).await.ok();
        }
        for writer in writers {
            writer.await.unwrap();
        }
        let before = receiver.messages().len();
        let event = emit_event(&app, EventType::TaskDeleted, &project).await.to_string();
        wait_until("the last arrives", TIMEOUT, async || {
            receiver.messages().iter().skip(before).any(|message| message.header("webhook-id") == event)
        })
        .await;
        user.delete(&path).await.no_content();
        wait_until("the jobs are done", TIMEOUT, async || {
            let jobs = app.store.read().queue().list_unfinished().await.unwrap();
            assert!(jobs.iter().all(|job| job.last_error.is_none()), "{jobs:?}");
            jobs.is_empty()
        })
        .await;
        drop(working);
    }
}
