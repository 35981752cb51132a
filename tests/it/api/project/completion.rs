//! How much of a project is done, which a job computes after each change.

use pocket_tasks::contract::{ProjectId, UserId};
use pocket_tasks::repositories::{Job, Lane, StoreError};
use serde_json::{Value, json};

use crate::api::fixtures::account::perform;
use crate::api::fixtures::common::at_once;
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, TestApp};

async fn completion(client: &Client, project: &str) -> (Value, i64) {
    let project = client.get(format!("/v1/projects/{project}")).await.ok();
    (project["task_counts"].clone(), project["completion_percentage"].as_i64().unwrap())
}

async fn is(app: &TestApp, client: &Client, project: &str, done: i64, total: i64, percentage: i64) {
    app.work().await;
    let expected = (json!({"total": total, "done": done}), percentage);
    assert_eq!(completion(client, project).await, expected);
}

on_both_databases! {
    async fn every_change_of_tasks_is_followed(app: TestApp) {
        let user = app.user().await;
        let (project, other) = (user.project().await, user.project().await);
        let tasks = format!("/v1/projects/{project}/tasks");
        is(&app, &user, &project, 0, 0, 0).await;
        let first = format!("/v1/tasks/{}", user.task(&project, json!({"title": "x", "status": "done"})).await.id());
        is(&app, &user, &project, 1, 1, 100).await;
        let second = format!("/v1/tasks/{}", user.task(&project, json!({"title": "x"})).await.id());
        is(&app, &user, &project, 1, 2, 50).await;
        user.task(&project, json!({"title": "x", "status": "in_progress"})).await;
        is(&app, &user, &project, 1, 3, 33).await;
        user.patch(&second, json!({"status": "done"})).await.ok();
        is(&app, &user, &project, 2, 3, 66).await;
        user.patch(&first, json!({"status": "todo"})).await.ok();
        is(&app, &user, &project, 1, 3, 33).await;
        user.delete(&first).await.no_content();
        is(&app, &user, &project, 1, 2, 50).await;
        user.post_empty(format!("{first}/restore")).await.ok();
        is(&app, &user, &project, 1, 3, 33).await;
        user.post(format!("{second}/move"), json!({"project_id": other})).await.ok();
        is(&app, &user, &project, 0, 2, 0).await;
        is(&app, &user, &other, 1, 1, 100).await;
        let batch = json!({"operations": [
            {"op": "create", "title": "x", "status": "done"},
            {"op": "create", "title": "x", "status": "done"},
            {"op": "delete", "task_id": first.rsplit('/').next()},
        ]});
        user.post(format!("{tasks}/batch"), batch).await.ok();
        is(&app, &user, &project, 2, 3, 66).await;
        user.delete(format!("/v1/projects/{project}")).await.no_content();
        app.work().await;
        user.post_empty(format!("/v1/projects/{project}/restore")).await.ok();
        is(&app, &user, &project, 2, 3, 66).await;
    }

    async fn a_recalculation_is_no_change_of_the_project(app: TestApp) {
        let user = app.user().await;
        let project = user.project().await;
        let path = format!("/v1/projects/{project}");
        let before = user.get(&path).await;
        let tag = before.header("etag").to_owned();
        let before = before.ok();
        user.task(&project, json!({"title": "x", "status": "done"})).await;
        app.work().await;
        let after = user.get(&path).await;
        assert_ne!(after.header("etag"), tag, "what is shown has changed");
        let after = after.ok();
        assert_eq!((&after["version"], &after["updated_at"]), (&before["version"], &before["updated_at"]));
        let call = user.call(poem::http::Method::PATCH, &path).json(&json!({"name": "Renamed"}));
        call.header("if-match", &tag).send().await.ok();
    }

    async fn it_is_never_wrong_for_good_whoever_writes_at_once(app: TestApp) {
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
        let (_, first, second) = tokio::join!(at_once(writers), work_along(&app), work_along(&app));
        first.unwrap();
        second.unwrap();
        is(&app, &user, &project, 8, 16, 50).await;
        is(&app, &user, &other, 4, 4, 100).await;
        assert_eq!(app.store.read().queue().list_unfinished().await.unwrap().len(), 0);
    }

    async fn a_recalculation_of_what_is_gone_does_nothing(app: TestApp) {
        for job in [
            Job::RecalculateCompletion { project: ProjectId::generate() },
            Job::PasswordResetEmail { user: None },
        ] {
            perform(&app, job).await;
        }
        // Whose account is gone has no jobs either: they cannot be promised.
        let transaction = app.store.begin().await.unwrap();
        let job = Job::WelcomeEmail { user: UserId::generate() };
        assert!(transaction.jobs().enqueue(&job, app.clock.now(), app.clock.now()).await.is_err());
    }
}

/// Works while others write.
async fn work_along(app: &TestApp) -> Result<(), StoreError> {
    for _ in 0..40 {
        app.runner.run_due(&Lane::ALL).await?;
        tokio::task::yield_now().await;
    }
    Ok(())
}
