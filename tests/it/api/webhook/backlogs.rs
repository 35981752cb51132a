//! Webhooks with a large backlog of deliveries: all work is done in batches.

use std::time::Duration;

use pocket_tasks::contract::event::EventType;
use serde_json::json;

use crate::api::fixtures::account::Tables;
use crate::api::fixtures::webhooks::{WEBHOOKS, add_backlog, app, count_deliveries, emit_event, subscribed_user};
use crate::api::maintenance::purge::{PURGED_AFTER, purge};
use crate::on_both_databases;
use crate::support::TestDatabase;

const BACKLOG: usize = 2_500;

/// Maximum number of deliveries per transaction.
const BATCH_SIZE: u64 = 1_000;

async fn stored_rows(database: &TestDatabase, table: &str) -> usize {
    Tables::read(database).await.column(&format!("{table}.id")).len()
}

on_both_databases! {
    async fn disabling_a_webhook_cancels_its_backlog_in_batches(database: TestDatabase) {
        let app = app(&database).await;
        let (user, project, webhook, receiver) = subscribed_user(&app, "200 OK").await;
        let path = format!("{WEBHOOKS}/{webhook}");
        add_backlog(&app, &webhook, BACKLOG).await;
        user.patch(&path, json!({"enabled": false})).await.ok();
        assert_eq!(count_deliveries(&user, &webhook, "failed").await, BATCH_SIZE);
        // Cancelled deliveries stay cancelled when the webhook is enabled again; new events are delivered.
        user.patch(&path, json!({"enabled": true})).await.ok();
        let event = emit_event(&app, EventType::TaskCreated, &project).await.to_string();
        app.work().await;
        assert_eq!((count_deliveries(&user, &webhook, "failed").await, count_deliveries(&user, &webhook, "pending").await), (2_500, 0));
        let sent: Vec<_> = receiver.messages().iter().map(|one| one.header("webhook-id").to_owned()).collect();
        assert_eq!(sent, [event]);
        app.clock.advance(Duration::from_hours(25));
        app.work().await;
        assert_eq!(receiver.messages().len(), 1);
        assert!(app.store.read().queue().list_unfinished().await.unwrap().is_empty());
        user.patch(&path, json!({"enabled": false})).await.ok();
        app.work().await;
        assert!(app.store.read().queue().list_unfinished().await.unwrap().is_empty());
    }

    async fn due_deliveries_of_a_cancelled_backlog_are_not_sent(database: TestDatabase) {
        let app = app(&database).await;
        let (user, _, webhook, receiver) = subscribed_user(&app, "200 OK").await;
        let path = format!("{WEBHOOKS}/{webhook}");
        add_backlog(&app, &webhook, BACKLOG).await;
        user.patch(&path, json!({"enabled": false})).await.ok();
        user.patch(&path, json!({"enabled": true})).await.ok();
        app.clock.advance(Duration::from_hours(25));
        app.work().await;
        assert_eq!((receiver.messages().len(), count_deliveries(&user, &webhook, "failed").await), (0, 2_500));
    }

    async fn a_410_response_cancels_the_backlog_in_batches(database: TestDatabase) {
        let app = app(&database).await;
        let (user, project, webhook, receiver) = subscribed_user(&app, "410 Gone").await;
        add_backlog(&app, &webhook, BACKLOG).await;
        emit_event(&app, EventType::TaskCreated, &project).await;
        app.work().await;
        assert_eq!(user.get(format!("{WEBHOOKS}/{webhook}")).await.ok()["enabled"], false);
        assert_eq!((receiver.messages().len(), count_deliveries(&user, &webhook, "failed").await), (1, 2_501));
        assert!(app.store.read().queue().list_unfinished().await.unwrap().iter().all(|job| job.kind != "deliver_webhook"));
        assert!(app.mails_to(user.email()).iter().any(|mail| mail.subject == "A webhook was disabled"));
    }

    async fn a_deleted_webhook_disappears_immediately_and_its_deliveries_in_batches(database: TestDatabase) {
        let app = app(&database).await;
        let (user, project, webhook, receiver) = subscribed_user(&app, "200 OK").await;
        let path = format!("{WEBHOOKS}/{webhook}");
        add_backlog(&app, &webhook, BACKLOG).await;
        user.delete(&path).await.no_content();
        for gone in [path.clone(), format!("{path}/deliveries")] {
            user.get(gone).await.fails(404, "NOT_FOUND");
        }
        user.delete(&path).await.fails(404, "NOT_FOUND");
        user.patch(&path, json!({"enabled": true})).await.fails(404, "NOT_FOUND");
        user.post_empty(format!("{path}/test")).await.fails(404, "NOT_FOUND");
        assert_eq!(user.get(WEBHOOKS).await.ok()["meta"]["total"], 0);
        emit_event(&app, EventType::TaskCreated, &project).await;
        assert_eq!(stored_rows(&database, "deliveries").await, BACKLOG, "the request removes no delivery");
        app.work().await;
        assert_eq!((stored_rows(&database, "deliveries").await, stored_rows(&database, "webhooks").await), (0, 0));
        assert!(receiver.messages().is_empty());
        assert!(app.store.read().queue().list_unfinished().await.unwrap().is_empty());
    }

    async fn purging_an_account_or_project_removes_the_deliveries_of_its_webhooks(database: TestDatabase) {
        let app = app(&database).await;
        app.user().await;
        for purged in ["account", "project"] {
            let (user, project, webhook, _receiver) = subscribed_user(&app, "200 OK").await;
            user.patch(format!("{WEBHOOKS}/{webhook}"), json!({"project_id": project})).await.ok();
            add_backlog(&app, &webhook, BACKLOG).await;
            if purged == "account" {
                let body = json!({"email": user.email(), "password": "correct horse"});
                let session = app.anonymous().post("/v1/auth/login", body).await.ok();
                app.with_token(session["access_token"].as_str().unwrap()).delete("/v1/me").await.no_content();
            } else {
                user.delete(format!("/v1/projects/{project}")).await.no_content();
            }
            app.work().await;
            app.clock.advance(PURGED_AFTER);
            purge(&app).await;
            assert_eq!((stored_rows(&database, "deliveries").await, stored_rows(&database, "webhooks").await), (0, 0), "{purged}");
        }
    }
}
