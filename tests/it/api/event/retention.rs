//! Retention of events.

use std::time::Duration;

use pocket_tasks::contract::ids::new_uuid;
use pocket_tasks::repositories::FeedBounds;
use serde_json::{Value, json};

use crate::api::fixtures::account::prune;
use crate::api::fixtures::common::{DAY, log_in_again};
use crate::api::fixtures::events::{FEED, all, events_after, page, rest, sequences, types};
use crate::api::fixtures::members::new_member;
use crate::api::maintenance::purge::{PURGED_AFTER, purge};
use crate::on_both_databases;
use crate::repositories::raw::Raw;
use crate::support::client::Ids as _;
use crate::support::{Options, TestApp, TestDatabase};

const HOUR: Duration = Duration::from_hours(1);

async fn bounds(app: &TestApp) -> FeedBounds {
    app.store.read().events().bounds().await.unwrap()
}

on_both_databases! {
    async fn events_are_pruned_after_the_configured_retention(database: TestDatabase) {
        for (variables, kept) in [(vec![], 30), (vec![("RETENTION_DAYS", "3")], 3)] {
            let app = TestApp::new(&database, Options { variables, ..Options::default() }).await;
            let owner = app.user().await;
            let (_, from) = rest(&owner, "limit=100", None).await;
            let project = owner.project().await;
            let (_, between) = rest(&owner, "limit=100", None).await;
            app.clock.advance(DAY);
            let owner = log_in_again(&app, &owner).await;
            owner.task(&project, json!({"title": "x"})).await;
            app.clock.advance(HOUR * (24 * (kept - 1) - 1));
            prune(&app).await;
            let owner = log_in_again(&app, &owner).await;
            assert_eq!(types(&all(&owner, "").await), ["project.created", "task.created"]);
            assert_eq!(rest(&owner, "limit=1", Some(from.clone())).await.0.len(), 2);
            app.clock.advance(HOUR * 2);
            for _ in 0..2 {
                prune(&app).await;
                let owner = log_in_again(&app, &owner).await;
                assert_eq!(types(&all(&owner, "").await), ["task.created"]);
                assert_eq!(types(&all(&owner, "order=desc").await), ["task.created"]);
                // A cursor behind the last pruned event stays valid.
                assert_eq!(rest(&owner, "limit=1", Some(between.clone())).await.0.len(), 1);
                for query in [format!("cursor={from}"), format!("type=task.deleted&limit=1&cursor={from}")] {
                    let body = owner.get(format!("{FEED}?{query}")).await.fails(400, "INVALID_CURSOR");
                    let message = body["message"].as_str().unwrap();
                    assert!(
                        message.contains("older than the retained events") && message.contains("List everything again"),
                        "{message}"
                    );
                }
            }
            app.clock.advance(DAY);
            prune(&app).await;
            let owner = log_in_again(&app, &owner).await;
            assert_eq!(all(&owner, "").await, [Value::Null; 0]);
            let bounds = bounds(&app).await;
            assert_eq!(bounds.pruned_through, bounds.end);
            owner.get(format!("{FEED}?cursor={between}")).await.fails(400, "INVALID_CURSOR");
            // An empty feed still has a cursor, and sequence numbers continue.
            let (_, cursor) = rest(&owner, "limit=1", None).await;
            owner.project().await;
            let (news, _) = rest(&owner, "limit=1", Some(cursor)).await;
            assert_eq!(sequences(&news), [bounds.end + 1]);
        }
    }

    async fn descending_pages_end_at_the_oldest_retained_event(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let owner = app.user().await;
        owner.project().await;
        owner.project().await;
        app.clock.advance(DAY * 20);
        let owner = log_in_again(&app, &owner).await;
        owner.project().await;
        let (_, has_more, cursor) = page(&owner, "limit=1&order=desc").await;
        assert!(has_more);
        app.clock.advance(DAY * 11);
        prune(&app).await;
        let owner = log_in_again(&app, &owner).await;
        let (found, has_more, _) = page(&owner, &format!("limit=1&order=desc&cursor={cursor}")).await;
        assert_eq!((found.len(), has_more), (0, false));
    }

    async fn pruning_in_batches_advances_the_horizon_without_gaps(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let owner = app.user().await;
        let project = owner.project().await;
        // More than one batch, with unordered times: every seventh event is younger than those after it.
        let now = app.clock.now().0;
        let mut raw = Raw::connect(&database).await;
        let home = raw.id(uuid::Uuid::parse_str(&project).unwrap());
        let rows: Vec<String> = (2..=1_300)
            .map(|number| {
                let age = if number % 7 == 0 { 1_000 } else { 3_000_000_000 - i64::from(number) };
                format!("({number}, {}, 'task.created', {home}, {}, '{{}}')", raw.id(new_uuid()), now - age)
            })
            .collect();
        raw.execute(&format!(
            "INSERT INTO events (sequence, id, type, project_id, occurred_at, data) VALUES {}",
            rows.join(", ")
        ))
        .await;
        raw.execute("UPDATE event_sequence SET sequence = 1300").await;
        let mut pruned_through = 0;
        loop {
            let transaction = app.store.begin().await.unwrap();
            let before = app.clock.now() - DAY * 30;
            let prunable = pocket_tasks::repositories::Prunable::Events;
            let pruned = transaction.maintenance().prune(prunable, before, 100).await.unwrap();
            transaction.commit().await.unwrap();
            let bounds = bounds(&app).await;
            assert!(bounds.pruned_through >= pruned_through, "{bounds:?}");
            pruned_through = bounds.pruned_through;
            // No event after the reported horizon is missing.
            let left: Vec<i64> = sequences(&events_after(&app, pruned_through).await);
            assert_eq!(left, (pruned_through + 1..=1_300).collect::<Vec<_>>());
            if pruned == 0 {
                break;
            }
        }
        let left = sequences(&events_after(&app, 0).await);
        assert_eq!(left, std::iter::once(1).chain((2..=1_300).filter(|number| number % 7 == 0)).collect::<Vec<i64>>());
    }

    async fn purging_a_project_removes_its_events(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let owner = app.user().await;
        let (project, other) = (owner.project().await, owner.project().await);
        let viewer = new_member(&app, &owner, &project, "viewer").await;
        owner.task(&project, json!({"title": "x"})).await;
        app.clock.advance(DAY * 2);
        let owner = log_in_again(&app, &owner).await;
        let task = owner.task(&other, json!({"title": "x"})).await;
        owner.delete(format!("/v1/projects/{project}")).await.no_content();
        assert_eq!(types(&page(&owner, "limit=1&order=desc").await.0), ["project.deleted"]);
        app.clock.advance(PURGED_AFTER);
        purge(&app).await;
        let left = events_after(&app, 0).await;
        assert_eq!(types(&left), ["project.created", "task.created"]);
        assert!(left.iter().all(|event| event["project_id"] == other) && left[1]["data"].id() == task.id());
        let (owner, viewer) = (log_in_again(&app, &owner).await, log_in_again(&app, &viewer).await);
        owner.get(format!("{FEED}?project_id={project}")).await.invalid(&["project_id:reference"]);
        assert_eq!(all(&viewer, "").await, [Value::Null; 0]);
        // Purging does not advance the horizon of the retention.
        assert_eq!(bounds(&app).await.pruned_through, 0);
    }
}
