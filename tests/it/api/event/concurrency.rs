//! Many write while somebody reads on: nothing is missed, nothing comes twice, nothing comes late.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tokio::task::{JoinSet, yield_now};

use crate::api::fixtures::events::{page, places};
use crate::api::fixtures::members::newcomer;
use crate::on_both_databases;
use crate::repositories::fixtures::soon;
use crate::support::client::Ids as _;
use crate::support::{Client, TestApp};

const WRITERS: usize = 6;
const TASKS: usize = 15;

/// Reads on by `next_cursor` until the writers are done.
async fn follow(reader: Client, done: Arc<AtomicBool>, query: String) -> Vec<Value> {
    let (mut seen, mut cursor) = (Vec::new(), None::<String>);
    loop {
        // Asked before it reads: whatever was written by then is read now.
        let is_last = done.load(Ordering::SeqCst);
        loop {
            let place = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
            let (found, has_more, next) = page(&reader, &format!("{query}{place}")).await;
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
    async fn who_reads_on_sees_each_task_once_and_in_order(app: TestApp) {
        let owner = app.user().await;
        let (project, own) = (owner.project().await, owner.project().await);
        let viewer = newcomer(&app, &owner, &project, "viewer").await;
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
                let mut made = Vec::new();
                for number in 0..TASKS {
                    // In a project that only one of the readers sees, too: it is none of the other's business.
                    let home = if (writer + number) % 3 == 0 { &own } else { &project };
                    made.push((
                        home.clone(),
                        owner.task(home, json!({"title": format!("{writer} {number}")})).await.id(),
                    ));
                }
                made
            });
        }
        let made: Vec<(String, String)> = soon(writers.join_all()).await.into_iter().flatten().collect();
        done.store(true, Ordering::SeqCst);
        for seen in soon(readers.join_all()).await {
            let order = places(&seen);
            assert!(order.is_sorted_by(|one, next| one < next), "{order:?}");
            let created: Vec<&Value> = seen.iter().filter(|event| event["type"] == "task.created").collect();
            let ids: HashSet<String> = created.iter().map(|event| event["data"].id()).collect();
            assert_eq!(ids.len(), created.len(), "one came twice");
            let of_owner = created.iter().any(|event| event["project_id"] == own);
            let expected: HashSet<String> =
                made.iter().filter(|(home, _)| of_owner || home == &project).map(|(_, id)| id.clone()).collect();
            assert_eq!(ids, expected);
        }
    }
}
