//! Concurrent changes of comments and their tasks.

use pocket_tasks::contract::task::Task;
use pocket_tasks::contract::{ProjectId, TaskId, UserId};
use pocket_tasks::repositories::Store as _;
use poem::http::Method;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use super::crud::{assert_deleted, at, comment, comments_on, owner_with_task};
use crate::api::fixtures::common::{concurrently, statuses};
use crate::api::fixtures::members::request;
use crate::api::fixtures::stored_members::{member, remove_member};
use crate::api::fixtures::writes::{KEY, REPLAYED, new_key};
use crate::api::task::move_deadlocks::until_waiting;
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Answer, Options, TestApp, TestDatabase};

/// Number of repetitions, because a race has more than one outcome.
const ROUNDS: usize = 8;

on_both_databases! {
    async fn repeated_requests_with_one_key_create_one_comment(app: TestApp) {
        let (owner, _, task) = owner_with_task(&app).await;
        let key = new_key();
        let requests: Vec<_> = (0..20)
            .map(|_| {
                let call = owner.call(Method::POST, comments_on(&task)).json(&json!({"body": "Once"}));
                call.header(KEY, &key).send()
            })
            .collect();
        let mut answers = concurrently(requests).await;
        // Requests that did not wait for the first one got this error.
        answers.retain(|answer| answer.body["error"] != "IDEMPOTENCY_IN_PROGRESS");
        assert_eq!(answers.iter().filter(|answer| !answer.headers.contains_key(REPLAYED)).count(), 1);
        let list = owner.get(comments_on(&task)).await.ok();
        assert_eq!(list["meta"]["total"], 1);
        for answer in answers {
            assert_eq!(answer.created(), list["data"][0]);
        }
    }

    async fn the_loser_of_two_concurrent_edits_gets_the_current_comment(app: TestApp) {
        let (owner, project, task) = owner_with_task(&app).await;
        let author = member(&app, &project, "editor").await;
        for _ in 0..ROUNDS {
            let said = author.post(comments_on(&task), json!({"body": "Said"})).await;
            let edits: Vec<_> = ["One", "Other"]
                .map(|body| {
                    let call = author.call(Method::PATCH, at(&said.body)).header("if-match", said.header("etag"));
                    call.json(&json!({"body": body})).send()
                })
                .into();
            let answers = concurrently(edits).await;
            assert_eq!(statuses(&answers), [200, 412]);
            let now = owner.get(at(&said.body)).await.ok();
            assert_eq!(now["version"], 2);
            for answer in answers {
                let shown = if answer.status.as_u16() == 200 { &answer.body } else { &answer.body["current"] };
                assert_eq!(shown, &now);
            }
        }
    }

    async fn each_concurrent_edit_is_one_version(app: TestApp) {
        let (owner, _, task) = owner_with_task(&app).await;
        let said = comment(&owner, &task, "Said").await;
        let edits = (0..12).map(|n| request(&owner, Method::PATCH, at(&said), json!({"body": format!("{n}")})));
        let mut answers: Vec<Value> = concurrently(edits.collect::<Vec<_>>()).await.into_iter().map(Answer::ok).collect();
        answers.sort_by_key(|comment| comment["version"].as_i64());
        let versions: Vec<i64> = answers.iter().map(|comment| comment["version"].as_i64().unwrap()).collect();
        assert_eq!(versions, (2..=13).collect::<Vec<_>>());
        assert_eq!(Some(&owner.get(at(&said)).await.ok()), answers.last());
    }

    async fn a_comment_deleted_during_an_edit_stays_deleted(app: TestApp) {
        let (owner, project, task) = owner_with_task(&app).await;
        let author = member(&app, &project, "editor").await;
        for _ in 0..ROUNDS {
            let said = comment(&author, &task, "Said").await;
            let removals = [&owner, &author, &owner].map(|who| request(who, Method::DELETE, at(&said), Value::Null));
            let edits = ["One", "Other"].map(|body| request(&author, Method::PATCH, at(&said), json!({"body": body})));
            let (removals, edits) = tokio::join!(concurrently(removals), concurrently(edits));
            assert_eq!(statuses(&removals), [204, 404, 404]);
            for edit in edits {
                assert!([200, 404].contains(&edit.status.as_u16()), "{}", edit.text);
            }
            assert_deleted(&owner, &said).await;
        }
        assert_eq!(owner.get(comments_on(&task)).await.ok()["data"], json!([]));
    }

    async fn a_comment_during_a_move_requires_access_to_the_target_project(app: TestApp) {
        let (owner, project, _) = owner_with_task(&app).await;
        let (editor, away) = (member(&app, &project, "editor").await, owner.project().await);
        for _ in 0..ROUNDS {
            let task = owner.task(&project, json!({"title": "x"})).await.id();
            let said = comment(&editor, &task, "Said").await;
            let mut requests = vec![
                request(&editor, Method::PATCH, at(&said), json!({"body": "Changed"})),
                request(&owner, Method::POST, format!("/v1/tasks/{task}/move"), json!({"project_id": away})),
            ];
            requests.extend((0..6).map(|_| request(&editor, Method::POST, comments_on(&task), json!({"body": "x"}))));
            let answers = concurrently(requests).await;
            let created = answers.iter().filter(|answer| answer.status.as_u16() == 201).count();
            for answer in answers.into_iter().filter(|answer| !answer.status.is_success()) {
                answer.fails(403, "FORBIDDEN");
            }
            let list = owner.get(comments_on(&task)).await.ok();
            assert_eq!(list["meta"]["total"], 1 + created, "a rejected comment is not stored");
        }
    }

    // The same race in its worst order: the request has started and waits for the project.
    async fn a_write_that_waited_for_a_move_is_rejected(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let (owner, project, task) = owner_with_task(&app).await;
        let (editor, away) = (member(&app, &project, "editor").await, owner.project().await);
        let (reader, others) = (UserId::parse(owner.user_id()).unwrap(), database.another_store().await);
        let said = comment(&editor, &task, "Said").await;
        for (method, path, body) in writes(&task, &said) {
            let lock = others.begin().await.unwrap();
            let found = lock.tasks().lock(TaskId::parse(&task).unwrap(), reader).await.unwrap().unwrap();
            let request = tokio::spawn(request(&editor, method.clone(), path.clone(), body));
            until_one_request_waits(&database).await;
            let moved = Task { project_id: ProjectId::parse(&away).unwrap(), ..found.task.clone() };
            lock.tasks().update(&moved).await.unwrap();
            lock.commit().await.unwrap();
            let answer = request.await.unwrap();
            assert_eq!(answer.status.as_u16(), 403, "{method} {path}: {}", answer.text);
            let back = others.begin().await.unwrap();
            back.tasks().update(&found.task).await.unwrap();
            back.commit().await.unwrap();
        }
        assert_eq!(owner.get(comments_on(&task)).await.ok()["data"], json!([said]));
    }

    async fn a_write_that_waited_for_a_removal_is_rejected(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        // SQLite has one writer at a time, so a waiting request has not read anything.
        if !database.is_postgres() {
            return;
        }
        let (owner, project, task) = owner_with_task(&app).await;
        let (reader, others) = (UserId::parse(owner.user_id()).unwrap(), database.another_store().await);
        for number in 0..3 {
            let editor = member(&app, &project, "editor").await;
            let said = comment(&editor, &task, "Said").await;
            let (method, path, body) = writes(&task, &said).swap_remove(number);
            let lock = others.begin().await.unwrap();
            lock.projects().lock(ProjectId::parse(&project).unwrap(), reader).await.unwrap();
            let request = tokio::spawn(request(&editor, method.clone(), path.clone(), body));
            until_one_request_waits(&database).await;
            remove_member(&app, &project, &editor).await;
            lock.commit().await.unwrap();
            let answer = request.await.unwrap();
            assert_eq!(answer.status.as_u16(), 403, "{method} {path}: {}", answer.text);
            assert_eq!(owner.get(at(&said)).await.ok(), said);
        }
    }
}

/// Every write on comments.
fn writes(task: &str, said: &Value) -> Vec<(Method, String, Value)> {
    vec![
        (Method::POST, comments_on(task), json!({"body": "x"})),
        (Method::PATCH, at(said), json!({"body": "x"})),
        (Method::DELETE, at(said), Value::Null),
    ]
}

/// Waits until a request holds its snapshot and waits for a lock. Returns immediately on SQLite, where it reads later.
pub(crate) async fn until_one_request_waits(database: &TestDatabase) {
    if database.is_postgres() {
        let mut observer = PgConnection::connect(&database.url).await.unwrap();
        until_waiting(&mut observer, 1).await;
        observer.close().await.unwrap();
    }
}
