//! Removal of a member while their write waits for the project.

use pocket_tasks::contract::{ProjectId, UserId};
use pocket_tasks::repositories::Store as _;
use poem::http::Method;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use crate::api::fixtures::common::send;
use crate::api::fixtures::stored_members::{member, remove_member};
use crate::api::task::move_deadlocks::until_waiting;
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Options, TestApp, TestDatabase};

on_both_databases! {
    async fn a_write_that_waited_for_a_removal_is_rejected(database: TestDatabase) {
        // SQLite has one writer at a time, so a waiting request has not read anything.
        if !database.is_postgres() {
            return;
        }
        let app = TestApp::new(&database, Options::default()).await;
        let owner = app.user().await;
        let others = database.another_store().await;
        let mut observer = PgConnection::connect(&database.url).await.unwrap();
        let project = owner.project().await;
        let task = owner.task(&project, json!({"title": "x"})).await.id();
        let id = ProjectId::parse(&project).unwrap();
        for (method, path, body) in [
            (Method::POST, format!("/v1/projects/{project}/tasks"), json!({"title": "y"})),
            (Method::PATCH, format!("/v1/tasks/{task}"), json!({"title": "y"})),
            (Method::POST, format!("/v1/tasks/{task}/move"), json!({"project_id": project})),
            (Method::DELETE, format!("/v1/tasks/{task}"), Value::Null),
        ] {
            let editor = member(&app, &project, "editor").await;
            let lock = others.begin().await.unwrap();
            lock.projects().lock(id, UserId::parse(owner.user_id()).unwrap()).await.unwrap();
            let request = {
                let (editor, method, path, body) = (editor.clone(), method.clone(), path.clone(), body.clone());
                tokio::spawn(async move { send(&editor, &method, &path, &body).await })
            };
            until_waiting(&mut observer, 1).await;
            remove_member(&app, &project, &editor).await;
            lock.commit().await.unwrap();
            let answer = request.await.unwrap();
            assert_eq!(answer.status.as_u16(), 403, "{method} {path}: {}", answer.text);
        }
        let tasks = owner.get(format!("/v2/projects/{project}/tasks")).await.ok();
        assert_eq!(tasks.column("title"), [json!("x")]);
    }
}
