//! Resumption of streams after the last event, while others write.

use std::sync::Arc;

use serde_json::{Value, json};

use super::messages::{events_until, feed, follow, rename, resume, types};
use crate::api::fixtures::common::{concurrently, percent_encoded};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::fault_store::{Fault, FaultStore};
use crate::support::{Client, Options, Random, TestApp, TestClock, TestDatabase};

/// Number of tasks per writer.
const TASKS: usize = 12;

/// Writes three events for each task.
async fn write(writer: Client, projects: [String; 2], seed: u64) {
    let mut random = Random::seeded(seed);
    for _ in 0..TASKS {
        let project = &projects[random.below(2)];
        let task = writer.task(project, json!({"title": "x"})).await;
        let path = format!("/v1/tasks/{}", task.id());
        writer.patch(&path, json!({"title": "y"})).await.ok();
        writer.post(format!("{path}/comments"), json!({"body": "z"})).await.expect(201);
    }
}

/// Reads a few events, disconnects and resumes, until the end.
async fn read(reader: Client, query: String, begun: String, seed: u64) -> Vec<Value> {
    let mut random = Random::seeded(seed);
    let (mut all, mut last_id) = (Vec::new(), begun.clone());
    loop {
        let mut stream = match random.below(3) {
            0 => follow(&reader, &format!("{query}&cursor={}", percent_encoded(&last_id))).await,
            // The query parameter stays the initial one, as in an `EventSource`.
            1 => resume(&reader, &format!("{query}&cursor={}", percent_encoded(&begun)), &last_id).await,
            _ => resume(&reader, &query, &last_id).await,
        };
        for _ in 0..random.below(6) {
            let event = stream.event().await;
            let is_last = event["type"] == "project.updated";
            all.push(event);
            if is_last {
                return all;
            }
        }
        last_id = stream.last_id;
    }
}

on_both_databases! {
    async fn a_resumed_stream_includes_projects_unknown_to_this_process(database: TestDatabase) {
        let store = FaultStore::over(database.store().await, Fault::None);
        let app = TestApp::over(Arc::clone(&store) as _, Options::default(), TestClock::default());
        let owner = app.user().await;
        let first = owner.project().await;
        let begun = follow(&owner, "").await.last_id;
        rename(&owner, &first, "Meanwhile").await;
        let mut stream = resume(&owner, "", &begun).await;
        // The resumed stream reads from storage, although the shared reader is delayed.
        store.set(Fault::TailWaits);
        let second = owner.project().await;
        owner.task(&second, json!({"title": "x"})).await;
        let received = [stream.event().await, stream.event().await, stream.event().await];
        assert_eq!(types(&received), ["project.updated", "project.created", "task.created"]);
        assert_eq!(received[1]["project_id"], second);
        // No event is repeated when the shared reader catches up.
        store.set(Fault::None);
        rename(&owner, &second, "Done").await;
        assert!(events_until(&mut stream, "Done").await.is_empty());
    }

    async fn repeated_resumption_neither_misses_nor_repeats_events(app: TestApp) {
        let mut random = Random::new();
        let (owner, stranger) = (app.user().await, app.user().await);
        let projects = [owner.project().await, owner.project().await];
        let foreign = [stranger.project().await, stranger.project().await];
        let begun = follow(&owner, "").await.last_id;
        let queries = [
            String::new(),
            "type=comment.created,task.created,project.updated".to_owned(),
            format!("project_id={}", projects[0]),
        ];
        let readers: Vec<_> = queries
            .iter()
            .map(|query| tokio::spawn(read(owner.clone(), query.clone(), begun.clone(), random.next())))
            .collect();
        let writers = [(&owner, &projects), (&owner, &projects), (&owner, &projects), (&stranger, &foreign)];
        let writing = writers.map(|(writer, projects)| Box::pin(write(writer.clone(), projects.clone(), random.next())));
        concurrently(writing).await;
        rename(&owner, &projects[0], "Done").await;
        for (reader, query) in readers.into_iter().zip(queries) {
            let expected: Vec<Value> = feed(&owner, &begun, &query).await.into_iter().map(|(_, event)| event).collect();
            let read = reader.await.unwrap();
            assert!(read == expected, "{query}: {} of {}\n{read:#?}", read.len(), expected.len());
        }
    }
}
