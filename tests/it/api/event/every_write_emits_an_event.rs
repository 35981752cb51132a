//! Events of every write operation: one per visible change, none without a change.

use std::collections::BTreeSet;

use pocket_tasks::contract::event::EventType;
use poem::http::Method;
use serde_json::{Value, json};

use super::matrix::{lines, notation};
use crate::api::fixtures::account::app_requiring_verification;
use crate::api::fixtures::common::{send, with};
use crate::api::fixtures::events::{FeedReader, events_after, last_sequence, types};
use crate::api::fixtures::members::{join, new_member};
use crate::api::fixtures::roles::{Actor, RoleFixture, RoleFixtures};
use crate::api::fixtures::writes::{KEY, assert_first, assert_replay, new_key, operations_by_header};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::document::operations;
use crate::support::{Client, Options, TestApp, TestDatabase};

#[test]
fn every_write_operation_is_in_the_table() {
    let writing: BTreeSet<String> =
        operations().filter(|(_, method, ..)| *method != Method::GET).map(|(id, ..)| id).collect();
    let notation: BTreeSet<String> = lines().into_iter().map(|line| line.operation.to_owned()).collect();
    let missing: Vec<_> = writing.difference(&notation).collect();
    let unknown: Vec<_> = notation.difference(&writing).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "missing from matrix.txt: {missing:?}; unknown operations: {unknown:?}"
    );
}

#[test]
fn every_event_type_is_in_the_table() {
    let notation: BTreeSet<&str> =
        lines().iter().flat_map(|line| &line.events).map(|event| event.split('@').next().unwrap()).collect();
    let all: BTreeSet<&str> = EventType::PUBLISHED.into_iter().map(EventType::as_str).collect();
    assert_eq!(notation, all);
}

/// Requests that change nothing, for a task that is alone in its project.
async fn idle_requests(owner: &Client, project: &str) -> Vec<(Method, String, Value)> {
    let first = owner.task(project, json!({"title": "A task", "labels": ["a"]})).await.id();
    let second = owner.task(project, json!({"title": "Another"})).await.id();
    let comments = format!("/v1/tasks/{first}/comments");
    let comment = owner.post(comments, json!({"body": "Why?"})).await.created().id();
    let (project, task) = (format!("/v1/projects/{project}"), format!("/v1/tasks/{first}"));
    let (comment, member) = (format!("/v1/comments/{comment}"), format!("{project}/members/{}", owner.user_id()));
    vec![
        (Method::PATCH, project.clone(), json!({})),
        (Method::PATCH, project.clone(), json!({"name": "A project", "description": null, "archived": false})),
        (Method::POST, format!("{project}/restore"), Value::Null),
        (Method::PATCH, member, json!({"role": "owner"})),
        (Method::PATCH, task.clone(), json!({})),
        (Method::PATCH, task.clone(), json!({"title": " A task ", "status": "todo", "labels": ["a"]})),
        (Method::POST, format!("{task}/restore"), Value::Null),
        (Method::POST, format!("{task}/move"), json!({})),
        (Method::POST, format!("{task}/move"), json!({"before_id": second})),
        (
            Method::POST,
            format!("{project}/tasks/batch"),
            json!({"operations": [
                {"op": "update", "task_id": first, "title": "A task"}, {"op": "update", "task_id": second},
            ]}),
        ),
        (Method::PATCH, comment.clone(), json!({})),
        (Method::PATCH, comment, json!({"body": "Why?"})),
    ]
}

