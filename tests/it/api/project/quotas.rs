//! Limits on the projects, tasks, comments and text that a user stores.

use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::account::prune;
use crate::api::fixtures::common::{concurrently, log_in_again};
use crate::api::fixtures::members::{new_member, request, set_role, through};
use crate::api::fixtures::stored_members::add_member;
use crate::api::maintenance::purge::{PURGED_AFTER, purge};
use crate::on_both_databases;
use crate::repositories::raw::Raw;
use crate::support::client::Ids as _;
use crate::support::{Answer, Client, Options, TestApp, TestDatabase};

async fn limited(database: &TestDatabase, variables: &[(&'static str, &'static str)]) -> TestApp {
    TestApp::new(database, Options { variables: variables.to_vec(), ..Options::default() }).await
}

async fn new_project(client: &Client) -> Answer {
    client.post("/v1/projects", json!({"name": "x"})).await
}

async fn restore(client: &Client, path: String) -> Answer {
    client.post_empty(format!("{path}/restore")).await
}

async fn new_task(client: &Client, project: &str, description: &str) -> Answer {
    client.post(format!("/v1/projects/{project}/tasks"), json!({"title": "x", "description": description})).await
}

async fn new_comment(client: &Client, task: &str, body: &str) -> Answer {
    client.post(format!("/v1/tasks/{task}/comments"), json!({"body": body})).await
}

async fn total(client: &Client, path: &str) -> Value {
    client.get(path).await.ok()["meta"]["total"].clone()
}

/// Checks that the text counted for each project is the text that is stored.
async fn assert_bytes_are_right(database: &TestDatabase) {
    let task = "octet_length(title) + coalesce(octet_length(description), 0) + octet_length(labels) - 1";
    let comments = "SELECT coalesce(sum(octet_length(body)), 0) FROM comments JOIN tasks ON tasks.id = task_id \
                    WHERE project_id = projects.id";
    let counted = format!(
        "SELECT CAST(stored_bytes AS TEXT) || ' ' || CAST(octet_length(name) + coalesce(octet_length(description), 0) \
         + (SELECT coalesce(sum({task}), 0) FROM tasks WHERE project_id = projects.id) + ({comments}) AS TEXT) AS found \
         FROM projects"
    );
    let found = Raw::connect(database).await.texts(&counted, "found").await;
    assert!(!found.is_empty());
    for counts in found {
        let (counted, stored) = counts.split_once(' ').unwrap();
        assert_eq!(counted, stored);
    }
}

