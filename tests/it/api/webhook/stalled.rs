//! What is left lying is picked up, and what nobody can read holds up nothing else.

use std::time::Duration;

use pocket_tasks::contract::event::EventType;
use pocket_tasks::repositories::Job;
use serde_json::json;

use crate::api::fixtures::account::{Tables, perform, promise};
use crate::api::fixtures::webhooks::{WEBHOOKS, app, count, deliveries, happens, scene};
use crate::on_both_databases;
use crate::repositories::raw::Raw;
use crate::support::TestDatabase;
use crate::support::client::Ids;

const LOST: &str = "DELETE FROM jobs WHERE kind = 'deliver_webhook'";
const DEAD: &str = "UPDATE jobs SET state = 'dead', attempts = 50, finished_at = 7, last_error = 'oh' \
                    WHERE kind = 'deliver_webhook'";

on_both_databases! {
    async fn what_nobody_does_any_more_is_promised_anew(database: TestDatabase) {
        let app = app(&database).await;
        let mut raw = Raw::connect(&database).await;
        for fate in [LOST, DEAD] {
            let (user, project, webhook, receiver) = scene(&app, "200 OK").await;
            happens(&app, EventType::TaskCreated, &project).await;
            raw.execute(fate).await;
            app.clock.advance(Duration::from_mins(59));
            if fate == LOST {
                perform(&app, Job::Prune {}).await;
                assert_eq!(receiver.messages().len(), 0, "it might be done yet");
            }
            app.clock.advance(Duration::from_mins(2));
            promise(&app, Job::Prune {}).await;
            app.work().await;
            assert_eq!((receiver.messages().len(), count(&user, &webhook, "delivered").await), (1, 1), "{fate}");
            assert!(app.store.read().queue().list_unfinished().await.unwrap().is_empty(), "{fate}");
        }
    }

    async fn what_is_removed_goes_although_its_job_is_lost(database: TestDatabase) {
        let app = app(&database).await;
        let mut raw = Raw::connect(&database).await;
        let (user, project, webhook, receiver) = scene(&app, "500 Oh").await;
        happens(&app, EventType::TaskCreated, &project).await;
        app.work().await;
        user.delete(format!("{WEBHOOKS}/{webhook}")).await.no_content();
        raw.execute(LOST).await;
        app.clock.advance(Duration::from_mins(61));
        perform(&app, Job::Prune {}).await;
        let tables = Tables::read(&database).await;
        assert!(tables.column("webhooks.id").is_empty() && tables.column("deliveries.id").is_empty());
        assert_eq!(receiver.messages().len(), 1);
    }

    async fn what_nobody_can_read_holds_up_nothing_else(database: TestDatabase) {
        let app = app(&database).await;
        let mut raw = Raw::connect(&database).await;
        let (user, project, webhook, receiver) = scene(&app, "200 OK").await;
        for _ in 0..4 {
            happens(&app, EventType::TaskCreated, &project).await;
        }
        let ids: Vec<_> = deliveries(&user, &webhook).await.iter().map(Ids::id).collect();
        let spoil = |raw: &Raw, number: usize, what: &str| {
            let id = raw.id(uuid::Uuid::parse_str(&ids[number]).unwrap());
            format!("UPDATE deliveries SET {what} WHERE id = {id}")
        };
        let (nonsense, unknown) = (spoil(&raw, 0, "attempts = 'nonsense'"), spoil(&raw, 1, "event_type = 'task.exploded'"));
        raw.execute(&nonsense).await;
        raw.execute(&unknown).await;
        app.work().await;
        assert_eq!(receiver.messages().len(), 3);
        assert!(app.store.read().queue().list_unfinished().await.unwrap().is_empty());
        // A program that knows it finds it as it was.
        let known = spoil(&raw, 1, "event_type = 'task.created'");
        raw.execute(&known).await;
        for (number, one) in deliveries(&user, &webhook).await.iter().enumerate() {
            let status = if number == 1 { "pending" } else { "delivered" };
            assert_eq!((&one["status"], one["attempts"].as_array().unwrap().len()), (&json!(status), usize::from(number != 1)));
        }
        app.clock.advance(Duration::from_mins(61));
        perform(&app, Job::Prune {}).await;
        app.work().await;
        assert_eq!((receiver.messages().len(), count(&user, &webhook, "delivered").await), (4, 4));
    }

    async fn an_event_that_cannot_be_read_is_tried_again_and_the_others_go_out(database: TestDatabase) {
        let app = app(&database).await;
        let mut raw = Raw::connect(&database).await;
        let (user, project, webhook, receiver) = scene(&app, "200 OK").await;
        let bad = happens(&app, EventType::TaskCreated, &project).await;
        for _ in 0..2 {
            happens(&app, EventType::TaskCreated, &project).await;
        }
        let set = |raw: &Raw, kind: &str| format!("UPDATE events SET type = '{kind}' WHERE id = {}", raw.id(bad.0));
        let (spoilt, mended) = (set(&raw, "task.exploded"), set(&raw, "task.created"));
        raw.execute(&spoilt).await;
        app.work().await;
        assert_eq!((receiver.messages().len(), count(&user, &webhook, "delivered").await), (2, 2));
        assert_eq!(count(&user, &webhook, "pending").await, 1);
        let jobs = app.store.read().queue().list_unfinished().await.unwrap();
        assert!(jobs.len() == 1 && jobs[0].last_error.is_some(), "{jobs:?}");
        raw.execute(&mended).await;
        app.clock.advance(Duration::from_secs(5));
        app.work().await;
        assert_eq!((receiver.messages().len(), count(&user, &webhook, "delivered").await), (3, 3));
    }
}
