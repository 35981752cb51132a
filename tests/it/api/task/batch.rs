//! Successful batches.

use std::collections::BTreeSet;
use std::time::Duration;

use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::common::{concurrently, time, with};
use crate::api::fixtures::positions::{create_tasks, ordered_tasks, task_counts, titles};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Answer, Client, TestApp};

async fn send(client: &Client, project: &str, operations: Value) -> Answer {
    client.post(format!("/v1/projects/{project}/tasks/batch"), json!({"operations": operations})).await
}

/// Sends a successful batch and returns its results.
async fn run(client: &Client, project: &str, operations: Value) -> Vec<Value> {
    let count = operations.as_array().unwrap().len();
    let body = send(client, project, operations).await.ok();
    let results = body["results"].as_array().unwrap().clone();
    assert_eq!(results.len(), count, "{body}");
    results
}

fn creations(titles: &str) -> Value {
    titles.chars().map(|title| json!({"op": "create", "title": title})).collect()
}

on_both_databases! {
    async fn batch_operations_are_executed_in_order(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let before = create_tasks(&owner, &project, "abcd").await;
        let started = app.clock.now();
        app.clock.advance(Duration::from_secs(1));
        let results = run(&owner, &project, json!([
            {"op": "create", "title": " e ", "status": "done", "labels": ["x"], "assignee_id": owner.user_id()},
            {"op": "update", "task_id": before[0]["id"], "status": "done", "description": "Green"},
            {"op": "delete", "task_id": before[1]["id"]},
            {"op": "create", "title": "f", "due_at": "2026-01-31T10:00:00+01:00", "priority": "high"},
            {"op": "update", "task_id": before[3].id().to_uppercase(), "title": "D", "assignee_id": null},
        ])).await;
        let at = &results[0]["created_at"];
        assert!(time(at) > started);
        let created = |result: &Value, fields: Value| {
            let defaults = json!({
                "id": result["id"], "project_id": project, "description": null, "status": "todo", "priority": "none",
                "due_at": null, "assignee_id": null, "labels": [], "position": result["position"],
                "created_by": owner.user_id(), "completed_at": null, "deleted_at": null, "version": 1,
                "created_at": at, "updated_at": at,
            });
            with(&defaults, &fields)
        };
        let full = json!({
            "title": "e", "status": "done", "completed_at": at, "labels": ["x"], "assignee_id": owner.user_id(),
        });
        let done = json!({
            "status": "done", "description": "Green", "completed_at": at, "updated_at": at, "version": 2,
        });
        let timed = json!({"title": "f", "due_at": "2026-01-31T09:00:00.000Z", "priority": "high"});
        let expected = [
            created(&results[0], full),
            with(&before[0], &done),
            Value::Null,
            created(&results[3], timed),
            with(&before[3], &json!({"title": "D", "updated_at": at, "version": 2})),
        ];
        assert_eq!(results, expected);
        let [e, a, _, f, d] = expected;
        assert_eq!(ordered_tasks(&owner, &project).await, [a, before[2].clone(), d, e, f]);
        assert_eq!(task_counts(&owner, &project).await, (5, 2));
        let trash = owner.get(format!("/v1/projects/{project}/tasks?deleted=true")).await.ok();
        let deleted = json!({"deleted_at": at, "updated_at": at, "version": 2});
        assert_eq!(trash["data"], json!([with(&before[1], &deleted)]));
        // A task deleted by a batch can be restored.
        owner.post_empty(format!("/v1/tasks/{}/restore", before[1].id())).await.ok();
        assert_eq!(titles(&owner, &project).await, "abcDef");
    }

    async fn new_tasks_of_a_batch_keep_their_order(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let mut known = 0;
        // Around the sizes of insert chunks, up to the maximum.
        for count in [1, 2, 19, 20, 21, 40, 41, 100] {
            let operations = (0..count).map(|number| json!({"op": "create", "title": format!("{number}")})).collect();
            let results = run(&owner, &project, operations).await;
            let found = ordered_tasks(&owner, &project).await;
            assert_eq!(found[known..], results, "{count}");
            let titles: Vec<&str> = results.iter().map(|task| task["title"].as_str().unwrap()).collect();
            assert_eq!(titles, (0..count).map(|number| number.to_string()).collect::<Vec<_>>());
            known += results.len();
            assert_eq!(task_counts(&owner, &project).await, (i64::try_from(known).unwrap(), 0));
        }
        owner.task(&project, json!({"title": "last"})).await;
        assert_eq!(ordered_tasks(&owner, &project).await.last().unwrap()["title"], "last");
    }

    async fn later_operations_see_earlier_ones(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let tasks = create_tasks(&owner, &project, "ab").await;
        app.clock.advance(Duration::from_secs(1));
        let (a, b) = (&tasks[0]["id"], &tasks[1]["id"]);
        let results = run(&owner, &project, json!([
            {"op": "update", "task_id": a, "title": "x", "status": "done"},
            {"op": "update", "task_id": b, "status": "done"},
            {"op": "update", "task_id": a, "description": "y"},
            {"op": "update", "task_id": b, "status": "todo"},
            {"op": "delete", "task_id": a},
        ])).await;
        let versions: Vec<i64> = results[..4].iter().map(|task| task["version"].as_i64().unwrap()).collect();
        assert_eq!(versions, [2, 2, 3, 3]);
        assert_eq!((&results[2]["title"], &results[2]["status"]), (&json!("x"), &json!("done")));
        assert_eq!(results[3]["completed_at"], Value::Null);
        assert_eq!(results[4], Value::Null);
        assert_eq!(ordered_tasks(&owner, &project).await, [results[3].clone()]);
        assert_eq!(task_counts(&owner, &project).await, (1, 0));
        let trash = owner.get(format!("/v1/projects/{project}/tasks?deleted=true")).await.ok();
        let state = (&trash["data"][0]["title"], &trash["data"][0]["description"], &trash["data"][0]["version"]);
        assert_eq!(state, (&json!("x"), &json!("y"), &json!(4)));
    }

    async fn a_batched_update_without_changes_keeps_the_version(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let fields = json!({"title": "Tea", "status": "done", "labels": ["a"], "due_at": "2026-01-31T09:00:00Z"});
        let task = owner.task(&project, fields.clone()).await;
        let before = owner.get(format!("/v1/projects/{project}")).await.ok();
        app.clock.advance(Duration::from_secs(1));
        let update = json!({"op": "update", "task_id": task["id"]});
        let operations = json!([update, with(&update, &fields), with(&update, &json!({"description": null}))]);
        assert_eq!(run(&owner, &project, operations).await, [task.clone(), task.clone(), task.clone()]);
        assert_eq!(ordered_tasks(&owner, &project).await, std::slice::from_ref(&task));
        // Together with an update that changes something.
        let results = run(&owner, &project, json!([update, {"op": "create", "title": "x"}, update])).await;
        assert_eq!((&results[0], &results[2]), (&task, &task));
        assert_eq!(ordered_tasks(&owner, &project).await, [task, results[1].clone()]);
        app.work().await;
        let after = owner.get(format!("/v1/projects/{project}")).await.ok();
        let fields = json!({"task_counts": {"total": 2, "done": 1}, "completion_percentage": 50});
        assert_eq!(after, with(&before, &fields));
    }

    async fn a_batch_touches_its_own_tasks_only(app: TestApp) {
        let owner = app.user().await;
        let (project, other) = (owner.project().await, owner.project().await);
        let here = create_tasks(&owner, &project, "abc").await;
        create_tasks(&owner, &other, "xyz").await;
        let state = async || {
            (owner.get(format!("/v1/projects/{other}")).await.ok(), ordered_tasks(&owner, &other).await)
        };
        let before = state().await;
        let operations = json!([
            {"op": "create", "title": "d", "status": "done"},
            {"op": "delete", "task_id": here[2]["id"]},
            {"op": "update", "task_id": here[0]["id"], "status": "done"},
        ]);
        run(&owner, &project, operations).await;
        assert_eq!(state().await, before);
        assert_eq!(ordered_tasks(&owner, &project).await[1], here[1]);
        assert_eq!(task_counts(&owner, &project).await, (3, 2));
    }

    async fn a_batch_with_a_key_is_executed_once_and_replayed(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let gone = owner.task(&project, json!({"title": "gone"})).await;
        let path = format!("/v1/projects/{project}/tasks/batch");
        let body = json!({"operations": [
            {"op": "create", "title": "Größe 😀"}, {"op": "delete", "task_id": gone["id"]},
        ]});
        let call = |body: &Value| owner.call(Method::POST, &path).header("idempotency-key", "a-key").json(body);
        let bad = json!({"operations": [{"op": "create", "title": "x", "assignee_id": gone["id"]}]});
        call(&bad).send().await.invalid(&["operations[0].assignee_id:reference"]);
        let first = call(&body).send().await;
        app.clock.advance(Duration::from_secs(5));
        let again = call(&body).send().await;
        assert!(!first.headers.contains_key("idempotency-replayed"));
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!((again.status, &again.text), (first.status, &first.text));
        first.ok();
        call(&bad).send().await.fails(422, "IDEMPOTENCY_KEY_REUSED");
        assert_eq!(titles(&owner, &project).await, "Größe 😀");
        assert_eq!(task_counts(&owner, &project).await, (1, 0));
    }

    async fn concurrent_batches_all_succeed(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let before = create_tasks(&owner, &project, "abcdefgh").await;
        let batches = before.iter().zip(["ABCD", "EFGH", "IJKL", "MNOP", "QRST", "UVWX", "1234", "5678"]);
        let batches: Vec<_> = batches
            .map(|(task, titles)| {
                let (owner, project) = (owner.clone(), project.clone());
                let mut operations = creations(titles);
                let list = operations.as_array_mut().unwrap();
                list.push(json!({"op": "delete", "task_id": task["id"]}));
                // All batches update the same task, so that they conflict.
                list.push(json!({"op": "update", "task_id": before[0]["id"], "description": titles}));
                if task["id"] == before[0]["id"] {
                    list.remove(4);
                }
                async move { run(&owner, &project, operations).await }
            })
            .collect();
        let results = concurrently(batches).await;
        let order = ordered_tasks(&owner, &project).await;
        let positions: BTreeSet<String> = order.iter().map(|task| task["position"].to_string()).collect();
        assert_eq!((order.len(), positions.len()), (33, 33));
        assert_eq!(task_counts(&owner, &project).await, (33, 0));
        assert_eq!(order[0]["version"], 9);
        // The new tasks of a batch are consecutive.
        for batch in results {
            let start = order.iter().position(|task| task == &batch[0]).unwrap();
            assert_eq!(order[start..start + 4], batch[..4]);
        }
    }
}