on_both_databases! {
    async fn projects_are_limited_per_user(database: TestDatabase) {
        let app = limited(&database, &[("MAX_PROJECTS_PER_USER", "2")]).await;
        let (owner, other) = (app.user().await, app.user().await);
        let projects = [owner.project().await, owner.project().await];
        let refused = new_project(&owner).await.fails(409, "LIMIT_REACHED");
        assert_eq!(refused["message"], "You already have 2 projects, which is the maximum. Delete one first.");
        let theirs = other.project().await;
        // Projects of which the user is only a member do not count.
        add_member(&app, &theirs, &owner, "editor").await;
        set_role(&other, &theirs, &owner, "owner").await.fails(409, "LIMIT_REACHED");
        // A deleted project makes room, which it needs again to be restored.
        owner.delete(format!("/v1/projects/{}", projects[0])).await.no_content();
        let third = new_project(&owner).await.created().id();
        restore(&owner, format!("/v1/projects/{}", projects[0])).await.fails(409, "LIMIT_REACHED");
        owner.delete(format!("/v1/projects/{third}")).await.no_content();
        restore(&owner, format!("/v1/projects/{}", projects[0])).await.ok();
        new_project(&owner).await.fails(409, "LIMIT_REACHED");
        // The trash cannot grow without bound either.
        for project in &projects {
            owner.delete(format!("/v1/projects/{project}")).await.no_content();
        }
        let last = new_project(&owner).await.created().id();
        new_project(&owner).await.fails(409, "LIMIT_REACHED");
        owner.delete(format!("/v1/projects/{last}")).await.no_content();
        new_project(&owner).await.fails(409, "LIMIT_REACHED");
        restore(&owner, format!("/v1/projects/{last}")).await.ok();
        // A new owner with room accepts.
        add_member(&app, &last, &other, "editor").await;
        set_role(&owner, &last, &other, "owner").await.ok();
        new_project(&other).await.fails(409, "LIMIT_REACHED");
        // The projects of a restored account are not counted again.
        other.delete("/v1/me").await.no_content();
        let other = log_in_again(&app, &other).await;
        assert_eq!(total(&other, "/v1/projects?role=owner").await, 2);
        // Purged projects make room in the trash.
        app.clock.advance(PURGED_AFTER);
        purge(&app).await;
        let owner = log_in_again(&app, &owner).await;
        new_project(&owner).await.created();
    }

    async fn concurrent_projects_fill_exactly_the_quota(database: TestDatabase) {
        let apps = [limited(&database, &[("MAX_PROJECTS_PER_USER", "4")]).await, limited(&database, &[("MAX_PROJECTS_PER_USER", "4")]).await];
        let owner = apps[0].user().await;
        let requests = (0..8).map(|number| {
            request(&through(&apps[number % 2], &owner), Method::POST, "/v1/projects".to_owned(), json!({"name": "x"}))
        });
        let answers = concurrently(requests).await;
        assert_eq!(answers.iter().filter(|answer| answer.status.is_success()).count(), 4);
        assert_eq!(total(&owner, "/v1/projects").await, 4);
    }

    async fn tasks_are_limited_per_project(database: TestDatabase) {
        let app = limited(&database, &[("MAX_TASKS_PER_PROJECT", "3")]).await;
        let owner = app.user().await;
        let (project, other) = (owner.project().await, owner.project().await);
        let batch = async |operations: Value| {
            owner.post(format!("/v1/projects/{project}/tasks/batch"), json!({"operations": operations})).await
        };
        let create = || json!({"op": "create", "title": "x"});
        let first = new_task(&owner, &project, "x").await.created().id();
        batch(json!([create(), create(), create()])).await.fails(409, "LIMIT_REACHED");
        assert_eq!(total(&owner, &format!("/v1/projects/{project}/tasks")).await, 1);
        batch(json!([create(), create()])).await.ok();
        let refused = new_task(&owner, &project, "x").await.fails(409, "LIMIT_REACHED");
        assert_eq!(refused["message"], "The project can have at most 3 tasks. Delete one first.");
        // The deletions of a batch make room for its creations.
        let tasks = batch(json!([create(), {"op": "delete", "task_id": first}])).await.ok();
        restore(&owner, format!("/v1/tasks/{first}")).await.fails(409, "LIMIT_REACHED");
        let moving = new_task(&owner, &other, "x").await.created().id();
        let moved = async || owner.post(format!("/v1/tasks/{moving}/move"), json!({"project_id": project})).await;
        moved().await.fails(409, "LIMIT_REACHED");
        // A move within the full project, and updates, are no problem.
        let own = tasks["results"][0].id();
        owner.post(format!("/v1/tasks/{own}/move"), json!({})).await.ok();
        owner.patch(format!("/v1/tasks/{own}"), json!({"title": "y"})).await.ok();
        owner.delete(format!("/v1/tasks/{own}")).await.no_content();
        moved().await.ok();
        new_task(&owner, &project, "x").await.fails(409, "LIMIT_REACHED");
        // A restored project is full, as it was.
        owner.delete(format!("/v1/projects/{project}")).await.no_content();
        restore(&owner, format!("/v1/projects/{project}")).await.ok();
        new_task(&owner, &project, "x").await.fails(409, "LIMIT_REACHED");
        owner.delete(format!("/v1/tasks/{moving}")).await.no_content();
        restore(&owner, format!("/v1/tasks/{own}")).await.ok();
        new_task(&owner, &project, "x").await.fails(409, "LIMIT_REACHED");
    }

    async fn concurrent_tasks_fill_exactly_the_quota(database: TestDatabase) {
        let apps = [limited(&database, &[("MAX_TASKS_PER_PROJECT", "5")]).await, limited(&database, &[("MAX_TASKS_PER_PROJECT", "5")]).await];
        let owner = apps[0].user().await;
        let project = owner.project().await;
        let path = format!("/v1/projects/{project}/tasks");
        let requests = (0..10).map(|number| {
            request(&through(&apps[number % 2], &owner), Method::POST, path.clone(), json!({"title": "x"}))
        });
        let answers = concurrently(requests).await;
        assert_eq!(answers.iter().filter(|answer| answer.status.is_success()).count(), 5);
        assert_eq!(total(&owner, &path).await, 5);
    }

    async fn comments_are_limited_per_task(database: TestDatabase) {
        let app = limited(&database, &[("MAX_COMMENTS_PER_TASK", "2")]).await;
        let owner = app.user().await;
        let project = owner.project().await;
        let (task, other) =
            (new_task(&owner, &project, "x").await.created().id(), new_task(&owner, &project, "x").await.created().id());
        let first = new_comment(&owner, &task, "x").await.created().id();
        new_comment(&owner, &task, "x").await.created();
        let refused = new_comment(&owner, &task, "x").await.fails(409, "LIMIT_REACHED");
        assert_eq!(refused["message"], "The task already has 2 comments, which is the maximum. Delete one first.");
        owner.patch(format!("/v1/comments/{first}"), json!({"body": "y"})).await.ok();
        new_comment(&owner, &other, "x").await.created();
        owner.delete(format!("/v1/comments/{first}")).await.no_content();
        new_comment(&owner, &task, "x").await.created();
        new_comment(&owner, &task, "x").await.fails(409, "LIMIT_REACHED");
    }

    async fn text_is_limited_per_owner_of_projects(database: TestDatabase) {
        let app = limited(&database, &[("MAX_STORED_BYTES_PER_USER", "1000")]).await;
        let (owner, editor) = (app.user().await, app.user().await);
        let project = owner.project().await;
        let theirs = editor.project().await;
        add_member(&app, &project, &editor, "editor").await;
        add_member(&app, &theirs, &owner, "editor").await;
        let (many, few) = ("ä".repeat(450), "x".repeat(50));
        let task = new_task(&owner, &project, &many).await.created().id();
        let comment = new_comment(&editor, &task, "x").await.created().id();
        // The text counts for the owner of the project, regardless of its author.
        let refusals = [
            new_task(&editor, &project, &many).await,
            new_comment(&editor, &task, &many).await,
            editor.patch(format!("/v1/comments/{comment}"), json!({"body": many})).await,
            owner.patch(format!("/v1/tasks/{task}"), json!({"title": "x".repeat(150)})).await,
            owner.patch(format!("/v1/projects/{project}"), json!({"description": many})).await,
            owner.post("/v1/projects", json!({"name": "x", "description": many})).await,
            owner.post(format!("/v1/projects/{project}/tasks/batch"), json!({"operations": [
                {"op": "create", "title": "x".repeat(60)},
                {"op": "create", "title": "x".repeat(60)},
            ]})).await,
        ];
        for refused in refusals {
            let message = refused.fails(409, "LIMIT_REACHED")["message"].to_string();
            assert!(message.contains("at most 1000 bytes"), "{message}");
        }
        assert_bytes_are_right(&database).await;
        // The editor's own project has room.
        let other = new_task(&editor, &theirs, &many).await.created().id();
        new_comment(&editor, &other, &few).await.created();
        editor.post(format!("/v1/tasks/{other}/move"), json!({"project_id": project})).await.fails(409, "LIMIT_REACHED");
        set_role(&editor, &theirs, &owner, "owner").await.fails(409, "LIMIT_REACHED");
        // Shorter text is accepted at the limit, and makes room.
        owner.patch(format!("/v1/tasks/{task}"), json!({"description": few, "labels": ["a", "bc"]})).await.ok();
        new_comment(&editor, &task, &many).await.created();
        new_comment(&editor, &task, &few).await.fails(409, "LIMIT_REACHED");
        owner.delete(format!("/v1/tasks/{task}")).await.no_content();
        assert_bytes_are_right(&database).await;
        // The trash counts until it is purged.
        new_task(&owner, &project, &few).await.fails(409, "LIMIT_REACHED");
        app.clock.advance(PURGED_AFTER);
        purge(&app).await;
        prune(&app).await;
        assert_bytes_are_right(&database).await;
        let (owner, editor) = (log_in_again(&app, &owner).await, log_in_again(&app, &editor).await);
        // Moved text counts for the new owner, with its comments.
        editor.post(format!("/v1/tasks/{other}/move"), json!({"project_id": project})).await.ok();
        assert_bytes_are_right(&database).await;
        new_task(&owner, &project, &few).await.fails(409, "LIMIT_REACHED");
        new_task(&editor, &theirs, &many).await.created();
        assert_bytes_are_right(&database).await;
    }

    async fn quotas_of_zero_are_off(database: TestDatabase) {
        let app = limited(&database, &[
            ("MAX_PROJECTS_PER_USER", "0"),
            ("MAX_TASKS_PER_PROJECT", "0"),
            ("MAX_COMMENTS_PER_TASK", "0"),
            ("MAX_STORED_BYTES_PER_USER", "0"),
        ]).await;
        let owner = app.user().await;
        let project = owner.project().await;
        owner.project().await;
        let task = new_task(&owner, &project, "x").await.created().id();
        new_comment(&owner, &task, "x").await.created();
        let member = new_member(&app, &owner, &project, "viewer").await;
        set_role(&owner, &project, &member, "owner").await.ok();
    }
}
