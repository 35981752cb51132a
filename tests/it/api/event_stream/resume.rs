//! Going on after the last event, while others write.

use serde_json::{Value, json};

use super::messages::{feed, follow, go_on, rename, told_until, types};
use crate::api::fixtures::common::{at_once, encoded};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::held::HeldFeed;
use crate::support::{Client, Options, Random, TestApp, TestClock, TestDatabase};

/// As many tasks are written by each who writes.
const TASKS: usize = 12;

/// Three events for each task.
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

/// Reads a few events, goes away, comes back, and again, until the end.
async fn read(reader: Client, query: String, begun: String, seed: u64) -> Vec<Value> {
    let mut random = Random::seeded(seed);
    let (mut all, mut last_id) = (Vec::new(), begun.clone());
    loop {
        let mut stream = match random.below(3) {
            0 => follow(&reader, &format!("{query}&cursor={}", encoded(&last_id))).await,
            // The parameter is what it began with, as an `EventSource` keeps it.
            1 => go_on(&reader, &format!("{query}&cursor={}", encoded(&begun)), &last_id).await,
            _ => go_on(&reader, &query, &last_id).await,
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
    async fn who_goes_on_is_told_of_a_project_that_nobody_here_has_heard_of_yet(database: TestDatabase) {
        let (store, gate) = HeldFeed::over(database.store().await);
        let app = TestApp::over(store, Options::default(), TestClock::default());
        let owner = app.user().await;
        let first = owner.project().await;
        let begun = follow(&owner, "").await.last_id;
        rename(&owner, &first, "Meanwhile").await;
        let mut stream = go_on(&owner, "", &begun).await;
        // It is what storage knows that counts, although the reader of the feed is late.
        gate.send_replace(false);
        let second = owner.project().await;
        owner.task(&second, json!({"title": "x"})).await;
        let told = [stream.event().await, stream.event().await, stream.event().await];
        assert_eq!(types(&told), ["project.updated", "project.created", "task.created"]);
        assert_eq!(told[1]["project_id"], second);
        // And when it comes along, nothing is told twice.
        gate.send_replace(true);
        rename(&owner, &second, "Done").await;
        assert!(told_until(&mut stream, "Done").await.is_empty());
    }

    async fn who_goes_on_again_and_again_misses_nothing_and_gets_nothing_twice(app: TestApp) {
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
        at_once(writing).await;
        rename(&owner, &projects[0], "Done").await;
        for (reader, query) in readers.into_iter().zip(queries) {
            let expected: Vec<Value> = feed(&owner, &begun, &query).await.into_iter().map(|(_, event)| event).collect();
            let read = reader.await.unwrap();
            assert!(read == expected, "{query}: {} of {}\n{read:#?}", read.len(), expected.len());
        }
    }
}
