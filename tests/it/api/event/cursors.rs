//! Validation of feed cursors.

use serde_json::json;

use crate::api::fixtures::common::log_in_again;
use crate::api::fixtures::events::{FEED, all, page, rest, types};
use crate::api::fixtures::members::new_member;
use crate::api::fixtures::positions::create_tasks;
use crate::api::task::cursors::{assert_invalid_cursor, cursor};
use crate::on_both_databases;
use crate::repositories::raw::Raw;
use crate::support::{Client, Options, TestApp, TestDatabase};

async fn refused(reader: &Client, query: &str) {
    assert_invalid_cursor(&reader.get(format!("{FEED}?{query}")).await.expect(400));
}

on_both_databases! {
    async fn a_modified_cursor_is_rejected(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        create_tasks(&owner, &project, "abc").await;
        let (_, _, good) = page(&owner, "limit=1").await;
        assert_eq!(page(&owner, &format!("limit=2&cursor={good}")).await.0.len(), 2);
        for index in 0..good.len() {
            for other in ["A", "B", "_", "-", "%2B", "=", "%20", "%00", "%C3%A4"] {
                if good[index..=index] != *other {
                    refused(&owner, &format!("cursor={}{other}{}", &good[..index], &good[index + 1..])).await;
                }
            }
            if index > 0 {
                refused(&owner, &format!("cursor={}", &good[..index])).await;
            }
        }
        refused(&owner, &format!("cursor={good}AAAA")).await;
        refused(&owner, "cursor=AAAA").await;
    }

    async fn a_cursor_is_bound_to_its_reader_order_and_list(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        create_tasks(&owner, &project, "abc").await;
        let viewer = new_member(&app, &owner, &project, "viewer").await;
        let (_, _, forwards) = page(&owner, "limit=1").await;
        let (_, _, backwards) = page(&owner, "limit=1&order=desc").await;
        refused(&viewer, &format!("cursor={forwards}")).await;
        refused(&viewer, &format!("order=desc&cursor={backwards}")).await;
        refused(&owner, &format!("order=desc&cursor={forwards}")).await;
        refused(&owner, &format!("cursor={backwards}")).await;
        let of_tasks = cursor(&owner, "/v2/tasks").await;
        refused(&owner, &format!("cursor={of_tasks}")).await;
        assert_invalid_cursor(&owner.get(format!("/v2/tasks?cursor={forwards}")).await.expect(400));
        // Another token of the same user can continue, with a different limit and other filters.
        let again = log_in_again(&app, &owner).await;
        let (found, ..) = page(&again, &format!("limit=2&type=task.created&cursor={forwards}")).await;
        assert_eq!(types(&found), ["task.created"; 2]);
        let (found, ..) = page(&again, &format!("limit=2&order=desc&project_id={project}&cursor={backwards}")).await;
        assert_eq!(found.len(), 2);
    }

    async fn a_cursor_beyond_the_end_is_rejected(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let owner = app.user().await;
        owner.project().await;
        let (_, before) = rest(&owner, "limit=100", None).await;
        owner.project().await;
        let (_, cursor) = rest(&owner, "limit=100", None).await;
        // Simulates the restoration of an older backup.
        let mut raw = Raw::connect(&database).await;
        raw.execute("DELETE FROM events WHERE sequence = 2; UPDATE event_sequence SET sequence = 1").await;
        refused(&owner, &format!("cursor={cursor}")).await;
        assert_eq!(all(&owner, "").await.len(), 1);
        assert_eq!(rest(&owner, "limit=1", Some(before)).await.0.len(), 0);
        owner.patch("/v1/me", json!({"name": "Ada"})).await.ok();
    }
}
