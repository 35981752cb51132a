//! Deliveries of events, and their log.

use std::time::Duration;

use pocket_tasks::contract::EventId;
use pocket_tasks::contract::event::EventType;
use pocket_tasks::repositories::Prunable;
use pocket_tasks::webhooks::{SigningKey, signature};
use poem_openapi::types::ToJSON as _;
use serde_json::{Value, json};

use crate::api::fixtures::stored_members::add_member;
use crate::api::fixtures::webhooks::{
    WEBHOOKS, app, deliveries, emit_event, fan_out, new_event, stored_event, subscribed_user, webhook,
};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Receiver, TestDatabase};

on_both_databases! {
    async fn an_event_is_delivered_signed_and_as_in_the_feed(database: TestDatabase) {
        let app = app(&database).await;
        let (user, receiver) = (app.user().await, Receiver::new("200 OK"));
        let project = user.project().await;
        let created = webhook(&user, &receiver.url).await;
        let event = emit_event(&app, EventType::TaskCreated, &project).await;
        assert_eq!(deliveries(&user, &created.id()).await.len(), 0, "what was not attempted waits in the feed");
        app.work().await;

        let [message] = <[_; 1]>::try_from(receiver.messages()).unwrap();
        let stored = stored_event(&app, event).await.unwrap();
        assert_eq!(message.text, stored.to_json_string());
        assert_eq!(message.header("content-type"), "application/json");
        assert_eq!(message.header("webhook-id"), event.to_string());
        let timestamp: i64 = message.header("webhook-timestamp").parse().unwrap();
        assert!((app.clock.now().as_secs() - timestamp).abs() < 30, "{timestamp}");
        let secret = SigningKey::parse(created["secret"].as_str().unwrap()).unwrap();
        let signed = signature([&secret], &event.to_string(), timestamp, &message.text);
        assert_eq!(message.header("webhook-signature"), signed);

        let [delivery] = <[Value; 1]>::try_from(deliveries(&user, &created.id()).await).unwrap();
        assert_eq!(delivery["status"], "delivered");
        assert_eq!((&delivery["event_id"], &delivery["event_type"]), (&json!(event.to_string()), &json!("task.created")));
        assert_eq!((&delivery["webhook_id"], &delivery["next_attempt_at"]), (&created["id"], &Value::Null));
        let [attempt] = <[Value; 1]>::try_from(delivery["attempts"].as_array().unwrap().clone()).unwrap();
        assert_eq!((&attempt["status_code"], &attempt["error"]), (&json!(200), &Value::Null));
        assert_eq!(attempt["response_excerpt"], "thank you");
        assert!(attempt["duration_ms"].as_i64().unwrap() < 10_000);
        app.clock.advance(Duration::from_hours(48));
        app.work().await;
        assert_eq!(receiver.messages().len(), 1, "a delivered event is not sent again");
    }

    async fn events_are_delivered_to_subscribed_webhooks_whose_owners_may_see_them(database: TestDatabase) {
        let app = app(&database).await;
        let (owner, viewer, former) = (app.user().await, app.user().await, app.user().await);
        let (project, other) = (owner.project().await, owner.project().await);
        for user in [&viewer, &former] {
            add_member(&app, &project, user, "viewer").await;
        }
        let receiver = Receiver::new("200 OK");
        let new = |number: usize, change: Value| {
            let mut new = json!({"url": format!("{}?{number}", receiver.url), "events": ["*"]});
            new.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            new
        };
        let mut webhooks = Vec::new();
        for (name, user, change) in [
            ("everything", &owner, json!({})),
            ("the project", &owner, json!({"project_id": project})),
            ("another project", &owner, json!({"project_id": other})),
            ("some types", &owner, json!({"events": ["invitation.created", "task.created"]})),
            ("other types", &owner, json!({"events": ["task.deleted", "webhook.test"]})),
            ("switched off", &owner, json!({"enabled": false})),
            ("a viewer", &viewer, json!({})),
            ("a former member", &former, json!({"project_id": project})),
            ("a stranger", &app.user().await, json!({})),
        ] {
            let new = new(webhooks.len(), change);
            webhooks.push((name, user.clone(), user.post(WEBHOOKS, new).await.created().id()));
        }
        former.delete(format!("/v1/projects/{project}/members/{}", former.user_id())).await.no_content();
        app.work().await;
        // Ignores the messages about the member a former member.
        let before = receiver.messages().len();
        for (kind, subscribed) in [
            (EventType::TaskCreated, vec!["everything", "the project", "some types", "a viewer"]),
            (EventType::InvitationCreated, vec!["everything", "the project", "some types"]),
            (EventType::CommentCreated, vec!["everything", "the project", "a viewer"]),
        ] {
            let event = json!(emit_event(&app, kind, &project).await.to_string());
            app.work().await;
            let mut found = Vec::new();
            for (name, user, webhook) in &webhooks {
                let deliveries = deliveries(user, webhook).await;
                let of_event: Vec<_> = deliveries.iter().filter(|one| one["event_id"] == event).collect();
                assert!(of_event.iter().all(|one| one["status"] == "delivered"), "{of_event:?}");
                found.extend(of_event.iter().map(|_| *name));
            }
            assert_eq!(found, subscribed, "{kind:?}");
        }
        assert_eq!(receiver.messages().len() - before, 4 + 3 + 3);
    }

    async fn a_transaction_with_many_events_creates_one_job_and_each_attempt_a_delivery(database: TestDatabase) {
        let app = app(&database).await;
        let (user, project, webhook, receiver) = subscribed_user(&app, "200 OK").await;
        let events: Vec<_> = (0..100).map(|_| new_event(&app, EventType::TaskCreated, &project)).collect();
        let transaction = app.store.begin().await.unwrap();
        app.services.events.publish(&*transaction, &events).await.unwrap();
        transaction.commit().await.unwrap();
        fan_out(&app).await;
        assert_eq!(deliveries(&user, &webhook).await.len(), 0);
        let jobs = app.store.read().queue().list_unfinished().await.unwrap();
        assert_eq!(jobs.iter().filter(|job| job.kind == "deliver_webhook").count(), 1);
        app.work().await;
        let mut sent: Vec<_> = receiver.messages().iter().map(|one| one.header("webhook-id").to_owned()).collect();
        sent.sort();
        let mut all: Vec<_> = events.iter().map(|event| event.id.to_string()).collect();
        all.sort();
        assert_eq!(sent, all);
        assert!(deliveries(&user, &webhook).await.iter().all(|one| one["status"] == "delivered"));
        assert!(app.store.read().queue().list_unfinished().await.unwrap().is_empty());
    }

    async fn an_event_the_owner_may_no_longer_see_is_not_delivered(database: TestDatabase) {
        let app = app(&database).await;
        for change in ["leaves", "is in the trash", "is no owner any more", "has no such event any more"] {
            let (owner, user, receiver) = (app.user().await, app.user().await, Receiver::new("503 Busy"));
            let (project, kind) = match change {
                "is no owner any more" => (user.project().await, EventType::InvitationCreated),
                _ => (owner.project().await, EventType::TaskCreated),
            };
            if kind == EventType::TaskCreated {
                add_member(&app, &project, &user, "viewer").await;
            } else {
                add_member(&app, &project, &owner, "editor").await;
            }
            let webhook = webhook(&user, &receiver.url).await.id();
            emit_event(&app, kind, &project).await;
            app.work().await;
            assert_eq!(receiver.messages().len(), 1, "{change}");
            match change {
                "leaves" => {
                    user.delete(format!("/v1/projects/{project}/members/{}", user.user_id())).await.no_content();
                }
                "is in the trash" => user.delete("/v1/me").await.no_content(),
                "is no owner any more" => {
                    let member = format!("/v1/projects/{project}/members/{}", owner.user_id());
                    user.patch(member, json!({"role": "owner"})).await.ok();
                }
                _ => {
                    let transaction = app.store.begin().await.unwrap();
                    let now = app.clock.now() + Duration::from_secs(1);
                    assert!(transaction.maintenance().prune(Prunable::Events, now, 100).await.unwrap() > 0);
                    transaction.commit().await.unwrap();
                }
            }
            app.clock.advance(Duration::from_secs(10));
            app.work().await;
            let known = receiver.messages().iter().filter(|one| one.body()["type"] == kind.as_str()).count();
            assert_eq!(known, 1, "who {change}");
            if change == "is in the trash" {
                continue;
            }
            let deliveries = deliveries(&user, &webhook).await;
            let delivery = deliveries.iter().find(|one| one["event_type"] == kind.as_str()).unwrap();
            assert_eq!((&delivery["status"], &delivery["next_attempt_at"]), (&json!("failed"), &Value::Null), "{change}");
            assert_eq!(delivery["attempts"].as_array().unwrap().len(), 1, "{change}");
        }
    }

    async fn a_test_is_sent_immediately_and_is_not_in_the_feed(database: TestDatabase) {
        let app = app(&database).await;
        let (user, _, webhook, receiver) = subscribed_user(&app, "200 OK").await;
        let path = format!("{WEBHOOKS}/{webhook}");
        user.patch(&path, json!({"events": ["task.created"], "enabled": false})).await.ok();
        let delivery = user.post_empty(format!("{path}/test")).await.expect(202);
        assert_eq!((&delivery["event_type"], &delivery["status"]), (&json!("webhook.test"), &json!("pending")));
        app.work().await;
        let [message] = <[_; 1]>::try_from(receiver.messages()).unwrap();
        let body = message.body();
        assert_eq!((&body["type"], &body["id"]), (&json!("webhook.test"), &delivery["event_id"]));
        assert_eq!(body["data"], user.get(&path).await.ok());
        assert_eq!((&body["sequence"], &body["previous"]), (&Value::Null, &Value::Null));
        assert_eq!(message.header("webhook-id"), delivery["event_id"]);
        assert_eq!(deliveries(&user, &webhook).await[0]["status"], "delivered");
        assert_eq!(stored_event(&app, EventId::parse(message.header("webhook-id")).unwrap()).await, None);
    }

    async fn a_redelivery_has_the_same_event_id(database: TestDatabase) {
        let app = app(&database).await;
        let (user, project, webhook, receiver) = subscribed_user(&app, "200 OK").await;
        let event = emit_event(&app, EventType::TaskCreated, &project).await.to_string();
        user.post_empty(format!("{WEBHOOKS}/{webhook}/test")).await.expect(202);
        app.work().await;
        for old in deliveries(&user, &webhook).await {
            let again = format!("{WEBHOOKS}/{webhook}/deliveries/{}/redeliver", old.id());
            let new = user.post_empty(again).await.expect(202);
            assert_ne!(new["id"], old["id"]);
            assert_eq!((&new["event_id"], &new["event_type"]), (&old["event_id"], &old["event_type"]));
            assert_eq!((&new["status"], &new["attempts"]), (&json!("pending"), &json!([])));
        }
        app.work().await;
        let messages = receiver.messages();
        assert_eq!(messages.len(), 4);
        for one in &messages {
            let same: Vec<_> = messages.iter().filter(|other| other.header("webhook-id") == one.header("webhook-id")).collect();
            assert!(same.len() == 2 && same[0].text == same[1].text);
        }
        assert!(messages.iter().any(|message| message.header("webhook-id") == event));
        assert!(deliveries(&user, &webhook).await.iter().all(|one| one["status"] == "delivered"));
    }

    async fn a_disabled_webhook_cancels_deliveries_and_starts_over_when_enabled(database: TestDatabase) {
        let app = app(&database).await;
        let (user, project, webhook, receiver) = subscribed_user(&app, "500 Oh").await;
        emit_event(&app, EventType::TaskCreated, &project).await;
        app.work().await;
        let path = format!("{WEBHOOKS}/{webhook}");
        user.patch(&path, json!({"enabled": false})).await.ok();
        assert_eq!(deliveries(&user, &webhook).await[0]["status"], "failed");
        emit_event(&app, EventType::TaskUpdated, &project).await;
        let old = deliveries(&user, &webhook).await;
        assert_eq!(old.len(), 1);
        let again = user.post_empty(format!("{path}/deliveries/{}/redeliver", old[0].id())).await.expect(202);
        app.clock.advance(Duration::from_hours(1));
        app.work().await;
        assert_eq!(receiver.messages().len(), 1);
        let of_again = deliveries(&user, &webhook).await.into_iter().find(|one| one["id"] == again["id"]).unwrap();
        assert_eq!((&of_again["status"], &of_again["attempts"]), (&json!("failed"), &json!([])));
        user.patch(&path, json!({"enabled": true})).await.ok();
        receiver.answers("200 OK");
        let event = emit_event(&app, EventType::TaskDeleted, &project).await.to_string();
        app.work().await;
        let messages = receiver.messages();
        assert_eq!((messages.len(), messages[1].header("webhook-id")), (2, event.as_str()));
    }

    async fn a_deleted_webhook_receives_nothing(database: TestDatabase) {
        let app = app(&database).await;
        let (user, project, webhook, receiver) = subscribed_user(&app, "500 Oh").await;
        emit_event(&app, EventType::TaskCreated, &project).await;
        app.work().await;
        user.delete(format!("{WEBHOOKS}/{webhook}")).await.no_content();
        emit_event(&app, EventType::TaskCreated, &project).await;
        app.clock.advance(Duration::from_hours(1));
        app.work().await;
        assert_eq!(receiver.messages().len(), 1);
        assert!(app.store.read().queue().list_unfinished().await.unwrap().is_empty());
    }
}