on_both_databases! {
    async fn each_write_emits_the_events_of_the_table(database: TestDatabase) {
        let mut fixtures = RoleFixtures::new(&database, false).await;
        let mut failures = Vec::new();
        for line in lines() {
            let fixture = fixtures.fresh().await;
            let app = &fixture.app;
            let (before, time) = (last_sequence(app).await, app.clock.now());
            let answer = line.call(&fixture, &line.body(&fixture)).header("x-request-id", "who-did-it").send().await;
            assert!(answer.status.is_success(), "{}: {}", line.context(), answer.text);
            let events = events_after(app, before).await;
            let found: Vec<String> = events.iter().map(|event| notation(event, &fixture)).collect();
            if found != line.events {
                failures.push(format!("{}: {found:?}", line.context()));
            }
            for event in &events {
                assert_eq!(event["actor_id"], fixture.client(line.who, false).user_id(), "{event}");
                assert_eq!(event["request_id"], "who-did-it", "{event}");
                assert!(event["occurred_at"].as_str() >= Some(&time.to_string()), "{event}");
                assert_eq!(event["occurred_at"], events[0]["occurred_at"], "all events of a request have the same time: {event}");
            }
        }
        fixtures.remove().await;
        assert!(failures.is_empty(), "{failures:#?}");
    }

    async fn a_failed_write_emits_no_event(database: TestDatabase) {
        let app = app_requiring_verification(&database).await;
        let fixture = RoleFixture::new(&app, false).await;
        let before = last_sequence(&app).await;
        for line in lines().into_iter().filter(|line| !line.events.is_empty()) {
            let (path, body) = (fixture.filled(line.path, line.who), line.body(&fixture));
            let program = fixture.client(Actor::Program, false);
            // A program never deletes an account.
            let refusal = if line.path == "/v1/me" { "FORBIDDEN" } else { "INSUFFICIENT_SCOPE" };
            send(program, &line.method, &path, &body).await.fails(403, refusal);
            if !body.is_null() {
                let client = fixture.client(line.who, false);
                send(client, &line.method, &path, &json!({"nothing": "of the kind"}))
                    .await
                    .fails(400, "VALIDATION_FAILED");
            }
            if let Some(path) = line.path_with_unknown_id() {
                send(fixture.client(line.who, false), &line.method, &path, &body).await.fails(404, "NOT_FOUND");
            }
        }
        assert_eq!(events_after(&app, before).await, [Value::Null; 0]);
    }

    async fn a_write_without_changes_emits_no_event(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let requests = idle_requests(&owner, &project).await;
        let before = last_sequence(&app).await;
        for (method, path, body) in requests {
            let call = owner.call(method.clone(), &path);
            let call = if body.is_null() { call } else { call.json(&body) };
            call.send().await.ok();
            assert_eq!(events_after(&app, before).await, [Value::Null; 0], "{method} {path} {body}");
        }
    }

    async fn a_replayed_write_emits_no_event(database: TestDatabase) {
        let mut fixtures = RoleFixtures::new(&database, false).await;
        let keyed: Vec<String> = operations_by_header("Idempotency-Key").0.into_iter().map(|operation| operation.id).collect();
        let mut replayed = 0;
        for line in lines() {
            if line.events.is_empty() || !keyed.iter().any(|id| id == line.operation) {
                continue;
            }
            let fixture = fixtures.fresh().await;
            let app = &fixture.app;
            let (key, body, before) = (new_key(), line.body(&fixture), last_sequence(app).await);
            let first = line.call(&fixture, &body).header(KEY, &key).send().await;
            assert_first(&first, &line.context());
            let notation = events_after(app, before).await;
            assert_eq!(notation.len(), line.events.len(), "{}", line.context());
            assert_replay(&first, &line.call(&fixture, &body).header(KEY, &key).send().await, &line.context());
            assert_eq!(events_after(app, before).await, notation, "{}", line.context());
            replayed += 1;
        }
        fixtures.remove().await;
        assert!(replayed > 10, "{replayed}");
    }

    async fn account_deletion_and_restoration_emit_events_for_shared_projects(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let (friend, ada) = (app.user().await, app.user().await);
        let shared = friend.project().await;
        let member = join(&friend, &shared, &ada, "editor").await;
        let own = ada.project().await;
        let guest = new_member(&app, &ada, &own, "viewer").await;
        let thrown_away = ada.project().await;
        ada.delete(format!("/v1/projects/{thrown_away}")).await.no_content();
        let (mut friends, mut guests) = (FeedReader::from_now(&friend).await, FeedReader::from_now(&guest).await);
        let before = last_sequence(&app).await;
        ada.delete("/v1/me").await.no_content();
        let (removed, deleted) = (friends.only_new_event().await, guests.only_new_event().await);
        assert_eq!((&removed["type"], &removed["data"]), (&json!("member.removed"), &member));
        assert_eq!((&deleted["type"], &deleted["project_id"]), (&json!("project.deleted"), &json!(own)));
        assert_eq!(deleted["previous"], json!({"deleted_at": null}));
        assert_eq!(deleted["data"]["deleted_at"], deleted["occurred_at"]);

        let credentials = json!({"email": ada.email(), "password": "correct horse"});
        let call = app.anonymous().call(Method::POST, "/v1/auth/login").json(&credentials);
        call.header("x-request-id", "she-is-back").send().await.ok();
        let (added, restored) = (friends.only_new_event().await, guests.only_new_event().await);
        assert_eq!(
            (&added["type"], &added["data"], &added["previous"]),
            (&json!("member.added"), &member, &Value::Null)
        );
        assert_eq!((&restored["type"], &restored["data"]["deleted_at"]), (&json!("project.restored"), &Value::Null));
        assert_eq!(restored["previous"], json!({"deleted_at": deleted["occurred_at"]}));
        let seen = guest.get(format!("/v1/projects/{own}")).await.ok();
        assert_eq!(restored["data"], with(&seen, &json!({"role": null})));
        for event in [&added, &restored] {
            assert_eq!((&event["actor_id"], &event["request_id"]), (&json!(ada.user_id()), &json!("she-is-back")));
        }
        // No events for projects that were deleted before the account.
        let all = events_after(&app, before).await;
        assert_eq!(types(&all), ["project.deleted", "member.removed", "project.restored", "member.added"]);
    }
}
