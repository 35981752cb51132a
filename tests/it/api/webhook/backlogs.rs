//! Webhooks with very many deliveries: no statement is about all of them, and nothing of them is left.

use std::time::Duration;

use pocket_tasks::contract::event::EventType;
use serde_json::json;

use crate::api::fixtures::account::Tables;
use crate::api::fixtures::webhooks::{WEBHOOKS, app, backlog, count, happens, scene};
use crate::api::maintenance::purge::{PURGED_AFTER, purge};
use crate::on_both_databases;
use crate::support::TestDatabase;

const MANY: usize = 2_500;

/// As many go in one transaction.
const AT_ONCE: u64 = 1_000;

async fn stored(database: &TestDatabase, table: &str) -> usize {
    Tables::read(database).await.column(&format!("{table}.id")).len()
}

on_both_databases! {
    async fn a_backlog_is_given_up_in_portions_by_who_switches_the_webhook_off(database: TestDatabase) {
        let app = app(&database).await;
        let (user, project, webhook, receiver) = scene(&app, "200 OK").await;
        let path = format!("{WEBHOOKS}/{webhook}");
        backlog(&app, &webhook, MANY).await;
        user.patch(&path, json!({"enabled": false})).await.ok();
        assert_eq!(count(&user, &webhook, "failed").await, AT_ONCE);
        // Whoever switches it on again at once gets nothing of what was given up, and all that happens then.
        user.patch(&path, json!({"enabled": true})).await.ok();
        let event = happens(&app, EventType::TaskCreated, &project).await.to_string();
        app.work().await;
        assert_eq!((count(&user, &webhook, "failed").await, count(&user, &webhook, "pending").await), (2_500, 0));
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

    async fn what_is_due_of_a_backlog_that_is_given_up_is_not_sent(database: TestDatabase) {
        let app = app(&database).await;
        let (user, _, webhook, receiver) = scene(&app, "200 OK").await;
        let path = format!("{WEBHOOKS}/{webhook}");
        backlog(&app, &webhook, MANY).await;
        user.patch(&path, json!({"enabled": false})).await.ok();
        user.patch(&path, json!({"enabled": true})).await.ok();
        app.clock.advance(Duration::from_hours(25));
        app.work().await;
        assert_eq!((receiver.messages().len(), count(&user, &webhook, "failed").await), (0, 2_500));
    }

    async fn a_backlog_is_given_up_in_portions_when_the_receiver_is_gone(database: TestDatabase) {
        let app = app(&database).await;
        let (user, project, webhook, receiver) = scene(&app, "410 Gone").await;
        backlog(&app, &webhook, MANY).await;
        happens(&app, EventType::TaskCreated, &project).await;
        app.work().await;
        assert_eq!(user.get(format!("{WEBHOOKS}/{webhook}")).await.ok()["enabled"], false);
        assert_eq!((receiver.messages().len(), count(&user, &webhook, "failed").await), (1, 2_501));
        assert!(app.store.read().queue().list_unfinished().await.unwrap().iter().all(|job| job.kind != "deliver_webhook"));
        assert!(app.mails_to(user.email()).iter().any(|mail| mail.subject == "A webhook was disabled"));
    }

    async fn a_webhook_goes_at_once_and_its_deliveries_in_portions(database: TestDatabase) {
        let app = app(&database).await;
        let (user, project, webhook, receiver) = scene(&app, "200 OK").await;
        let path = format!("{WEBHOOKS}/{webhook}");
        backlog(&app, &webhook, MANY).await;
        user.delete(&path).await.no_content();
        for gone in [path.clone(), format!("{path}/deliveries")] {
            user.get(gone).await.fails(404, "NOT_FOUND");
        }
        user.delete(&path).await.fails(404, "NOT_FOUND");
        user.patch(&path, json!({"enabled": true})).await.fails(404, "NOT_FOUND");
        user.post_empty(format!("{path}/test")).await.fails(404, "NOT_FOUND");
        assert_eq!(user.get(WEBHOOKS).await.ok()["meta"]["total"], 0);
        happens(&app, EventType::TaskCreated, &project).await;
        assert_eq!(stored(&database, "deliveries").await, MANY, "the request removes none");
        app.work().await;
        assert_eq!((stored(&database, "deliveries").await, stored(&database, "webhooks").await), (0, 0));
        assert!(receiver.messages().is_empty());
        assert!(app.store.read().queue().list_unfinished().await.unwrap().is_empty());
    }

    async fn an_account_and_a_project_go_with_the_deliveries_of_their_webhooks(database: TestDatabase) {
        let app = app(&database).await;
        app.user().await;
        for goes in ["account", "project"] {
            let (user, project, webhook, _receiver) = scene(&app, "200 OK").await;
            user.patch(format!("{WEBHOOKS}/{webhook}"), json!({"project_id": project})).await.ok();
            backlog(&app, &webhook, MANY).await;
            if goes == "account" {
                let body = json!({"email": user.email(), "password": "correct horse"});
                let session = app.anonymous().post("/v1/auth/login", body).await.ok();
                app.with_token(session["access_token"].as_str().unwrap()).delete("/v1/me").await.no_content();
            } else {
                user.delete(format!("/v1/projects/{project}")).await.no_content();
            }
            app.work().await;
            app.clock.advance(PURGED_AFTER);
            purge(&app).await;
            assert_eq!((stored(&database, "deliveries").await, stored(&database, "webhooks").await), (0, 0), "{goes}");
        }
    }
}
