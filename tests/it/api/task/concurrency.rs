//! Concurrent requests about the tasks of one project.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::api::fixtures::common::{concurrently, with};
use crate::on_both_databases;
use crate::support::TestApp;
use crate::support::client::Ids as _;

on_both_databases! {
    async fn concurrent_updates_of_different_fields_are_all_kept(app: TestApp) {
        let owner = app.user().await;
        let task = owner.task(&owner.project().await, json!({"title": "Tea"})).await;
        let path = format!("/v1/tasks/{}", task.id());
        let changes = json!({
            "title": "Coffee", "description": "Black", "status": "done", "priority": "high",
            "due_at": "2026-01-31T09:00:00.000Z", "assignee_id": owner.user_id(), "labels": ["a"],
        });
        let requests = changes.as_object().unwrap().clone().into_iter().map(|(name, value)| {
            let (owner, path) = (owner.clone(), path.clone());
            async move { owner.patch(path, json!({name: value})).await.ok() }
        });
        let answers = concurrently(requests).await;
        let versions: BTreeSet<i64> = answers.iter().map(|task| task["version"].as_i64().unwrap()).collect();
        assert_eq!(versions, (2..=8).collect());
        let after = owner.get(&path).await.ok();
        for (name, value) in changes.as_object().unwrap() {
            assert_eq!(&after[name], value, "{name} was lost: {after}");
        }
        assert_eq!(after["version"], 8);
    }

    async fn concurrent_updates_each_increase_the_version(app: TestApp) {
        let owner = app.user().await;
        let task = owner.task(&owner.project().await, json!({"title": "Tea"})).await;
        let path = format!("/v1/tasks/{}", task.id());
        let requests = (0..20).map(|number| {
            let (owner, path) = (owner.clone(), path.clone());
            let change = match number % 4 {
                0 => json!({"title": format!("Title {number}")}),
                1 => json!({"description": format!("Description {number}")}),
                2 => json!({"due_at": format!("2026-01-{:02}T09:00:00.000Z", number + 1)}),
                _ => json!({"labels": [format!("label {number}")]}),
            };
            async move { (change.clone(), owner.patch(path, change).await.ok()) }
        });
        let mut answers = concurrently(requests).await;
        answers.sort_by_key(|(_, task)| task["version"].as_i64());
        let versions: Vec<i64> = answers.iter().map(|(_, task)| task["version"].as_i64().unwrap()).collect();
        assert_eq!(versions, (2..=21).collect::<Vec<_>>());
        // Each response has its own change and all earlier ones.
        let mut known = task;
        for (change, task) in answers {
            known = with(&known, &change);
            for name in ["title", "description", "due_at", "labels"] {
                assert_eq!(task[name], known[name], "{name} of version {}", task["version"]);
            }
        }
    }

    async fn tasks_created_concurrently_get_distinct_positions(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let requests = (0..20).map(|number| {
            let (owner, project) = (owner.clone(), project.clone());
            let status = if number % 4 == 0 { "done" } else { "todo" };
            async move { owner.task(&project, json!({"title": format!("Task {number}"), "status": status})).await }
        });
        let tasks = concurrently(requests).await;
        let positions: BTreeSet<String> = tasks.iter().map(|task| task["position"].to_string()).collect();
        assert_eq!(positions.len(), 20, "{positions:?}");
        let list = owner.get(format!("/v1/projects/{project}/tasks")).await.ok();
        assert_eq!((list["data"].as_array().unwrap().len(), &list["meta"]["total"]), (20, &json!(20)));
        app.work().await;
        let project = owner.get(format!("/v1/projects/{project}")).await.ok();
        assert_eq!(project["task_counts"], json!({"total": 20, "done": 5}));
        assert_eq!(project["completion_percentage"], 25);
    }

    async fn counters_stay_correct_under_concurrent_changes(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let mut ids = Vec::new();
        for _ in 0..12 {
            ids.push(owner.task(&project, json!({"title": "x"})).await.id());
        }
        let requests = ids.into_iter().enumerate().map(|(number, id)| {
            let (owner, path) = (owner.clone(), format!("/v1/tasks/{id}"));
            async move {
                owner.patch(&path, json!({"status": "done"})).await.ok();
                match number % 3 {
                    0 => owner.delete(&path).await.no_content(),
                    1 => {
                        owner.delete(&path).await.no_content();
                        owner.post_empty(format!("{path}/restore")).await.ok();
                    }
                    _ => {
                        let opened = owner.patch(&path, json!({"status": "todo"})).await.ok();
                        assert_eq!(opened["completed_at"], Value::Null);
                    }
                }
            }
        });
        concurrently(requests).await;
        let project = owner.get(format!("/v1/projects/{project}")).await.ok();
        assert_eq!(project["task_counts"], json!({"total": 8, "done": 4}));
    }

    async fn one_of_many_concurrent_deletions_succeeds(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        owner.task(&project, json!({"title": "Kept"})).await;
        let path = format!("/v1/tasks/{}", owner.task(&project, json!({"title": "x"})).await.id());
        let requests = (0..8).map(|_| {
            let (owner, path) = (owner.clone(), path.clone());
            async move { owner.delete(path).await.status.as_u16() }
        });
        let mut statuses = concurrently(requests).await;
        statuses.sort_unstable();
        assert_eq!(statuses, [204, 404, 404, 404, 404, 404, 404, 404]);
        let project = owner.get(format!("/v1/projects/{project}")).await.ok();
        assert_eq!(project["task_counts"], json!({"total": 1, "done": 0}));
    }
}
