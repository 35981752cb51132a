//! Somebody is taken out of a project at the same time as tasks change there, by their hand or for them.

use std::sync::Arc;

use poem::http::Method;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::api::fixtures::common::at_once;
use crate::api::fixtures::members::{
    ROUNDS, at, both, check_people, expected, join, membership, newcomer, outcome, remove, request, roles,
    two_processes,
};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, TestDatabase};

const FORBIDDEN: (u16, &str) = (403, "FORBIDDEN");

/// Everything in a project, in the trash too.
async fn contents(owner: &Client, project: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for query in ["limit=100", "limit=100&deleted=true"] {
        all.push(owner.get(format!("/v1/projects/{project}/tasks?{query}")).await.ok()["data"].take());
    }
    all
}

/// Writes to a project until that is forbidden, and a few times more.
async fn write_on(user: Client, project: String, task: String, begun: Arc<Notify>) {
    let mut refused = 0;
    for number in 0_u32.. {
        let (method, path, body) = match number % 4 {
            0 => (Method::POST, format!("/v1/projects/{project}/tasks"), json!({"title": "new"})),
            1 => (Method::PATCH, format!("/v1/tasks/{task}"), json!({"title": format!("{number}")})),
            2 => (Method::PATCH, format!("/v1/tasks/{task}"), json!({"assignee_id": user.user_id()})),
            _ => (Method::POST, format!("/v1/tasks/{task}/comments"), json!({"body": "x"})),
        };
        let answer = request(&user, method, path, body).await;
        begun.notify_one();
        match outcome(&answer) {
            (200 | 201, "") => assert_eq!(refused, 0, "who was refused comes in again"),
            FORBIDDEN => refused += 1,
            other => panic!("{other:?}"),
        }
        if refused == 8 {
            break;
        }
    }
}

on_both_databases! {
    async fn nothing_is_written_by_who_was_taken_out(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        let owner = one.user().await;
        for _ in 0..ROUNDS {
            let project = owner.project().await;
            let user = newcomer(&one, &owner, &project, "editor").await;
            let begun = Arc::new(Notify::new());
            let mut writers = Vec::new();
            for number in 0..4 {
                let task = owner.task(&project, json!({"title": "x", "assignee_id": user.user_id()})).await.id();
                let client = if number % 2 == 0 { user.clone() } else { at(&other, &user) };
                writers.push(tokio::spawn(write_on(client, project.clone(), task, Arc::clone(&begun))));
            }
            for _ in 0..4 {
                begun.notified().await;
            }
            remove(&owner, &project, &user).await.no_content();
            let before = contents(&owner, &project).await;
            for writer in writers {
                writer.await.unwrap();
            }
            assert_eq!(contents(&owner, &project).await, before, "a write came after the removal was answered");
            check_people(&database).await;
        }
    }

    async fn nobody_is_given_a_task_who_was_taken_out(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        let owner = one.user().await;
        for round in 0..ROUNDS {
            let (project, source) = (owner.project().await, owner.project().await);
            let user = newcomer(&one, &owner, &project, "editor").await;
            join(&owner, &source, &user, "viewer").await;
            let assigned = json!({"assignee_id": user.user_id()});
            let new = json!({"title": "new", "assignee_id": user.user_id()});
            let mut requests = Vec::new();
            for number in 0..3 {
                let client = if number % 2 == 0 { owner.clone() } else { at(&other, &owner) };
                let task = owner.task(&project, json!({"title": "x"})).await.id();
                requests.push(request(&client, Method::PATCH, format!("/v1/tasks/{task}"), assigned.clone()));
                let path = format!("/v1/projects/{project}/tasks");
                requests.push(request(&client, Method::POST, path.clone(), new.clone()));
                let moved = owner.task(&source, new.clone()).await.id();
                let target = json!({"project_id": project});
                requests.push(request(&client, Method::POST, format!("/v1/tasks/{moved}/move"), target));
                let mut operation = new.clone();
                operation["op"] = json!("create");
                requests.push(request(&client, Method::POST, format!("{path}/batch"), json!({"operations": [operation]})));
            }
            let by = if round % 2 == 0 { &user } else { &owner };
            let removal = request(&at(&other, by), Method::DELETE, membership(&project, &user), Value::Null);
            let (answers, removed) = both(at_once(requests), removal).await;
            removed.no_content();
            for answer in answers {
                assert!([200, 201, 400].contains(&answer.status.as_u16()), "{}", answer.text);
            }
            check_people(&database).await;
        }
    }

    async fn who_leaves_while_being_taken_out_is_out_once(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        let owner = one.user().await;
        for _ in 0..ROUNDS {
            let project = owner.project().await;
            let user = newcomer(&one, &owner, &project, "editor").await;
            let task = owner.task(&project, json!({"title": "x", "assignee_id": user.user_id()})).await.id();
            let path = membership(&project, &user);
            let (left, taken) = both(
                request(&at(&other, &user), Method::DELETE, path.clone(), Value::Null),
                request(&owner, Method::DELETE, path, Value::Null),
            )
            .await;
            let ends = (outcome(&left), outcome(&taken));
            assert!([((204, ""), (404, "NOT_FOUND")), (FORBIDDEN, (204, ""))].contains(&ends), "{ends:?}");
            assert_eq!(owner.get(format!("/v1/tasks/{task}")).await.ok()["version"], 2);
            assert_eq!(roles(&owner, &project).await, expected([(&owner, "owner")]));
        }
        check_people(&database).await;
    }
}
