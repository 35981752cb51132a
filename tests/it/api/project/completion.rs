//! Completion percentage of projects, which a job computes after each change.

use pocket_tasks::contract::{ProjectId, UserId};
use pocket_tasks::repositories::{Job, Queue, StoreError};
use serde_json::{Value, json};

use crate::api::fixtures::account::run_job;
use crate::api::fixtures::common::concurrently;
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, TestApp};

async fn completion(client: &Client, project: &str) -> (Value, i64) {
    let project = client.get(format!("/v1/projects/{project}")).await.ok();
    (project["task_counts"].clone(), project["completion_percentage"].as_i64().unwrap())
}

async fn assert_completion(app: &TestApp, client: &Client, project: &str, done: i64, total: i64, percentage: i64) {
    app.work().await;
    let expected = (json!({"total": total, "done": done}), percentage);
    assert_eq!(completion(client, project).await, expected);
}

on_both_databases! {
    async fn completion_follows_every_change_of_tasks(app: TestApp) {
        let user = app.user().await;
        let (project, other) = (user.project().await, user.project().await);
        let tasks = format!("/v1/projects/{project}/tasks");
        assert_completion(&app, &user, &project, 0, 0, 0).await;
        let first = format!("/v1/tasks/{}", user.task(&project, json!({"title": "x", "status": "done"})).await.id());
        assert_completion(&app, &user, &project, 1, 1, 100).await;
        let second = format!("/v1/tasks/{}", user.task(&project, json!({"title": "x"})).await.id());
        assert_completion(&app, &user, &project, 1, 2, 50).await;
        user.task(&project, json!({"title": "x", "status": "in_progress"})).await;
        assert_completion(&app, &user, &project, 1, 3, 33).await;
        user.patch(&second, json!({"status": "done"})).await.ok();
        assert_completion(&app, &user, &project, 2, 3, 66).await;
        user.patch(&first, json!({"status": "todo"})).await.ok();
        assert_completion(&app, &user, &project, 1, 3, 33).await;
        user.delete(&first).await.no_content();
        assert_completion(&app, &user, &project, 1, 2, 50).await;
        user.post_empty(format!("{first}/restore")).await.ok();
        assert_completion(&app, &user, &project, 1, 3, 33).await;
        user.post(format!("{second}/move"), json!({"project_id": other})).await.ok();
        assert_completion(&app, &user, &project, 0, 2, 0).await;
        assert_completion(&app, &user, &other, 1, 1, 100).await;
        let batch = json!({"operations": [
            {"op": "create", "title": "x", "status": "done"},
            {"op": "create", "title": "x", "status": "done"},
            {"op": "delete", "task_id": first.rsplit('/').next()},
        ]});
        user.post(format!("{tasks}/batch"), batch).await.ok();
        assert_completion(&app, &user, &project, 2, 3, 66).await;
        user.delete(format!("/v1/projects/{project}")).await.no_content();
        app.work().await;
        user.post_empty(format!("/v1/projects/{project}/restore")).await.ok();
        assert_completion(&app, &user, &project, 2, 3, 66).await;
    }

    async fn a_recalculation_does_not_change_the_version_of_the_project(app: TestApp) {
        let user = app.user().await;
        let project = user.project().await;
        let path = format!("/v1/projects/{project}");
        let before = user.get(&path).await;
        let tag = before.header("etag").to_owned();
        let before = before.ok();
        user.task(&project, json!({"title": "x", "status": "done"})).await;
        app.work().await;
        let after = user.get(&path).await;
        assert_ne!(after.header("etag"), tag, "the representation has changed");
        let after = after.ok();
        assert_eq!((&after["version"], &after["updated_at"]), (&before["version"], &before["updated_at"]));
        let call = user.call(poem::http::Method::PATCH, &path).json(&json!({"name": "Renamed"}));
        call.header("if-match", &tag).send().await.ok();
    }

    async fn completion_is_eventually_correct_after_concurrent_writes(app: TestApp) {
        let user = app.user().await;
        let (project, other) = (user.project().await, user.project().await);
        let mut tasks = Vec::new();
        for _ in 0..20 {
            tasks.push(user.task(&project, json!({"title": "x"})).await.id());
        }
        app.work().await;
        let writers = tasks.into_iter().enumerate().map(|(number, task)| {
            let (user, project, other) = (user.clone(), project.clone(), other.clone());
            async move {
                let path = format!("/v1/tasks/{task}");
                user.patch(&path, json!({"status": "done"})).await.ok();
                match number % 5 {
                    0 => user.delete(&path).await.no_content(),
                    1 => drop(user.post(format!("{path}/move"), json!({"project_id": other})).await.ok()),
                    2 => drop(user.patch(&path, json!({"status": "todo"})).await.ok()),
                    3 => drop(user.task(&project, json!({"title": "x"})).await),
                    _ => {}
                }
            }
        });
        let (_, first, second) = tokio::join!(concurrently(writers), run_jobs(&app), run_jobs(&app));
        first.unwrap();
        second.unwrap();
        assert_completion(&app, &user, &project, 8, 16, 50).await;
        assert_completion(&app, &user, &other, 4, 4, 100).await;
        assert_eq!(app.store.read().queue().list_unfinished().await.unwrap().len(), 0);
    }

    async fn jobs_for_deleted_resources_do_nothing(app: TestApp) {
        for job in [
            Job::RecalculateCompletion { project: ProjectId::generate() },
            Job::PasswordResetEmail { user: None },
        ] {
            run_job(&app, job).await;
        }
        // A job for an unknown user cannot be enqueued.
        let transaction = app.store.begin().await.unwrap();
        let job = Job::WelcomeEmail { user: UserId::generate() };
        assert!(transaction.jobs().enqueue(&job, app.clock.now(), app.clock.now()).await.is_err());
    }
}

/// Runs due jobs while others write.
async fn run_jobs(app: &TestApp) -> Result<(), StoreError> {
    for _ in 0..40 {
        app.runner.run_due(Queue::ALL).await?;
        tokio::task::yield_now().await;
    }
    Ok(())
}
