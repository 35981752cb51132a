//! Access to replayed responses.

use poem::http::Method;
use serde_json::json;

use crate::api::fixtures::common::log_in_again;
use crate::api::fixtures::stored_members::{add_member, member, purge_project, remove_member};
use crate::api::fixtures::writes::{
    KEY, Operation, WriteFixture, assert_first, assert_replay, new_key, operations_by_header,
};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Answer, Options, TestApp, TestDatabase};

/// Project of a response.
fn home(fixture: &WriteFixture, operation: &Operation, answer: &Answer) -> String {
    match operation.id.as_str() {
        "createProject" => answer.body.id(),
        "restoreProject" => fixture.deleted.clone(),
        "moveTask" => fixture.other.clone(),
        _ => fixture.project.clone(),
    }
}

/// Operations on projects and their contents.
fn in_projects() -> Vec<Operation> {
    let mut all = operations_by_header("Idempotency-Key").0;
    let own = ["/v1/me/", "/v1/webhooks"];
    all.retain(|operation| !own.iter().any(|own| operation.template.starts_with(own)));
    assert!(all.len() >= 10);
    all
}

/// Operations on tasks that editors may perform.
fn by_editors() -> Vec<Operation> {
    let mut all = in_projects();
    all.retain(|operation| operation.template.contains("task"));
    assert!(all.len() >= 6);
    all
}

on_both_databases! {
    async fn a_former_member_is_denied_the_replay(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        for operation in in_projects() {
            let fixture = WriteFixture::new(&app).await;
            let (key, context) = (new_key(), operation.id.as_str());
            let request = || fixture.keyed(&fixture.owner, &operation, &key).send();
            let first = request().await;
            assert_first(&first, context);
            let project = home(&fixture, &operation, &first);
            remove_member(&app, &project, &fixture.owner).await;
            let refused = request().await;
            assert_eq!(refused.status.as_u16(), 403, "{context}: {}", refused.text);
            refused.fails(403, "FORBIDDEN");
            // The key stays used: a member who returns gets the stored response, and nothing happens twice.
            add_member(&app, &project, &fixture.owner, "owner").await;
            let state = fixture.state().await;
            assert_replay(&first, &request().await, context);
            assert_eq!(fixture.state().await, state, "{context}");
            purge_project(&database, &project).await;
            let refused = request().await;
            assert_eq!(refused.status.as_u16(), 404, "{context}: {}", refused.text);
            refused.fails(404, "NOT_FOUND");
        }
    }

    async fn a_member_demoted_to_viewer_is_denied_the_replay_of_a_write(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        for operation in by_editors() {
            let fixture = WriteFixture::new(&app).await;
            let editor = fixture.member(&app, "editor").await;
            let (key, context) = (new_key(), operation.id.as_str());
            let request = || fixture.keyed(&editor, &operation, &key).send();
            let first = request().await;
            assert_first(&first, context);
            let project = home(&fixture, &operation, &first);
            remove_member(&app, &project, &editor).await;
            add_member(&app, &project, &editor, "viewer").await;
            let refused = request().await;
            assert_eq!(refused.status.as_u16(), 403, "{context}: {}", refused.text);
            refused.fails(403, "FORBIDDEN");
            let other = fixture.owner.call(Method::POST, "/v1/projects").json(&json!({"name": "x"})).header(KEY, &key);
            assert_first(&other.send().await, "the same key of another user");
            remove_member(&app, &project, &editor).await;
            add_member(&app, &project, &editor, "editor").await;
            assert_replay(&first, &request().await, context);
        }
    }

    async fn a_replay_about_a_task_requires_write_access_to_its_current_project(app: TestApp) {
        let owner = app.user().await;
        let (project, elsewhere) = (owner.project().await, owner.project().await);
        let editor = member(&app, &project, "editor").await;
        let task = owner.task(&project, json!({"title": "A task"})).await.id();
        for (method, path, body) in [
            (Method::POST, format!("/v1/projects/{project}/tasks"), json!({"title": "Another"})),
            (Method::PATCH, format!("/v1/tasks/{task}"), json!({"title": "Changed"})),
            (Method::POST, format!("/v1/tasks/{task}/comments"), json!({"body": "Why?"})),
        ] {
            let key = new_key();
            let request = || editor.call(method.clone(), path.as_str()).json(&body).header(KEY, &key).send();
            let first = request().await;
            assert_first(&first, &path);
            let about = if path.ends_with("/tasks") { first.body.id() } else { task.clone() };
            let relocate = async |to: &str| {
                owner.post(format!("/v1/tasks/{about}/move"), json!({"project_id": to})).await.ok();
            };
            relocate(&elsewhere).await;
            request().await.fails(403, "FORBIDDEN");
            relocate(&project).await;
            assert_replay(&first, &request().await, &path);
        }
    }

    async fn a_former_owner_is_denied_the_replay_of_owner_operations(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        for operation in in_projects() {
            let fixture = WriteFixture::new(&app).await;
            let (key, context) = (new_key(), operation.id.as_str());
            let request = || fixture.keyed(&fixture.owner, &operation, &key).send();
            let first = request().await;
            assert_first(&first, context);
            let project = home(&fixture, &operation, &first);
            remove_member(&app, &project, &fixture.owner).await;
            add_member(&app, &project, &fixture.owner, "editor").await;
            let answer = request().await;
            if ["task", "comment"].iter().any(|word| operation.template.contains(word)) {
                assert_replay(&first, &answer, context);
            } else {
                assert_eq!(answer.status.as_u16(), 403, "{context}: {}", answer.text);
            }
        }
    }

    async fn keys_are_scoped_to_users_rather_than_sessions(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        for operation in by_editors() {
            let fixture = WriteFixture::new(&app).await;
            let (key, context) = (new_key(), operation.id.as_str());
            let first = fixture.keyed(&fixture.owner, &operation, &key).send().await;
            assert_first(&first, context);
            let phone = log_in_again(&app, &fixture.owner).await;
            assert_replay(&first, &fixture.keyed(&phone, &operation, &key).send().await, context);
            fixture.owner.post_empty("/v1/auth/logout").await.no_content();
            assert_replay(&first, &fixture.keyed(&phone, &operation, &key).send().await, context);
        }
        let (ada, bob) = (app.user().await, app.user().await);
        let mut answers = Vec::new();
        for client in [&ada, &bob] {
            let request = || client.call(Method::POST, "/v1/projects").json(&json!({"name": "x"})).header(KEY, "key");
            let first = request().send().await;
            assert_first(&first, "the same key and request of another user");
            answers.push((request, first));
        }
        for ((request, first), client) in answers.into_iter().zip([&ada, &bob]) {
            assert_replay(&first, &request().send().await, "the user's own request");
            assert_eq!(first.body["owner_id"], client.user_id());
            assert_eq!(client.get("/v1/projects").await.ok()["meta"]["total"], 1);
        }
        let other = bob.call(Method::POST, "/v1/projects").json(&json!({"name": "y"})).header(KEY, "key");
        other.send().await.fails(422, "IDEMPOTENCY_KEY_REUSED");
    }
}
