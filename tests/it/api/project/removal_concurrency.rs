//! Removals of members concurrent with changes of tasks.

use std::sync::Arc;

use poem::http::Method;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::api::fixtures::common::concurrently;
use crate::api::fixtures::members::{
    ROUNDS, both, check_invariants, expected_roles, join, member_path, new_member, outcome, remove, request, roles,
    through, two_processes,
};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, TestDatabase};

const FORBIDDEN: (u16, &str) = (403, "FORBIDDEN");

/// Tasks of a project, including deleted ones.
async fn contents(owner: &Client, project: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for query in ["limit=100", "limit=100&deleted=true"] {
        all.push(owner.get(format!("/v1/projects/{project}/tasks?{query}")).await.ok()["data"].take());
    }
    all
}

/// Writes to a project until the writes are forbidden, and a few times more.
async fn write_until_forbidden(user: Client, project: String, task: String, begun: Arc<Notify>) {
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
            (200 | 201, "") => assert_eq!(refused, 0, "a write succeeded after a rejected one"),
            FORBIDDEN => refused += 1,
            other => panic!("{other:?}"),
        }
        if refused == 8 {
            break;
        }
    }
}

on_both_databases! {
    async fn a_removed_member_writes_nothing_after_removal(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        let owner = one.user().await;
        for _ in 0..ROUNDS {
            let project = owner.project().await;
            let user = new_member(&one, &owner, &project, "editor").await;
            let begun = Arc::new(Notify::new());
            let mut writers = Vec::new();
            for number in 0..4 {
                let task = owner.task(&project, json!({"title": "x", "assignee_id": user.user_id()})).await.id();
                let client = if number % 2 == 0 { user.clone() } else { through(&other, &user) };
                writers.push(tokio::spawn(write_until_forbidden(client, project.clone(), task, Arc::clone(&begun))));
            }
            for _ in 0..4 {
                begun.notified().await;
            }
            remove(&owner, &project, &user).await.no_content();
            let before = contents(&owner, &project).await;
            for writer in writers {
                writer.await.unwrap();
            }
            assert_eq!(contents(&owner, &project).await, before, "a write succeeded after the response to the removal");
            check_invariants(&database).await;
        }
    }

    async fn a_removed_member_is_not_assigned_to_tasks(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        let owner = one.user().await;
        for round in 0..ROUNDS {
            let (project, source) = (owner.project().await, owner.project().await);
            let user = new_member(&one, &owner, &project, "editor").await;
            join(&owner, &source, &user, "viewer").await;
            let assigned = json!({"assignee_id": user.user_id()});
            let new = json!({"title": "new", "assignee_id": user.user_id()});
            let mut requests = Vec::new();
            for number in 0..3 {
                let client = if number % 2 == 0 { owner.clone() } else { through(&other, &owner) };
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
            let removal = request(&through(&other, by), Method::DELETE, member_path(&project, &user), Value::Null);
            let (answers, removed) = both(concurrently(requests), removal).await;
            removed.no_content();
            for answer in answers {
                assert!([200, 201, 400].contains(&answer.status.as_u16()), "{}", answer.text);
            }
            check_invariants(&database).await;
        }
    }

    async fn concurrent_departure_and_removal_take_effect_once(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        let owner = one.user().await;
        for _ in 0..ROUNDS {
            let project = owner.project().await;
            let user = new_member(&one, &owner, &project, "editor").await;
            let task = owner.task(&project, json!({"title": "x", "assignee_id": user.user_id()})).await.id();
            let path = member_path(&project, &user);
            let (left, taken) = both(
                request(&through(&other, &user), Method::DELETE, path.clone(), Value::Null),
                request(&owner, Method::DELETE, path, Value::Null),
            )
            .await;
            let ends = (outcome(&left), outcome(&taken));
            assert!([((204, ""), (404, "NOT_FOUND")), (FORBIDDEN, (204, ""))].contains(&ends), "{ends:?}");
            assert_eq!(owner.get(format!("/v1/tasks/{task}")).await.ok()["version"], 2);
            assert_eq!(roles(&owner, &project).await, expected_roles([(&owner, "owner")]));
        }
        check_invariants(&database).await;
    }
}
