//! Counters of projects, compared with what they count.

use pocket_tasks::repositories::ProjectCounts;
use serde_json::json;

use super::operator;
use crate::on_both_databases;
use crate::repositories::raw::Raw;
use crate::support::client::Ids as _;
use crate::support::{TestApp, TestDatabase};

on_both_databases! {
    async fn wrong_counters_are_found_and_repaired(database: TestDatabase) {
        let app = TestApp::new(&database, crate::support::Options::default()).await;
        let user = app.user().await;
        // More projects than one query compares.
        let mut projects = Vec::new();
        for _ in 0..52 {
            projects.push(user.project().await);
        }
        let project = projects.last().unwrap();
        let path = format!("/v1/projects/{project}");
        user.patch(&path, json!({"name": "Küche", "description": "Grün"})).await.ok();
        let task = async |title: &str, status: &str| {
            user.task(project, json!({"title": title, "status": status, "labels": ["a"], "description": "ä"})).await.id()
        };
        let (done, _, deleted) = (task("één", "done").await, task("two", "todo").await, task("three", "done").await);
        user.post(format!("/v1/tasks/{done}/comments"), json!({"body": "très bien"})).await.expect(201);
        user.delete(format!("/v1/tasks/{deleted}")).await.no_content();
        let compare = async || app.services.administration.compare_counts().await.unwrap();
        // The completion percentage is about to be recalculated.
        assert_eq!((compare().await.compared, compare().await.mismatches), (52, Vec::new()));
        app.work().await;
        assert_eq!(compare().await.mismatches, Vec::new());
        assert_eq!(user.get(&path).await.ok()["completion_percentage"], 50);

        let mut raw = Raw::connect(&database).await;
        raw.execute("UPDATE projects SET task_total = 7, stored_bytes = 3, completion_percentage = 9 WHERE task_total = 2").await;
        let [found] = <[_; 1]>::try_from(compare().await.mismatches).unwrap();
        assert_eq!(&found.project.to_string(), project);
        // "Küche" and "Grün"; three titles with a description and a label each; "très bien".
        let bytes = 6 + 5 + (5 + 3 + 5) + 3 * 2 + 3 * 2 + 10;
        assert_eq!(found.stored, ProjectCounts { task_total: 7, task_done: 1, stored_bytes: 3, completion_percentage: 9 });
        let counted = ProjectCounts { task_total: 2, task_done: 1, stored_bytes: bytes, completion_percentage: 50 };
        assert_eq!(found.counted, counted);
        let repaired = app.services.administration.repair_counts(&operator()).await.unwrap();
        assert_eq!((repaired.compared, repaired.mismatches), (52, vec![found]));
        assert_eq!(compare().await.mismatches, Vec::new());
        let counts = user.get(&path).await.ok();
        assert_eq!((&counts["task_counts"]["total"], &counts["completion_percentage"]), (&json!(2), &json!(50)));
    }
}
