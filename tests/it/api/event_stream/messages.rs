//! Messages of the event stream.

use std::time::Duration;

use poem::http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::api::fixtures::account::api_client;
use crate::api::fixtures::common::{UNKNOWN_ID, percent_encoded};
use crate::api::fixtures::members::new_member;
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, Options, SseClient, TestApp, TestDatabase};

/// Interval at which a process polls the feed.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_secs(10);
/// Number of consecutive events, each awaited before the next.
pub(crate) const ROUNDS: usize = 20;

pub(crate) const STREAM: &str = "/v1/events/stream";

/// Opens a stream and reads its start.
pub(crate) async fn follow(client: &Client, query: &str) -> SseClient {
    let mut stream = client.call(Method::GET, format!("{STREAM}?{query}")).follow().await;
    begin(&mut stream).await;
    stream
}

/// Resumes a stream after an event, as clients do.
pub(crate) async fn resume(client: &Client, query: &str, last_id: &str) -> SseClient {
    let call = client.call(Method::GET, format!("{STREAM}?{query}")).header("last-event-id", last_id);
    let mut stream = call.follow().await;
    begin(&mut stream).await;
    assert_eq!(stream.last_id, last_id);
    stream
}

async fn begin(stream: &mut SseClient) {
    let block = stream.block().await.unwrap();
    assert_eq!(block, [("retry".to_owned(), "3000".to_owned()), ("id".to_owned(), stream.last_id.clone())]);
}

/// All events of the feed after a cursor, each with its own cursor.
pub(crate) async fn feed(client: &Client, cursor: &str, query: &str) -> Vec<(String, Value)> {
    let (mut all, mut cursor) = (Vec::new(), cursor.to_owned());
    loop {
        let page = client.get(format!("/v1/events?limit=100&cursor={}&{query}", percent_encoded(&cursor))).await.ok();
        let events = page["data"].as_array().unwrap().clone();
        page["meta"]["next_cursor"].as_str().unwrap().clone_into(&mut cursor);
        all.extend(events.into_iter().map(|event| (cursor.clone(), event)));
        if page["meta"]["has_more"] == false {
            return all;
        }
    }
}

/// Renames a project, as a marker: earlier changes have been sent before it.
pub(crate) async fn rename(client: &Client, project: &str, name: &str) {
    client.patch(format!("/v1/projects/{project}"), json!({"name": name})).await.ok();
}

/// Events up to the renaming of a project, excluding that one.
pub(crate) async fn events_until(stream: &mut SseClient, name: &str) -> Vec<Value> {
    let mut received = Vec::new();
    loop {
        let event = stream.event().await;
        if event["type"] == "project.updated" && event["data"]["name"] == name {
            return received;
        }
        received.push(event);
    }
}

/// Types of events.
pub(crate) fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

