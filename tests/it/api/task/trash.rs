//! Deleted tasks.

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::fixtures::common::{DAY, id_set, log_in_again, time, with};
use crate::on_both_databases;
use crate::support::TestApp;
use crate::support::client::Ids as _;

on_both_databases! {
    async fn a_deleted_task_is_only_in_the_trash(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let kept = owner.task(&project, json!({"title": "Kept"})).await;
        let task = owner.task(&project, json!({"title": "Tea", "status": "done", "labels": ["a"]})).await;
        let path = format!("/v1/tasks/{}", task.id());
        app.clock.advance(Duration::from_secs(1));
        owner.delete(&path).await.no_content();
        owner.get(&path).await.fails(404, "NOT_FOUND");
        owner.patch(&path, json!({"title": "x"})).await.fails(404, "NOT_FOUND");
        owner.delete(&path).await.fails(404, "NOT_FOUND");
        for list in ["/v1/tasks", &format!("/v1/projects/{project}/tasks")] {
            assert_eq!(owner.get(list).await.ok()["data"], json!([kept]));
            let trash = owner.get(format!("{list}?deleted=true")).await.ok();
            let deleted_at = &trash["data"][0]["deleted_at"];
            assert!(time(deleted_at) > time(&task["created_at"]));
            let deleted = with(&task, &json!({"deleted_at": deleted_at, "updated_at": deleted_at, "version": 2}));
            assert_eq!(trash["data"], json!([deleted]));
        }
        let project = owner.get(format!("/v1/projects/{project}")).await.ok();
        assert_eq!(project["task_counts"], json!({"total": 1, "done": 0}));
    }

    async fn a_restored_task_is_unchanged(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let task = owner.task(&project, json!({
            "title": "Tea", "description": "Green", "status": "done", "priority": "high", "labels": ["a", "b"],
            "due_at": "2026-01-31T09:00:00Z", "assignee_id": owner.user_id(),
        })).await;
        let path = format!("/v1/tasks/{}", task.id());
        owner.delete(&path).await.no_content();
        app.clock.advance(Duration::from_secs(1));
        let restored = owner.post_empty(format!("{path}/restore")).await.ok();
        assert!(time(&restored["updated_at"]) > time(&task["updated_at"]));
        assert_eq!(restored, with(&task, &json!({"version": 3, "updated_at": restored["updated_at"]})));
        assert_eq!(owner.get(&path).await.ok(), restored);
        assert_eq!(owner.get("/v1/tasks").await.ok()["data"], json!([restored]));
        assert_eq!(owner.get("/v1/tasks?deleted=true").await.ok()["data"], json!([]));
        let project = owner.get(format!("/v1/projects/{project}")).await.ok();
        assert_eq!(project["task_counts"], json!({"total": 1, "done": 1}));
    }

    async fn restoring_a_task_that_is_not_deleted_changes_nothing(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let task = owner.task(&project, json!({"title": "Tea"})).await;
        app.clock.advance(Duration::from_secs(1));
        assert_eq!(owner.post_empty(format!("/v1/tasks/{}/restore", task.id())).await.ok(), task);
        let project = owner.get(format!("/v1/projects/{project}")).await.ok();
        assert_eq!(project["task_counts"]["total"], 1);
    }

    async fn a_task_can_be_restored_for_thirty_days(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let mut tasks = Vec::new();
        for title in ["early", "late"] {
            let path = format!("/v1/tasks/{}", owner.task(&project, json!({"title": title})).await.id());
            owner.delete(&path).await.no_content();
            tasks.push(path);
        }
        app.clock.advance(29 * DAY + Duration::from_mins(23 * 60 + 55));
        let owner = log_in_again(&app, &owner).await;
        let lists = ["/v1/tasks?deleted=true".to_owned(), format!("/v1/projects/{project}/tasks?deleted=true")];
        for list in &lists {
            assert_eq!(owner.get(list).await.ok()["meta"]["total"], 2);
        }
        owner.post_empty(format!("{}/restore", tasks[0])).await.ok();
        app.clock.advance(Duration::from_mins(5));
        for list in &lists {
            let list = owner.get(list).await.ok();
            assert_eq!((&list["meta"]["total"], &list["data"]), (&json!(0), &json!([])));
        }
        owner.post_empty(format!("{}/restore", tasks[1])).await.fails(404, "NOT_FOUND");
        owner.get(&tasks[0]).await.ok();
    }

    async fn the_trash_supports_all_filters(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let mut deleted = Vec::new();
        for (title, status, label) in [("Tea", "done", "a"), ("Tea leaves", "todo", "b"), ("Milk", "done", "b")] {
            let body = json!({"title": title, "status": status, "labels": [label]});
            let task = owner.task(&project, body.clone()).await;
            owner.delete(format!("/v1/tasks/{}", task.id())).await.no_content();
            deleted.push(task["id"].clone());
            owner.task(&project, body).await;
        }
        for (query, expected) in [
            ("", vec![0, 1, 2]),
            ("&status=done", vec![0, 2]),
            ("&label=b", vec![1, 2]),
            ("&q=tea", vec![0, 1]),
            ("&q=tea&status=todo&label=b", vec![1]),
            ("&q=nothing", vec![]),
        ] {
            let expected: Vec<Value> = expected.into_iter().map(|index: usize| deleted[index].clone()).collect();
            for list in ["/v1/tasks".to_owned(), format!("/v1/projects/{project}/tasks")] {
                let list = owner.get(format!("{list}?deleted=true{query}")).await.ok();
                assert_eq!(id_set(&list), expected, "{query}");
                assert_eq!(list["meta"]["total"], expected.len(), "{query}");
            }
        }
    }
}
