//! Long texts are stored once, however many events and stored responses contain them.

use std::time::Duration;

use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::account::prune;
use crate::api::fixtures::common::{DAY, log_in_again};
use crate::api::fixtures::events::FeedReader;
use crate::api::fixtures::writes::{KEY, assert_replay, new_key};
use crate::api::maintenance::purge::{PURGED_AFTER, purge};
use crate::on_both_databases;
use crate::repositories::raw::Raw;
use crate::support::client::Ids as _;
use crate::support::{Options, Random, TestApp, TestDatabase};

/// Text that cannot be compressed much.
fn long_text(seed: u64) -> String {
    let mut random = Random::seeded(seed);
    (0..10_000)
        .map(|_| char::from(random.one_of(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")))
        .collect()
}

/// Bytes in the tables that a change of a task writes, with an allowance for the overhead of each row and its indexes.
async fn stored_bytes(raw: &mut Raw) -> usize {
    let mut bytes = 0;
    for (table, columns) in [
        ("tasks", &["title", "title_key", "search_text", "description", "labels", "position"][..]),
        ("events", &["type", "data", "previous", "request_id"][..]),
        ("idempotency_keys", &["key", "fingerprint", "effect", "etag", "encrypted_body", "min_role"][..]),
        ("long_texts", &["hash", "content"][..]),
        ("jobs", &["kind", "payload"][..]),
    ] {
        let columns: Vec<_> = columns.iter().map(|column| format!("coalesce(octet_length({column}), 0)")).collect();
        let sql = format!("SELECT CAST(coalesce(sum({} + 200), 0) AS TEXT) AS found FROM {table}", columns.join(" + "));
        bytes += raw.texts(&sql, "found").await[0].parse::<usize>().unwrap();
    }
    bytes
}

async fn count(raw: &mut Raw, table: &str) -> String {
    raw.texts(&format!("SELECT CAST(count(*) AS TEXT) AS found FROM {table}"), "found").await.remove(0)
}

on_both_databases! {
    async fn small_updates_of_a_task_with_a_long_description_store_few_bytes_per_byte_sent(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let owner = app.user().await;
        let project = owner.project().await;
        let task = owner.task(&project, json!({"title": "x", "description": long_text(1)})).await.id();
        app.work().await;
        let mut raw = Raw::connect(&database).await;
        let (before, mut sent) = (stored_bytes(&mut raw).await, 0);
        for number in 0..100 {
            let (path, key) = (format!("/v1/tasks/{task}"), new_key());
            let body = json!({"title": format!("{number}")});
            // Without the token, and with the shortest form of every header that the request needs.
            sent += format!(
                "PATCH {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 12\r\n\
                 idempotency-key: {key}\r\n\r\n{body}"
            ).len();
            owner.call(Method::PATCH, path).json(&body).header(KEY, &key).send().await.ok();
        }
        let stored = stored_bytes(&mut raw).await - before;
        assert!(stored < 12 * sent, "{stored} bytes stored for {sent} bytes sent");
    }

    async fn events_and_replays_contain_the_whole_text(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let (first, second) = (long_text(1), long_text(2));
        let mut feed = FeedReader::from_now(&owner).await;
        let created = owner.task(&project, json!({"title": "x", "description": first})).await;
        assert_eq!(feed.only_new_event().await["data"], created);
        let (path, key) = (format!("/v1/tasks/{}", created.id()), new_key());
        let change = || owner.call(Method::PATCH, path.as_str()).json(&json!({"description": second})).header(KEY, &key);
        let changed = change().send().await;
        let event = feed.only_new_event().await;
        assert_eq!(event["data"]["description"], second.as_str());
        assert_eq!(event["previous"], json!({"description": first}));
        let later = owner.patch(path.as_str(), json!({"description": "short", "title": "y"})).await.ok();
        let event = feed.only_new_event().await;
        assert_eq!(event["data"], later);
        assert_eq!(event["previous"], json!({"title": "x", "description": second}));
        assert_replay(&changed, &change().send().await, "with its long text");
        // A batch, comments and text that looks like a reference.
        let comment = json!({"body": format!(r#"{{"$text":"{}"}} {}"#, "0".repeat(64), &first[..9_000])});
        let comment = owner.post(format!("{path}/comments"), comment).await.created();
        assert_eq!(feed.only_new_event().await["data"], comment);
        let body = json!({"operations": [
            {"op": "create", "title": "a", "description": first},
            {"op": "update", "task_id": created.id(), "description": first},
        ]});
        let key = new_key();
        let batch = || owner.call(Method::POST, format!("/v1/projects/{project}/tasks/batch")).json(&body).header(KEY, &key);
        let answer = batch().send().await;
        let events = feed.new_events().await;
        assert_eq!(events.iter().map(|event| event["data"].clone()).collect::<Vec<_>>(), *answer.body["results"].as_array().unwrap());
        assert_replay(&answer, &batch().send().await, "a batch with long texts");
        // In two projects at once.
        let other = owner.project().await;
        feed.new_events().await;
        let moved = owner.post(format!("{path}/move"), json!({"project_id": other})).await.ok();
        for event in feed.new_events().await {
            assert_eq!((&event["type"], &event["data"]), (&json!("task.moved"), &moved));
        }
    }

    async fn long_texts_are_kept_as_long_as_events_refer_to_them(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let owner = app.user().await;
        let project = owner.project().await;
        let text = long_text(1);
        let task = owner.task(&project, json!({"title": "x", "description": text})).await.id();
        let unused = owner.task(&project, json!({"title": "x", "description": long_text(2)})).await.id();
        owner.patch(format!("/v1/tasks/{unused}"), json!({"description": "short"})).await.ok();
        let mut raw = Raw::connect(&database).await;
        assert_eq!(count(&mut raw, "long_texts").await, "2");
        app.clock.advance(DAY * 20);
        let owner = log_in_again(&app, &owner).await;
        owner.patch(format!("/v1/tasks/{task}"), json!({"title": "y"})).await.ok();
        app.clock.advance(DAY * 13);
        prune(&app).await;
        assert_eq!(count(&mut raw, "long_texts").await, "1");
        let owner = log_in_again(&app, &owner).await;
        let events = owner.get("/v1/events?type=task.updated").await.ok();
        let events: Vec<&Value> = events["data"].as_array().unwrap().iter().collect();
        assert_eq!(events.len(), 1);
        assert_eq!((&events[0]["data"]["title"], &events[0]["data"]["description"]), (&json!("y"), &json!(text)));
        // Those of a purged project are removed with it.
        owner.delete(format!("/v1/projects/{project}")).await.no_content();
        app.clock.advance(PURGED_AFTER + Duration::from_hours(1));
        purge(&app).await;
        assert_eq!((count(&mut raw, "long_texts").await, count(&mut raw, "tasks").await), ("0".to_owned(), "0".to_owned()));
    }
}
