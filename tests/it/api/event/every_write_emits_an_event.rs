//! Every operation that changes what others can see tells of it in the feed, once; whatever changes nothing does not.

use std::collections::BTreeSet;

use pocket_tasks::contract::event::EventType;
use poem::http::Method;
use serde_json::{Value, json};

use super::matrix::{lines, told};
use crate::api::fixtures::account::app_with_proofs;
use crate::api::fixtures::common::{send, with};
use crate::api::fixtures::events::{Follower, beyond, end, types};
use crate::api::fixtures::members::{join, newcomer};
use crate::api::fixtures::roles::{Who, World};
use crate::api::fixtures::writes::{KEY, assert_first, assert_replay, new_key, taking};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::document::operations;
use crate::support::{Client, Options, TestApp, TestDatabase};

#[test]
fn every_operation_that_writes_is_in_the_table() {
    let writing: BTreeSet<String> =
        operations().filter(|(_, method, ..)| *method != Method::GET).map(|(id, ..)| id).collect();
    let told: BTreeSet<String> = lines().into_iter().map(|line| line.operation.to_owned()).collect();
    let missing: Vec<_> = writing.difference(&told).collect();
    let unknown: Vec<_> = told.difference(&writing).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "not in tells.txt: {missing:?}; only there: {unknown:?}");
}

#[test]
fn every_type_of_the_feed_is_in_the_table() {
    let told: BTreeSet<&str> =
        lines().iter().flat_map(|line| &line.events).map(|event| event.split('@').next().unwrap()).collect();
    let all: BTreeSet<&str> = EventType::PUBLISHED.into_iter().map(EventType::as_str).collect();
    assert_eq!(told, all);
}

/// The requests that change nothing, of a world where the task is alone in its project.
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
    async fn each_write_leaves_the_events_of_the_table(database: TestDatabase) {
        let app = app_with_proofs(&database).await;
        let mut failures = Vec::new();
        for line in lines() {
            let world = World::new(&app, false).await;
            let (before, time) = (end(&app).await, app.clock.now());
            let answer = line.call(&world, &line.body(&world)).header("x-request-id", "who-did-it").send().await;
            assert!(answer.status.is_success(), "{}: {}", line.place(), answer.text);
            let events = beyond(&app, before).await;
            let found: Vec<String> = events.iter().map(|event| told(event, &world)).collect();
            if found != line.events {
                failures.push(format!("{}: {found:?}", line.place()));
            }
            for event in &events {
                assert_eq!(event["actor_id"], world.client(line.who, false).user_id(), "{event}");
                assert_eq!(event["request_id"], "who-did-it", "{event}");
                assert!(event["occurred_at"].as_str() >= Some(&time.to_string()), "{event}");
                assert_eq!(event["occurred_at"], events[0]["occurred_at"], "one moment for one request: {event}");
            }
        }
        assert!(failures.is_empty(), "{failures:#?}");
    }

    async fn what_fails_leaves_no_event(database: TestDatabase) {
        let app = app_with_proofs(&database).await;
        let world = World::new(&app, false).await;
        let before = end(&app).await;
        for line in lines().into_iter().filter(|line| !line.events.is_empty()) {
            let (path, body) = (world.filled(line.path, line.who), line.body(&world));
            let program = world.client(Who::Program, false);
            send(program, &line.method, &path, &body).await.fails(403, "INSUFFICIENT_SCOPE");
            if !body.is_null() {
                let client = world.client(line.who, false);
                send(client, &line.method, &path, &json!({"nothing": "of the kind"}))
                    .await
                    .fails(400, "VALIDATION_FAILED");
            }
            if let Some(path) = line.path_to_nothing() {
                send(world.client(line.who, false), &line.method, &path, &body).await.fails(404, "NOT_FOUND");
            }
        }
        assert_eq!(beyond(&app, before).await, [Value::Null; 0]);
    }

    async fn what_changes_nothing_leaves_no_event(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let requests = idle_requests(&owner, &project).await;
        let before = end(&app).await;
        for (method, path, body) in requests {
            let call = owner.call(method.clone(), &path);
            let call = if body.is_null() { call } else { call.json(&body) };
            call.send().await.ok();
            assert_eq!(beyond(&app, before).await, [Value::Null; 0], "{method} {path} {body}");
        }
    }

    async fn a_replay_leaves_no_event(database: TestDatabase) {
        let app = app_with_proofs(&database).await;
        let keyed: Vec<String> = taking("Idempotency-Key").0.into_iter().map(|operation| operation.id).collect();
        let mut replayed = 0;
        for line in lines() {
            if line.events.is_empty() || !keyed.iter().any(|id| id == line.operation) {
                continue;
            }
            let world = World::new(&app, false).await;
            let (key, body, before) = (new_key(), line.body(&world), end(&app).await);
            let first = line.call(&world, &body).header(KEY, &key).send().await;
            assert_first(&first, &line.place());
            let told = beyond(&app, before).await;
            assert_eq!(told.len(), line.events.len(), "{}", line.place());
            assert_replay(&first, &line.call(&world, &body).header(KEY, &key).send().await, &line.place());
            assert_eq!(beyond(&app, before).await, told, "{}", line.place());
            replayed += 1;
        }
        assert!(replayed > 10, "{replayed}");
    }

    async fn an_account_goes_and_comes_back_with_all_that_others_see_of_it(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let (friend, ada) = (app.user().await, app.user().await);
        let shared = friend.project().await;
        let member = join(&friend, &shared, &ada, "editor").await;
        let own = ada.project().await;
        let guest = newcomer(&app, &ada, &own, "viewer").await;
        let thrown_away = ada.project().await;
        ada.delete(format!("/v1/projects/{thrown_away}")).await.no_content();
        let (mut friends, mut guests) = (Follower::from_now(&friend).await, Follower::from_now(&guest).await);
        let before = end(&app).await;
        ada.delete("/v1/me").await.no_content();
        let (removed, deleted) = (friends.only().await, guests.only().await);
        assert_eq!((&removed["type"], &removed["data"]), (&json!("member.removed"), &member));
        assert_eq!((&deleted["type"], &deleted["project_id"]), (&json!("project.deleted"), &json!(own)));
        assert_eq!(deleted["previous"], json!({"deleted_at": null}));
        assert_eq!(deleted["data"]["deleted_at"], deleted["occurred_at"]);

        let credentials = json!({"email": ada.email(), "password": "correct horse"});
        let call = app.anonymous().call(Method::POST, "/v1/auth/login").json(&credentials);
        call.header("x-request-id", "she-is-back").send().await.ok();
        let (added, restored) = (friends.only().await, guests.only().await);
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
        // Nothing of what was in the trash before.
        let all = beyond(&app, before).await;
        assert_eq!(types(&all), ["project.deleted", "member.removed", "project.restored", "member.added"]);
    }
}
