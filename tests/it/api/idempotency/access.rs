//! Who gets the answer to a keyed request again, and who no longer.

use poem::http::Method;
use serde_json::json;

use crate::api::fixtures::common::log_in_again;
use crate::api::fixtures::stored_members::{add_member, member, purge_project, remove_member};
use crate::api::fixtures::writes::{KEY, Operation, World, assert_first, assert_replay, new_key, taking};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Answer, Options, TestApp, TestDatabase};

/// The project that an answer is about.
fn home(world: &World, operation: &Operation, answer: &Answer) -> String {
    match operation.id.as_str() {
        "createProject" => answer.body.id(),
        "restoreProject" => world.deleted.clone(),
        "moveTask" => world.other.clone(),
        _ => world.project.clone(),
    }
}

/// Operations on projects and what is in them.
fn in_projects() -> Vec<Operation> {
    let mut all = taking("Idempotency-Key").0;
    let own = ["/v1/me/", "/v1/webhooks"];
    all.retain(|operation| !own.iter().any(|own| operation.template.starts_with(own)));
    assert!(all.len() >= 10);
    all
}

/// Operations on tasks, which editors do.
fn by_editors() -> Vec<Operation> {
    let mut all = in_projects();
    all.retain(|operation| operation.template.contains("task"));
    assert!(all.len() >= 6);
    all
}

on_both_databases! {
    async fn who_has_left_the_project_is_refused_the_answer_too(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        for operation in in_projects() {
            let world = World::new(&app).await;
            let (key, place) = (new_key(), operation.id.as_str());
            let request = || world.keyed(&world.owner, &operation, &key).send();
            let first = request().await;
            assert_first(&first, place);
            let project = home(&world, &operation, &first);
            remove_member(&app, &project, &world.owner).await;
            let refused = request().await;
            assert_eq!(refused.status.as_u16(), 403, "{place}: {}", refused.text);
            refused.fails(403, "FORBIDDEN");
            // The key is still used up: who comes back gets the answer, and nothing happens again.
            add_member(&app, &project, &world.owner, "owner").await;
            let state = world.state().await;
            assert_replay(&first, &request().await, place);
            assert_eq!(world.state().await, state, "{place}");
            purge_project(&database, &project).await;
            let refused = request().await;
            assert_eq!(refused.status.as_u16(), 404, "{place}: {}", refused.text);
            refused.fails(404, "NOT_FOUND");
        }
    }

    async fn who_may_no_longer_write_is_refused_the_answer_to_a_write(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        for operation in by_editors() {
            let world = World::new(&app).await;
            let editor = world.member(&app, "editor").await;
            let (key, place) = (new_key(), operation.id.as_str());
            let request = || world.keyed(&editor, &operation, &key).send();
            let first = request().await;
            assert_first(&first, place);
            let project = home(&world, &operation, &first);
            remove_member(&app, &project, &editor).await;
            add_member(&app, &project, &editor, "viewer").await;
            let refused = request().await;
            assert_eq!(refused.status.as_u16(), 403, "{place}: {}", refused.text);
            refused.fails(403, "FORBIDDEN");
            let other = world.owner.call(Method::POST, "/v1/projects").json(&json!({"name": "x"})).header(KEY, &key);
            assert_first(&other.send().await, "the same key of another user");
            remove_member(&app, &project, &editor).await;
            add_member(&app, &project, &editor, "editor").await;
            assert_replay(&first, &request().await, place);
        }
    }

    async fn the_answer_about_a_task_is_for_those_who_may_write_where_the_task_is_now(app: TestApp) {
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

    async fn an_owner_who_became_an_editor_is_refused_what_only_owners_do(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        for operation in in_projects() {
            let world = World::new(&app).await;
            let (key, place) = (new_key(), operation.id.as_str());
            let request = || world.keyed(&world.owner, &operation, &key).send();
            let first = request().await;
            assert_first(&first, place);
            let project = home(&world, &operation, &first);
            remove_member(&app, &project, &world.owner).await;
            add_member(&app, &project, &world.owner, "editor").await;
            let answer = request().await;
            if ["task", "comment"].iter().any(|word| operation.template.contains(word)) {
                assert_replay(&first, &answer, place);
            } else {
                assert_eq!(answer.status.as_u16(), 403, "{place}: {}", answer.text);
            }
        }
    }

    async fn a_key_belongs_to_a_user_and_not_to_a_session(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        for operation in by_editors() {
            let world = World::new(&app).await;
            let (key, place) = (new_key(), operation.id.as_str());
            let first = world.keyed(&world.owner, &operation, &key).send().await;
            assert_first(&first, place);
            let phone = log_in_again(&app, &world.owner).await;
            assert_replay(&first, &world.keyed(&phone, &operation, &key).send().await, place);
            world.owner.post_empty("/v1/auth/logout").await.no_content();
            assert_replay(&first, &world.keyed(&phone, &operation, &key).send().await, place);
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
            assert_replay(&first, &request().send().await, "one's own");
            assert_eq!(first.body["owner_id"], client.user_id());
            assert_eq!(client.get("/v1/projects").await.ok()["meta"]["total"], 1);
        }
        let other = bob.call(Method::POST, "/v1/projects").json(&json!({"name": "y"})).header(KEY, "key");
        other.send().await.fails(422, "IDEMPOTENCY_KEY_REUSED");
    }
}
