//! The epoch of the feed: cursors from before a restore are refused.

use serde_json::json;

use crate::api::event_stream::messages::{follow, resume};
use crate::api::fixtures::events::{FEED, page, types};
use crate::api::fixtures::positions::create_tasks;
use crate::api::task::cursors::{assert_invalid_cursor, cursor};
use crate::on_both_databases;
use crate::support::{Options, TestApp, TestDatabase};

on_both_databases! {
    async fn a_cursor_from_before_a_restore_is_rejected_everywhere(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let owner = app.user().await;
        let project = owner.project().await;
        create_tasks(&owner, &project, "abc").await;
        let sync = async |list: &str| owner.get(list).await.ok()["meta"]["sync_cursor"].as_str().unwrap().to_owned();
        let of_project = format!("/v2/projects/{project}/tasks");
        let ascending = [page(&owner, "limit=1").await.2, sync("/v2/tasks").await, follow(&owner, "").await.last_id];
        let descending = page(&owner, "limit=1&order=desc").await.2;
        let of_tasks = [("/v2/tasks", cursor(&owner, "/v2/tasks").await), (&of_project, cursor(&owner, &of_project).await)];
        assert!(ascending.iter().all(|cursor| cursor.len() == descending.len()));

        database.store().await.renew_feed_epoch().await.unwrap();
        let refused = ascending.iter().map(|cursor| format!("{FEED}?cursor={cursor}"));
        let refused = refused.chain([format!("{FEED}?order=desc&cursor={descending}")]);
        let refused = refused.chain(of_tasks.iter().map(|(list, cursor)| format!("{list}?cursor={cursor}")));
        for path in refused.chain(ascending.iter().map(|cursor| format!("{FEED}/stream?cursor={cursor}"))) {
            assert_invalid_cursor(&owner.get(&path).await.expect(400));
        }
        let resumed = owner.call(poem::http::Method::GET, format!("{FEED}/stream")).header("last-event-id", &ascending[0]);
        assert_invalid_cursor(&resumed.send().await.expect(400));
        // A ticket survives the mistake.
        let ticket = owner.post(format!("{FEED}/stream-tickets"), json!({})).await.created()["ticket"].clone();
        let with_ticket = format!("{FEED}/stream?ticket={}", ticket.as_str().unwrap());
        assert_invalid_cursor(&app.anonymous().get(format!("{with_ticket}&cursor={}", ascending[0])).await.expect(400));

        let again = sync("/v2/tasks").await;
        owner.task(&project, json!({"title": "d"})).await;
        assert_eq!(types(&page(&owner, &format!("cursor={again}")).await.0), ["task.created"]);
        let mut stream = resume(&owner, "", &again).await;
        assert_eq!(stream.event().await["type"], "task.created");
        assert_eq!(page(&owner, &format!("cursor={}", stream.last_id)).await.0.len(), 0);
    }
}
