//! Concurrent writers and readers of the feed: no event is missed, repeated or late.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tokio::task::{JoinSet, yield_now};

use crate::api::fixtures::events::{page, sequences};
use crate::api::fixtures::members::new_member;
use crate::on_both_databases;
use crate::repositories::fixtures::soon;
use crate::support::client::Ids as _;
use crate::support::{Client, TestApp};

const WRITERS: usize = 6;
const TASKS: usize = 15;

/// Follows `next_cursor` until the writers are done.
async fn follow(reader: Client, done: Arc<AtomicBool>, query: String) -> Vec<Value> {
    let (mut seen, mut cursor) = (Vec::new(), None::<String>);
    loop {
        // Checked before the read, so that the last read covers all writes.
        let is_last = done.load(Ordering::SeqCst);
        loop {
            let after = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
            let (found, has_more, next) = page(&reader, &format!("{query}{after}")).await;
            seen.extend(found);
            cursor = Some(next);
            if !has_more {
                break;
            }
        }
        if is_last {
            return seen;
        }
        yield_now().await;
    }
}

on_both_databases! {
    async fn readers_of_pages_see_each_task_once_and_in_order(app: TestApp) {
        let owner = app.user().await;
        let (project, own) = (owner.project().await, owner.project().await);
        let viewer = new_member(&app, &owner, &project, "viewer").await;
        let done = Arc::new(AtomicBool::new(false));
        let (mut readers, mut writers) = (JoinSet::new(), JoinSet::new());
        for (reader, query) in
            [(&viewer, "limit=3"), (&owner, "limit=100&type=task.created"), (&viewer, "limit=1&type=task.created")]
        {
            readers.spawn(follow(reader.clone(), Arc::clone(&done), query.to_owned()));
        }
        for writer in 0..WRITERS {
            let (owner, project, own) = (owner.clone(), project.clone(), own.clone());
            writers.spawn(async move {
                let mut created = Vec::new();
                for number in 0..TASKS {
                    // Also in a project that only one of the readers can see.
                    let home = if (writer + number) % 3 == 0 { &own } else { &project };
                    created.push((
                        home.clone(),
                        owner.task(home, json!({"title": format!("{writer} {number}")})).await.id(),
                    ));
                }
                created
            });
        }
        let created: Vec<(String, String)> = soon(writers.join_all()).await.into_iter().flatten().collect();
        done.store(true, Ordering::SeqCst);
        for seen in soon(readers.join_all()).await {
            let order = sequences(&seen);
            assert!(order.is_sorted_by(|one, next| one < next), "{order:?}");
            let events: Vec<&Value> = seen.iter().filter(|event| event["type"] == "task.created").collect();
            let ids: HashSet<String> = events.iter().map(|event| event["data"].id()).collect();
            assert_eq!(ids.len(), events.len(), "an event was repeated");
            let of_owner = events.iter().any(|event| event["project_id"] == own);
            let expected: HashSet<String> =
                created.iter().filter(|(home, _)| of_owner || home == &project).map(|(_, id)| id.clone()).collect();
            assert_eq!(ids, expected);
        }
    }
}
