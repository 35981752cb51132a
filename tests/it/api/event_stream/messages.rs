//! The live stream: how it begins, and what it tells.

use std::time::Duration;

use poem::http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::api::fixtures::account::api_client;
use crate::api::fixtures::common::{NOBODY, encoded};
use crate::api::fixtures::members::newcomer;
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, Following, Options, TestApp, TestDatabase};

/// How often a process looks by itself.
pub(crate) const LOOK: Duration = Duration::from_secs(10);
/// So many events one after the other, of which each is waited for.
pub(crate) const ROUNDS: usize = 20;

pub(crate) const STREAM: &str = "/v1/events/stream";

/// Follows the feed, and reads where it begins.
pub(crate) async fn follow(client: &Client, query: &str) -> Following {
    let mut stream = client.call(Method::GET, format!("{STREAM}?{query}")).follow().await;
    begin(&mut stream).await;
    stream
}

/// Goes on after an event, as clients do.
pub(crate) async fn go_on(client: &Client, query: &str, last_id: &str) -> Following {
    let call = client.call(Method::GET, format!("{STREAM}?{query}")).header("last-event-id", last_id);
    let mut stream = call.follow().await;
    begin(&mut stream).await;
    assert_eq!(stream.last_id, last_id);
    stream
}

async fn begin(stream: &mut Following) {
    let block = stream.block().await.unwrap();
    assert_eq!(block, [("retry".to_owned(), "3000".to_owned()), ("id".to_owned(), stream.last_id.clone())]);
}

/// All that the feed has beyond a cursor, page by page, each event with the cursor to go on from.
pub(crate) async fn feed(client: &Client, cursor: &str, query: &str) -> Vec<(String, Value)> {
    let (mut all, mut cursor) = (Vec::new(), cursor.to_owned());
    loop {
        let page = client.get(format!("/v1/events?limit=100&cursor={}&{query}", encoded(&cursor))).await.ok();
        let events = page["data"].as_array().unwrap().clone();
        page["meta"]["next_cursor"].as_str().unwrap().clone_into(&mut cursor);
        all.extend(events.into_iter().map(|event| (cursor.clone(), event)));
        if page["meta"]["has_more"] == false {
            return all;
        }
    }
}

/// Renames a project, which is told like everything else: whatever happened before was told before.
pub(crate) async fn rename(client: &Client, project: &str, name: &str) {
    client.patch(format!("/v1/projects/{project}"), json!({"name": name})).await.ok();
}

/// The events up to the renaming of a project, without that.
pub(crate) async fn told_until(stream: &mut Following, name: &str) -> Vec<Value> {
    let mut told = Vec::new();
    loop {
        let event = stream.event().await;
        if event["type"] == "project.updated" && event["data"]["name"] == name {
            return told;
        }
        told.push(event);
    }
}

/// What the events tell, in short.
pub(crate) fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

on_both_databases! {
    async fn what_is_committed_is_told_in_order_and_as_the_feed_has_it(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let member = newcomer(&app, &owner, &project, "editor").await;
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

        let mut told = Vec::new();
        while told.last().is_none_or(|(_, event): &(String, Value)| event["type"] != "project.updated") {
            let event = stream.event().await;
            told.push((stream.last_id.clone(), event));
        }
        let feed = feed(&owner, &begun, "").await;
        assert_eq!(
            told.iter().map(|(_, event)| event["type"].as_str().unwrap()).collect::<Vec<_>>(),
            ["task.created", "task.updated", "comment.created", "comment.deleted", "invitation.created", "task.deleted",
             "task.restored", "project.updated"]
        );
        assert!(told.iter().map(|(_, event)| event).eq(feed.iter().map(|(_, event)| event)), "{told:#?}\n{feed:#?}");
        assert_eq!(told.last(), feed.last(), "an id is a cursor of the feed");
        let kinds = told_until(&mut other, "Done").await;
        assert_eq!(types(&kinds).len(), 6, "only owners are told of invitations: {kinds:#?}");
    }

    async fn what_is_committed_wakes_those_who_follow(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let mut stream = follow(&owner, "").await;
        let begin = Instant::now();
        for round in 0..ROUNDS {
            let name = format!("Round {round}");
            rename(&owner, &project, &name).await;
            assert!(told_until(&mut stream, &name).await.is_empty());
        }
        // Somebody who only looks every 10 s needs ten times as long.
        assert!(begin.elapsed() < LOOK, "{:?}", begin.elapsed());
    }

    async fn filters_are_for_the_past_and_for_what_comes(app: TestApp) {
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
            streams.push(go_on(&owner, query, &begun).await);
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

    async fn the_header_goes_before_the_parameter_and_an_empty_one_is_none(app: TestApp) {
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
        let query = format!("cursor={}", encoded(&old));
        assert_eq!(follow(&owner, &query).await.event().await, first);
        assert_eq!(go_on(&owner, &query, &new).await.event().await, second);
        let call = owner.call(Method::GET, format!("{STREAM}?{query}")).header("last-event-id", "");
        assert_eq!(call.follow().await.event().await, first);
    }

    async fn what_cannot_begin_is_refused_like_any_request(app: TestApp) {
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
        get(format!("project_id={NOBODY}")).send().await.invalid(&["project_id:reference"]);
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

    async fn a_stream_is_not_compressed_nor_kept_on_the_way(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let call = owner.call(Method::GET, STREAM).header("accept-encoding", "gzip, deflate, br");
        let mut stream = call.follow().await;
        for (name, value) in [("cache-control", "no-store, no-transform"), ("x-accel-buffering", "no")] {
            assert_eq!(stream.answer.header(name), value);
        }
        assert!(!stream.answer.headers.contains_key("content-encoding"));
        let long = "x".repeat(10_000);
        owner.task(&project, json!({"title": "Long", "description": long})).await;
        assert_eq!(stream.event().await["data"]["description"], long);
    }

    async fn a_stream_counts_as_one_request(database: TestDatabase) {
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
