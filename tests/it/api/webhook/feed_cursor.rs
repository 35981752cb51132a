//! A webhook is a cursor over the event feed: where it starts, what it skips, and what it never skips.

use std::time::Duration;

use pocket_tasks::contract::event::EventType;
use pocket_tasks::repositories::Prunable;
use serde_json::json;

use crate::api::fixtures::stored_members::{add_member, remove_member};
use crate::api::fixtures::webhooks::{
    WEBHOOKS, app, deliveries, emit_event, emit_events, fan_out, new_event, options, subscribed_user, webhook,
};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Receiver, TestApp, TestDatabase};

fn sent(receiver: &Receiver) -> Vec<String> {
    receiver.messages().iter().map(|message| message.header("webhook-id").to_owned()).collect()
}

on_both_databases! {
    async fn a_new_webhook_starts_at_the_end_of_the_feed(database: TestDatabase) {
        let app = app(&database).await;
        let (user, receiver) = (app.user().await, Receiver::new("200 OK"));
        let project = user.project().await;
        // Events that no one has told webhooks of yet.
        emit_events(&app, 3, &project).await;
        webhook(&user, &receiver.url).await;
        let event = emit_event(&app, EventType::TaskCreated, &project).await.to_string();
        app.work().await;
        assert_eq!(sent(&receiver), [event]);
    }

    async fn an_event_that_commits_after_the_creation_of_a_webhook_is_delivered(database: TestDatabase) {
        let app = app(&database).await;
        let (user, receiver) = (app.user().await, Receiver::new("200 OK"));
        let project = user.project().await;
        let event = new_event(&app, EventType::TaskCreated, &project);
        if database.is_postgres() {
            let writing = app.store.begin().await.unwrap();
            app.services.events.publish(&*writing, std::slice::from_ref(&event)).await.unwrap();
            webhook(&user, &receiver.url).await;
            writing.commit().await.unwrap();
        } else {
            // SQLite has one writer, so that a transaction cannot begin before another and end after it.
            webhook(&user, &receiver.url).await;
            let writing = app.store.begin().await.unwrap();
            app.services.events.publish(&*writing, std::slice::from_ref(&event)).await.unwrap();
            writing.commit().await.unwrap();
        }
        app.work().await;
        assert_eq!(sent(&receiver), [event.id.to_string()]);
    }

    async fn a_disabled_webhook_accumulates_nothing(database: TestDatabase) {
        let app = app(&database).await;
        let (user, project, webhook, receiver) = subscribed_user(&app, "200 OK").await;
        let path = format!("{WEBHOOKS}/{webhook}");
        user.patch(&path, json!({"enabled": false})).await.ok();
        emit_events(&app, 5, &project).await;
        app.work().await;
        assert!(app.store.read().queue().list_unfinished().await.unwrap().is_empty());
        // Also events that no one has told webhooks of yet.
        emit_events(&app, 5, &project).await;
        user.patch(&path, json!({"enabled": true})).await.ok();
        app.work().await;
        assert_eq!((sent(&receiver).len(), deliveries(&user, &webhook).await.len()), (0, 0));
        let event = emit_event(&app, EventType::TaskCreated, &project).await.to_string();
        app.work().await;
        assert_eq!(sent(&receiver), [event]);
    }

    async fn a_webhook_behind_the_pruned_feed_continues_with_the_oldest_event(database: TestDatabase) {
        let app = app(&database).await;
        let (user, project, webhook, receiver) = subscribed_user(&app, "200 OK").await;
        emit_events(&app, 3, &project).await;
        fan_out(&app).await;
        app.clock.advance(Duration::from_secs(10));
        let (before, event) = (app.clock.now(), emit_event(&app, EventType::TaskCreated, &project).await.to_string());
        let transaction = app.store.begin().await.unwrap();
        assert!(transaction.maintenance().prune(Prunable::Events, before, 100).await.unwrap() >= 3);
        transaction.commit().await.unwrap();
        app.work().await;
        assert_eq!((sent(&receiver), deliveries(&user, &webhook).await.len()), (vec![event], 1));
    }

    async fn a_new_member_receives_no_events_from_before(database: TestDatabase) {
        let app = app(&database).await;
        let (owner, (user, own, webhook, receiver)) = (app.user().await, subscribed_user(&app, "200 OK").await);
        let project = owner.project().await;
        emit_events(&app, 5, &project).await;
        app.work().await;
        add_member(&app, &project, &user, "viewer").await;
        let mut expected = vec![emit_event(&app, EventType::TaskCreated, &project).await.to_string()];
        app.work().await;
        remove_member(&app, &project, &user).await;
        emit_event(&app, EventType::TaskUpdated, &project).await;
        app.work().await;
        expected.push(emit_event(&app, EventType::TaskUpdated, &own).await.to_string());
        app.work().await;
        assert_eq!(sent(&receiver), expected);
        assert_eq!(deliveries(&user, &webhook).await.len(), 2);
    }

    async fn a_failed_event_does_not_block_later_ones(database: TestDatabase) {
        let app = app(&database).await;
        let (user, project, webhook, receiver) = subscribed_user(&app, "500 Oh").await;
        let first = emit_event(&app, EventType::TaskCreated, &project).await.to_string();
        app.work().await;
        receiver.answers("200 OK");
        let second = emit_event(&app, EventType::TaskCreated, &project).await.to_string();
        app.work().await;
        assert_eq!(sent(&receiver), [first.clone(), second.clone()]);
        let statuses: Vec<_> = deliveries(&user, &webhook).await.iter().map(|one| one["status"].clone()).collect();
        assert_eq!(statuses, [json!("pending"), json!("delivered")]);
        app.clock.advance(Duration::from_secs(6));
        app.work().await;
        assert_eq!(sent(&receiver), [first.clone(), second, first]);
    }

    async fn a_changed_subscription_applies_to_what_was_not_sent(database: TestDatabase) {
        let app = app(&database).await;
        let (user, receiver) = (app.user().await, Receiver::new("200 OK"));
        let (project, other) = (user.project().await, user.project().await);
        let new = json!({"url": receiver.url, "events": ["task.created"], "project_id": project});
        let id = user.post(WEBHOOKS, new).await.created().id();
        emit_events(&app, 3, &other).await;
        app.work().await;
        user.patch(format!("{WEBHOOKS}/{id}"), json!({"events": ["*"], "project_id": null})).await.ok();
        let event = emit_event(&app, EventType::TaskDeleted, &other).await.to_string();
        app.work().await;
        assert_eq!(sent(&receiver), [event], "what was not subscribed is not sent later");
    }

    async fn processes_share_the_work_without_repeating_it(database: TestDatabase) {
        let one = app(&database).await;
        let (_user, project, _webhook, receiver) = subscribed_user(&one, "200 OK").await;
        let other = TestApp::over(database.another_store().await, options(), one.clock.clone());
        let mut expected = Vec::new();
        for app in [&one, &other, &one] {
            expected.push(emit_event(&one, EventType::TaskCreated, &project).await.to_string());
            app.work().await;
            fan_out(&one).await;
            fan_out(&other).await;
            assert!(one.store.read().queue().list_unfinished().await.unwrap().is_empty());
        }
        assert_eq!(sent(&receiver), expected);
    }
}