on_both_databases! {
    async fn committed_changes_are_streamed_in_order_as_in_the_feed(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let member = new_member(&app, &owner, &project, "editor").await;
        let (mut stream, mut other) = (follow(&owner, "").await, follow(&member, "").await);
        let begun = stream.last_id.clone();

        let description = "one\ntwo\n\nid: three\u{2028}é";
        let task = member.task(&project, json!({"title": "data: é", "description": description})).await;
        let path = format!("/v1/tasks/{}", task.id());
        owner.patch(&path, json!({"status": "done"})).await.ok();
        let comment = member.post(format!("{path}/comments"), json!({"body": "data: x\n\nid: y"})).await.expect(201);
        owner.delete(format!("/v1/comments/{}", comment.id())).await.no_content();
        owner.post(format!("/v1/projects/{project}/invitations"), json!({"email": "x@example.com", "role": "viewer"}))
            .await
            .created();
        owner.delete(&path).await.no_content();
        owner.post_empty(format!("{path}/restore")).await.ok();
        rename(&owner, &project, "Done").await;

        let mut received = Vec::new();
        while received.last().is_none_or(|(_, event): &(String, Value)| event["type"] != "project.updated") {
            let event = stream.event().await;
            received.push((stream.last_id.clone(), event));
        }
        let feed = feed(&owner, &begun, "").await;
        assert_eq!(
            received.iter().map(|(_, event)| event["type"].as_str().unwrap()).collect::<Vec<_>>(),
            ["task.created", "task.updated", "comment.created", "comment.deleted", "invitation.created", "task.deleted",
             "task.restored", "project.updated"]
        );
        assert!(received.iter().map(|(_, event)| event).eq(feed.iter().map(|(_, event)| event)), "{received:#?}\n{feed:#?}");
        assert_eq!(received.last(), feed.last(), "the id of a message is a cursor of the feed");
        let kinds = events_until(&mut other, "Done").await;
        assert_eq!(types(&kinds).len(), 6, "only owners receive invitation events: {kinds:#?}");
    }

    async fn a_commit_wakes_streams_without_polling(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let mut stream = follow(&owner, "").await;
        let begin = Instant::now();
        for round in 0..ROUNDS {
            let name = format!("Round {round}");
            rename(&owner, &project, &name).await;
            assert!(events_until(&mut stream, &name).await.is_empty());
        }
        // With polling alone this would take ten times as long.
        assert!(begin.elapsed() < POLL_INTERVAL, "{:?}", begin.elapsed());
    }

    async fn filters_apply_to_past_and_future_events(app: TestApp) {
        let owner = app.user().await;
        let (project, other) = (owner.project().await, owner.project().await);
        let begun = follow(&owner, "").await.last_id;
        let write = async |round: &str| {
            for project in [&project, &other] {
                let task = owner.task(project, json!({"title": round})).await;
                owner.delete(format!("/v1/tasks/{}", task.id())).await.no_content();
                rename(&owner, project, round).await;
            }
        };
        write("past").await;
        let cases = [
            (format!("project_id={other}"), 6),
            ("type=task.created,project.updated".to_owned(), 8),
            (format!("type=project.updated&project_id={other}"), 2),
        ];
        let mut streams = Vec::new();
        for (query, _) in &cases {
            streams.push(resume(&owner, query, &begun).await);
        }
        write("present").await;
        for (stream, (query, count)) in streams.iter_mut().zip(cases) {
            let expected = feed(&owner, &begun, &query).await;
            assert_eq!(expected.len(), count, "{query}");
            for (_, event) in expected {
                assert_eq!(stream.event().await, event, "{query}");
            }
        }
    }

    async fn last_event_id_takes_precedence_over_the_parameter_unless_empty(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let mut stream = follow(&owner, "").await;
        let old = stream.last_id.clone();
        for name in ["one", "two"] {
            rename(&owner, &project, name).await;
        }
        let first = stream.event().await;
        let new = stream.last_id.clone();
        let second = stream.event().await;
        let query = format!("cursor={}", percent_encoded(&old));
        assert_eq!(follow(&owner, &query).await.event().await, first);
        assert_eq!(resume(&owner, &query, &new).await.event().await, second);
        let call = owner.call(Method::GET, format!("{STREAM}?{query}")).header("last-event-id", "");
        assert_eq!(call.follow().await.event().await, first);
    }

    async fn an_invalid_stream_request_is_rejected_like_any_other(app: TestApp) {
        let (owner, stranger) = (app.user().await, app.user().await);
        let project = owner.project().await;
        let foreign = follow(&stranger, "").await.last_id;
        let back = owner.get("/v1/events?order=desc&limit=1").await.ok()["meta"]["next_cursor"].clone();
        let get = |query: String| owner.call(Method::GET, format!("{STREAM}?{query}"));
        for cursor in ["x", "AAAA", &foreign, back.as_str().unwrap()] {
            get(format!("cursor={cursor}")).send().await.fails(400, "INVALID_CURSOR");
            get(String::new()).header("last-event-id", cursor).send().await.fails(400, "INVALID_CURSOR");
        }
        get("type=task".to_owned()).send().await.fails(400, "VALIDATION_FAILED");
        get("limit=1".to_owned()).send().await.invalid(&["limit:unknown_parameter"]);
        get(format!("project_id={UNKNOWN_ID}")).send().await.invalid(&["project_id:reference"]);
        let path = format!("{STREAM}?project_id={project}");
        stranger.get(&path).await.fails(403, "FORBIDDEN");
        app.anonymous().get(STREAM).await.fails(401, "UNAUTHENTICATED");
        let (writer, _) = api_client(&app, &owner, &["write"]).await;
        writer.get(STREAM).await.fails(403, "INSUFFICIENT_SCOPE");
        get(String::new()).header("accept", "application/json").send().await.fails(406, "NOT_ACCEPTABLE");
        for accept in ["text/event-stream", "text/*", "*/*"] {
            get(String::new()).header("accept", accept).follow().await;
        }
    }

    async fn streams_are_neither_compressed_nor_cached(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let call = owner.call(Method::GET, STREAM).header("accept-encoding", "gzip, deflate, br");
        let mut stream = call.follow().await;
        for (name, value) in [("cache-control", "private, no-store, no-transform"), ("x-accel-buffering", "no")] {
            assert_eq!(stream.answer.header(name), value);
        }
        assert!(!stream.answer.headers.contains_key("content-encoding"));
        let long = "x".repeat(10_000);
        owner.task(&project, json!({"title": "Long", "description": long})).await;
        assert_eq!(stream.event().await["data"]["description"], long);
    }

    async fn a_stream_counts_as_one_request_for_the_rate_limit(database: TestDatabase) {
        let app = TestApp::new(&database, Options { api_per_minute: 3, ..Options::default() }).await;
        let user = app.user().await;
        let mut streams = Vec::new();
        for left in ["2", "1", "0"] {
            let stream = follow(&user, "").await;
            assert_eq!(stream.answer.header("ratelimit-remaining"), left);
            streams.push(stream);
        }
        user.get(STREAM).await.fails(429, "RATE_LIMITED");
    }
}
