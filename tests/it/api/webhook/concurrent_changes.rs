//! What is changed while it is sent: the next message knows, and no answer is held against who did not give it.

use std::sync::Arc;
use std::time::Duration;

use pocket_tasks::contract::WebhookId;
use pocket_tasks::contract::event::EventType;
use pocket_tasks::repositories::Lane;
use pocket_tasks::webhooks::{Secret, signature};
use serde_json::{Value, json};

use crate::api::fixtures::stored_members::{add_member, remove_member};
use crate::api::fixtures::webhooks::{
    WEBHOOKS, Working, app, count, deliveries, happens, lasting_user, much_happens, scene, until, webhook,
};
use crate::on_both_databases;
use crate::repositories::fixtures::{soon, waits};
use crate::support::client::Ids as _;
use crate::support::{Receiver, TestDatabase};

const PATIENCE: Duration = Duration::from_secs(20);

/// As many requests there are at once.
const AT_ONCE: usize = 8;

on_both_databases! {
    async fn what_a_receiver_says_is_not_held_against_the_next_one(database: TestDatabase) {
        let app = Arc::new(app(&database).await);
        for answer in ["410 Gone", "500 Oh"] {
            let (user, project, webhook, receiver) = scene(&app, "200 OK").await;
            let (path, next) = (format!("{WEBHOOKS}/{webhook}"), Receiver::new("200 OK").await);
            let door = receiver.holds(answer);
            for _ in 0..2 {
                happens(&app, EventType::TaskCreated, &project).await;
            }
            let working = tokio::spawn({
                let app = Arc::clone(&app);
                async move { app.work().await }
            });
            until("both are sent", PATIENCE, async || receiver.messages().len() == 2).await;
            user.patch(&path, json!({"url": next.url})).await.ok();
            door.add_permits(2);
            working.await.unwrap();
            let after = user.get(&path).await.ok();
            assert_eq!((&after["enabled"], &after["disabled_reason"]), (&json!(true), &Value::Null), "{answer}");
            let id = WebhookId::parse(&webhook).unwrap();
            let health = app.store.read().webhooks().find(id).await.unwrap().unwrap().health;
            assert_eq!((health.failing_since, health.is_ailing), (None, false), "{answer}");
            let all = deliveries(&user, &webhook).await;
            assert!(all.iter().all(|one| one["status"] == "pending" && one["attempts"].as_array().unwrap().len() == 1));
            app.clock.advance(Duration::from_secs(6));
            app.work().await;
            assert_eq!((next.messages().len(), count(&user, &webhook, "delivered").await), (2, 2), "{answer}");
            user.delete(&path).await.no_content();
            app.work().await;
        }
    }

    async fn whoever_wants_nothing_more_gets_nothing_more_of_the_same_run(database: TestDatabase) {
        let app = app(&database).await;
        let (user, project, webhook, receiver) = scene(&app, "410 Gone").await;
        much_happens(&app, 40, &project).await;
        app.work().await;
        // What was under way when it said so had gone out already.
        assert!((1..=AT_ONCE).contains(&receiver.messages().len()), "{}", receiver.messages().len());
        assert_eq!(user.get(format!("{WEBHOOKS}/{webhook}")).await.ok()["enabled"], false);
        assert_eq!(count(&user, &webhook, "failed").await, 40);
    }

    async fn what_changes_during_a_run_counts_for_its_next_message(database: TestDatabase) {
        let app = app(&database).await;
        let owner = app.user().await;
        for change in ["leaves", "is in the trash", "switches it off", "removes it", "points it elsewhere", "replaces the secret"] {
            let (user, receiver, next) = (lasting_user(&app).await, Receiver::new("200 OK").await, Receiver::new("200 OK").await);
            let project = owner.project().await;
            add_member(&app, &project, &user, "viewer").await;
            let id = webhook(&user, &receiver.url).await.id();
            let path = format!("{WEBHOOKS}/{id}");
            app.work().await;
            let door = receiver.holds("200 OK");
            much_happens(&app, 30, &project).await;
            let working = Working::start(&app);
            until("some are sent", PATIENCE, async || receiver.messages().len() == AT_ONCE).await;
            let mut secret = None;
            match change {
                "leaves" => remove_member(&app, &project, &user).await,
                "is in the trash" => {
                    let body = json!({"email": user.email(), "password": "correct horse"});
                    let session = app.anonymous().post("/v1/auth/login", body).await.ok();
                    app.with_token(session["access_token"].as_str().unwrap()).delete("/v1/me").await.no_content();
                }
                "switches it off" => drop(user.patch(&path, json!({"enabled": false})).await.ok()),
                "removes it" => user.delete(&path).await.no_content(),
                "points it elsewhere" => drop(user.patch(&path, json!({"url": next.url})).await.ok()),
                _ => {
                    let rotated = user.post(format!("{path}/rotate-secret"), json!({"overlap_seconds": 0})).await.ok();
                    secret = Secret::parse(rotated["secret"].as_str().unwrap());
                }
            }
            door.add_permits(1_000);
            until("the jobs are done", PATIENCE, async || {
                let jobs = app.store.read().queue().list_unfinished().await.unwrap();
                jobs.iter().all(|job| job.kind != "deliver_webhook")
            })
            .await;
            drop(working);
            let sent = receiver.messages();
            let expected = if change == "replaces the secret" { 30 } else { AT_ONCE };
            assert_eq!((sent.len(), next.messages().len()), (expected, if change == "points it elsewhere" { 22 } else { 0 }), "who {change}");
            if let Some(secret) = secret {
                for message in &sent[AT_ONCE..] {
                    let timestamp = message.header("webhook-timestamp").parse().unwrap();
                    let signed = signature([&secret], message.header("webhook-id"), timestamp, &message.text);
                    assert_eq!(message.header("webhook-signature"), signed);
                }
            }
            if ["leaves", "switches it off"].contains(&change) {
                assert_eq!(count(&user, &id, "failed").await, 22, "who {change}");
                assert_eq!(count(&user, &id, "delivered").await, 8, "who {change}");
            }
        }
    }

    async fn one_failure_among_successes_after_five_days_disables_nothing(database: TestDatabase) {
        let app = app(&database).await;
        let (user, project, webhook, receiver) = scene(&app, "500 Oh").await;
        happens(&app, EventType::TaskCreated, &project).await;
        app.work().await;
        app.clock.advance(Duration::from_hours(6 * 24));
        // The first two are answered badly, one of them at the very end.
        let door = receiver.holds("503 Busy");
        much_happens(&app, 9, &project).await;
        let working = Working::start(&app);
        until("the first are sent", PATIENCE, async || receiver.messages().len() == 3).await;
        receiver.answers("200 OK");
        door.add_permits(1);
        until("all are sent", PATIENCE, async || receiver.messages().len() == 11).await;
        door.add_permits(1);
        until("the good answers are noted", PATIENCE, async || count(&user, &webhook, "delivered").await == 8).await;
        // One of the two has failed for the second time.
        app.clock.advance(Duration::from_secs(400));
        until("all have arrived", PATIENCE, async || count(&user, &webhook, "delivered").await == 10).await;
        drop(working);
        assert_eq!(user.get(format!("{WEBHOOKS}/{webhook}")).await.ok()["enabled"], true);
    }

    async fn who_delivers_does_not_wait_for_who_waits_for_it(database: TestDatabase) {
        let app = app(&database).await;
        for change in ["switches it off", "removes it"] {
            let (user, project, webhook, _receiver) = scene(&app, "200 OK").await;
            happens(&app, EventType::TaskCreated, &project).await;
            let (now, id) = (app.clock.now(), WebhookId::parse(&webhook).unwrap());
            let leasing = app.store.begin().await.unwrap();
            let until = now + Duration::from_mins(1);
            let [leased] = <[_; 1]>::try_from(leasing.queue().lease(&[Lane::Webhooks], 1, now, until).await.unwrap()).unwrap();
            leasing.commit().await.unwrap();
            let ending = app.store.begin().await.unwrap();
            assert!(ending.queue().hold(leased.lease).await.unwrap());
            let path = format!("{WEBHOOKS}/{webhook}");
            let mut changing = Box::pin(async {
                if change == "removes it" {
                    user.delete(&path).await.no_content();
                } else {
                    user.patch(&path, json!({"enabled": false})).await.ok();
                }
            });
            waits(&mut changing).await;
            assert!(soon(ending.webhooks().lock(id)).await.unwrap().is_some(), "who {change} has it");
            assert!(ending.queue().go_on(leased.lease, Lane::Webhooks, now).await.unwrap());
            ending.commit().await.unwrap();
            soon(changing).await;
            app.work().await;
            assert!(app.store.read().queue().list_unfinished().await.unwrap().is_empty(), "who {change}");
        }
    }

    async fn switching_it_off_and_on_while_it_delivers_hinders_nobody(database: TestDatabase) {
        let app = Arc::new(app(&database).await);
        let (user, project, webhook, receiver) = scene(&app, "200 OK").await;
        let path = format!("{WEBHOOKS}/{webhook}");
        let working = Working::start(&app);
        let mut writers = Vec::new();
        for _ in 0..3 {
            let (app, project) = (Arc::clone(&app), project.clone());
            writers.push(tokio::spawn(async move {
                for _ in 0..15 {
                    happens(&app, EventType::TaskCreated, &project).await;
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
        let event = happens(&app, EventType::TaskDeleted, &project).await.to_string();
        until("the last arrives", PATIENCE, async || {
            receiver.messages().iter().skip(before).any(|message| message.header("webhook-id") == event)
        })
        .await;
        user.delete(&path).await.no_content();
        until("the jobs are done", PATIENCE, async || {
            let jobs = app.store.read().queue().list_unfinished().await.unwrap();
            assert!(jobs.iter().all(|job| job.last_error.is_none()), "{jobs:?}");
            jobs.is_empty()
        })
        .await;
        drop(working);
    }
}
