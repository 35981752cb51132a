//! Recovery of stalled deliveries, and tolerance of unreadable rows.

use std::time::Duration;

use pocket_tasks::contract::event::EventType;
use pocket_tasks::repositories::Job;
use serde_json::json;

use crate::api::fixtures::account::{Tables, enqueue, prune};
use crate::api::fixtures::webhooks::{
    WEBHOOKS, app, count_deliveries, deliveries, emit_event, fan_out, subscribed_user,
};
use crate::on_both_databases;
use crate::repositories::raw::Raw;
use crate::support::TestDatabase;
use crate::support::client::Ids;

const LOST: &str = "DELETE FROM jobs WHERE kind = 'deliver_webhook'";
const DEAD: &str = "UPDATE jobs SET state = 'dead', attempts = 50, finished_at = 7, last_error = 'oh' \
                    WHERE kind = 'deliver_webhook'";

on_both_databases! {
    async fn deliveries_without_a_job_are_enqueued_again(database: TestDatabase) {
        let app = app(&database).await;
        let mut raw = Raw::connect(&database).await;
        for fate in [LOST, DEAD] {
            let (user, project, webhook, receiver) = subscribed_user(&app, "200 OK").await;
            emit_event(&app, EventType::TaskCreated, &project).await;
            fan_out(&app).await;
            raw.execute(fate).await;
            app.work().await;
            assert_eq!(receiver.messages().len(), 0, "{fate}");
            enqueue(&app, Job::Prune {}).await;
            app.work().await;
            assert_eq!((receiver.messages().len(), count_deliveries(&user, &webhook, "delivered").await), (1, 1), "{fate}");
            assert!(app.store.read().queue().list_unfinished().await.unwrap().is_empty(), "{fate}");
        }
    }

    async fn a_deleted_webhook_is_removed_even_if_its_job_is_lost(database: TestDatabase) {
        let app = app(&database).await;
        let mut raw = Raw::connect(&database).await;
        let (user, project, webhook, receiver) = subscribed_user(&app, "500 Oh").await;
        emit_event(&app, EventType::TaskCreated, &project).await;
        app.work().await;
        user.delete(format!("{WEBHOOKS}/{webhook}")).await.no_content();
        raw.execute(LOST).await;
        app.clock.advance(Duration::from_mins(61));
        prune(&app).await;
        let tables = Tables::read(&database).await;
        assert!(tables.column("webhooks.id").is_empty() && tables.column("deliveries.id").is_empty());
        assert_eq!(receiver.messages().len(), 1);
    }

    async fn retries_without_a_job_are_enqueued_again(database: TestDatabase) {
        let app = app(&database).await;
        let mut raw = Raw::connect(&database).await;
        let (_user, project, _webhook, receiver) = subscribed_user(&app, "500 Oh").await;
        emit_event(&app, EventType::TaskCreated, &project).await;
        app.work().await;
        raw.execute(LOST).await;
        app.clock.advance(Duration::from_mins(59));
        prune(&app).await;
        assert_eq!(receiver.messages().len(), 1, "the job may still be running");
        app.clock.advance(Duration::from_mins(2));
        enqueue(&app, Job::Prune {}).await;
        app.work().await;
        assert_eq!(receiver.messages().len(), 2);
    }

    async fn unreadable_deliveries_do_not_block_others(database: TestDatabase) {
        let app = app(&database).await;
        let mut raw = Raw::connect(&database).await;
        let (user, project, webhook, receiver) = subscribed_user(&app, "500 Oh").await;
        for _ in 0..4 {
            emit_event(&app, EventType::TaskCreated, &project).await;
        }
        app.work().await;
        receiver.answers("200 OK");
        app.clock.advance(Duration::from_secs(10));
        let ids: Vec<_> = deliveries(&user, &webhook).await.iter().map(Ids::id).collect();
        let spoil = |raw: &Raw, number: usize, what: &str| {
            let id = raw.id(uuid::Uuid::parse_str(&ids[number]).unwrap());
            format!("UPDATE deliveries SET {what} WHERE id = {id}")
        };
        let (nonsense, unknown) = (spoil(&raw, 0, "attempts = 'nonsense'"), spoil(&raw, 1, "event_type = 'task.exploded'"));
        raw.execute(&nonsense).await;
        raw.execute(&unknown).await;
        app.work().await;
        assert_eq!(receiver.messages().len(), 4 + 3);
        assert!(app.store.read().queue().list_unfinished().await.unwrap().is_empty());
        // A version that knows the event type finds the delivery unchanged.
        let known = spoil(&raw, 1, "event_type = 'task.created'");
        raw.execute(&known).await;
        for (number, one) in deliveries(&user, &webhook).await.iter().enumerate() {
            let status = if number == 1 { "pending" } else { "delivered" };
            let attempts = if number < 2 { 1 } else { 2 };
            assert_eq!((&one["status"], one["attempts"].as_array().unwrap().len()), (&json!(status), attempts));
        }
        app.clock.advance(Duration::from_mins(61));
        prune(&app).await;
        app.work().await;
        assert_eq!((receiver.messages().len(), count_deliveries(&user, &webhook, "delivered").await), (8, 4));
    }

    async fn an_event_of_an_unknown_type_waits_for_a_version_that_knows_it(database: TestDatabase) {
        let app = app(&database).await;
        let mut raw = Raw::connect(&database).await;
        let (user, project, webhook, receiver) = subscribed_user(&app, "200 OK").await;
        emit_event(&app, EventType::TaskCreated, &project).await;
        let bad = emit_event(&app, EventType::TaskCreated, &project).await;
        emit_event(&app, EventType::TaskCreated, &project).await;
        let set = |raw: &Raw, kind: &str| format!("UPDATE events SET type = '{kind}' WHERE id = {}", raw.id(bad.0));
        let (spoilt, mended) = (set(&raw, "task.exploded"), set(&raw, "task.created"));
        raw.execute(&spoilt).await;
        app.work().await;
        assert_eq!((receiver.messages().len(), count_deliveries(&user, &webhook, "delivered").await), (1, 1));
        let jobs = app.store.read().queue().list_unfinished().await.unwrap();
        assert!(jobs.len() == 1 && jobs[0].last_error.is_some(), "{jobs:?}");
        raw.execute(&mended).await;
        app.clock.advance(Duration::from_secs(5));
        app.work().await;
        assert_eq!((receiver.messages().len(), count_deliveries(&user, &webhook, "delivered").await), (3, 3));
    }
}
