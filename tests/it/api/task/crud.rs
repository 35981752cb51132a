//! Tasks: create, read, update, delete and restore.

use std::time::Duration;

use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::common::{UNKNOWN_ID, UNKNOWN_IDS, send, time, with};
use crate::api::fixtures::stored_members::{member, remove_member};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Options, TestApp, TestDatabase};

/// Operations on one task, relative to its path, with valid bodies.
fn operations() -> [(Method, &'static str, Value); 4] {
    [
        (Method::GET, "", Value::Null),
        (Method::PATCH, "", json!({"title": "Another"})),
        (Method::DELETE, "", Value::Null),
        (Method::POST, "/restore", Value::Null),
    ]
}

on_both_databases! {
    async fn a_new_task_has_its_defaults(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let before = app.clock.now();
        let answer = owner.post(format!("/v1/projects/{project}/tasks"), json!({"title": "\u{3000} Tea "})).await;
        let location = answer.header("location").to_owned();
        let task = answer.created();
        assert_eq!(location, format!("/v1/tasks/{}", task.id()));
        let created_at = time(&task["created_at"]);
        assert!(before <= created_at && created_at <= app.clock.now());
        assert_ne!(task["position"], "");
        let expected = json!({
            "id": task["id"], "project_id": project, "title": "Tea", "description": null, "status": "todo",
            "priority": "none", "due_at": null, "assignee_id": null, "labels": [], "position": task["position"],
            "created_by": owner.user_id(), "completed_at": null, "deleted_at": null, "version": 1,
            "created_at": task["created_at"], "updated_at": task["created_at"],
        });
        assert_eq!(task, expected);
        assert_eq!(owner.get(location).await.ok(), expected);
    }

    async fn a_new_task_accepts_every_field(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let task = owner.task(&project, json!({
            "title": " Tea ", "description": " two\n\tlines ", "status": "in_progress", "priority": "urgent",
            "due_at": "2026-01-31T10:00:00.123456+01:00", "assignee_id": owner.user_id().to_uppercase(),
            "labels": [" b ", "A", "a", "50%", "x_y", "\\"],
        })).await;
        let fields = json!({
            "title": "Tea", "description": " two\n\tlines ", "status": "in_progress", "priority": "urgent",
            "due_at": "2026-01-31T09:00:00.123Z", "assignee_id": owner.user_id(),
            "labels": ["b", "A", "a", "50%", "x_y", "\\"], "completed_at": null,
        });
        assert_eq!(task, with(&task, &fields));
        assert_eq!(owner.get(format!("/v1/tasks/{}", task.id())).await.ok(), task);
        let empty = json!({"title": "x", "description": null, "due_at": null, "assignee_id": null, "labels": []});
        let task = owner.task(&project, empty.clone()).await;
        assert_eq!(task, with(&task, &empty));
    }

    async fn times_keep_their_instant_over_the_whole_range(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        for (given, kept) in [
            ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000Z"),
            ("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"),
            ("2024-02-29T23:30:00-05:00", "2024-03-01T04:30:00.000Z"),
            ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
        ] {
            let task = owner.task(&project, json!({"title": "x", "due_at": given})).await;
            assert_eq!(task["due_at"], kept, "{given}");
            assert_eq!(owner.get(format!("/v1/tasks/{}", task.id())).await.ok()["due_at"], kept, "{given}");
        }
    }

    async fn each_task_field_can_be_updated_alone(app: TestApp) {
        let owner = app.user().await;
        let mut task = owner.task(&owner.project().await, json!({"title": "Tea"})).await;
        let path = format!("/v1/tasks/{}", task.id());
        for (change, becomes) in [
            (json!({"title": " Coffee "}), json!({"title": "Coffee"})),
            (json!({"description": " a\nb "}), json!({"description": " a\nb "})),
            (json!({"description": ""}), json!({"description": ""})),
            (json!({"description": null}), json!({"description": null})),
            (json!({"status": "in_progress"}), json!({"status": "in_progress"})),
            (json!({"priority": "high"}), json!({"priority": "high"})),
            (json!({"due_at": "2026-01-31T09:00:00+00:30"}), json!({"due_at": "2026-01-31T08:30:00.000Z"})),
            (json!({"due_at": null}), json!({"due_at": null})),
            (json!({"assignee_id": owner.user_id()}), json!({"assignee_id": owner.user_id()})),
            (json!({"assignee_id": null}), json!({"assignee_id": null})),
            (json!({"labels": ["b", " a"]}), json!({"labels": ["b", "a"]})),
            (json!({"labels": ["a", "b"]}), json!({"labels": ["a", "b"]})),
            (json!({"labels": []}), json!({"labels": []})),
            (json!({"status": "todo", "priority": "none"}), json!({"status": "todo", "priority": "none"})),
        ] {
            app.clock.advance(Duration::from_secs(1));
            let changed = owner.patch(&path, change.clone()).await.ok();
            assert!(time(&changed["updated_at"]) > time(&task["updated_at"]), "{change}");
            let version = task["version"].as_i64().unwrap() + 1;
            let expected = with(&task, &becomes);
            let expected = with(&expected, &json!({"version": version, "updated_at": changed["updated_at"]}));
            assert_eq!(changed, expected, "{change}");
            assert_eq!(owner.get(&path).await.ok(), expected, "{change}");
            task = changed;
        }
    }

    async fn an_update_without_changes_keeps_the_version_of_a_task(app: TestApp) {
        let owner = app.user().await;
        let fields = json!({"title": "Tea", "status": "done", "labels": ["a"], "due_at": "2026-01-31T09:00:00Z"});
        let task = owner.task(&owner.project().await, fields.clone()).await;
        let path = format!("/v1/tasks/{}", task.id());
        app.clock.advance(Duration::from_secs(1));
        for change in [
            json!({}), fields, json!({"title": " Tea "}), json!({"description": null, "assignee_id": null}),
            json!({"status": "done"}), json!({"due_at": "2026-01-31T10:00:00+01:00"}), json!({"labels": ["a "]}),
        ] {
            assert_eq!(owner.patch(&path, change.clone()).await.ok(), task, "{change}");
        }
        assert_eq!(owner.get(&path).await.ok(), task);
    }

    async fn completed_at_follows_the_status(app: TestApp) {
        let owner = app.user().await;
        let task = owner.task(&owner.project().await, json!({"title": "Tea", "status": "done"})).await;
        assert_eq!(task["completed_at"], task["created_at"]);
        let path = format!("/v1/tasks/{}", task.id());
        app.clock.advance(Duration::from_secs(1));
        let renamed = owner.patch(&path, json!({"title": "Coffee", "status": "done"})).await.ok();
        assert_eq!(renamed["completed_at"], task["completed_at"]);
        for status in ["in_progress", "todo"] {
            let opened = owner.patch(&path, json!({"status": status})).await.ok();
            assert_eq!(opened["completed_at"], Value::Null);
            app.clock.advance(Duration::from_secs(1));
            let done = owner.patch(&path, json!({"status": "done"})).await.ok();
            assert_eq!(done["completed_at"], done["updated_at"]);
            assert!(time(&done["completed_at"]) > time(&task["completed_at"]));
            assert_eq!(owner.get(&path).await.ok(), done);
        }
    }

    async fn positions_ascend_byte_by_byte(app: TestApp) {
        let owner = app.user().await;
        let (project, other) = (owner.project().await, owner.project().await);
        let mut positions = Vec::new();
        for number in 0..100 {
            let task = owner.task(&project, json!({"title": format!("{number}")})).await;
            positions.push(task["position"].as_str().unwrap().to_owned());
        }
        assert!(positions.windows(2).all(|pair| pair[0].as_bytes() < pair[1].as_bytes()), "{positions:?}");
        let sorted = owner.get(format!("/v1/projects/{project}/tasks?sort=position&limit=100")).await.ok();
        assert_eq!(sorted.column("position"), positions);
        // Positions are per project, and continue after a deleted task at the end.
        let last = owner.task(&other, json!({"title": "x"})).await;
        assert_eq!(last["position"], positions[0].as_str());
        owner.delete(format!("/v1/tasks/{}", last.id())).await.no_content();
        let next = owner.task(&other, json!({"title": "y"})).await;
        assert!(next["position"].as_str().unwrap() > last["position"].as_str().unwrap());
    }

    async fn an_assignee_must_be_a_member(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let (owner, stranger) = (app.user().await, app.user().await);
        let (project, other) = (owner.project().await, owner.project().await);
        let viewer = member(&app, &project, "viewer").await;
        let elsewhere = member(&app, &other, "editor").await;
        let task = owner.task(&project, json!({"title": "x", "assignee_id": viewer.user_id()})).await;
        assert_eq!(task["assignee_id"], viewer.user_id());
        let path = format!("/v1/tasks/{}", task.id());
        for user in [stranger.user_id(), elsewhere.user_id(), UNKNOWN_ID, &project] {
            let body = json!({"title": "y", "assignee_id": user});
            owner.post(format!("/v1/projects/{project}/tasks"), body.clone()).await.invalid(&["assignee_id:reference"]);
            owner.patch(&path, body).await.invalid(&["assignee_id:reference"]);
        }
        assert_eq!(owner.get(&path).await.ok(), task);
        let project = owner.get(format!("/v1/projects/{project}")).await.ok();
        assert_eq!(project["task_counts"]["total"], 1);
    }

    async fn restoring_a_task_unassigns_a_former_member(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let owner = app.user().await;
        let project = owner.project().await;
        let editor = member(&app, &project, "editor").await;
        let task = owner.task(&project, json!({"title": "x", "assignee_id": editor.user_id()})).await;
        let path = format!("/v1/tasks/{}", task.id());
        owner.delete(&path).await.no_content();
        remove_member(&app, &project, &editor).await;
        let restored = owner.post_empty(format!("{path}/restore")).await.ok();
        assert_eq!(restored["assignee_id"], Value::Null);
        editor.get(&path).await.fails(403, "FORBIDDEN");
    }

    async fn a_task_of_another_user_is_forbidden(app: TestApp) {
        let (owner, stranger) = (app.user().await, app.user().await);
        stranger.project().await;
        let task = owner.task(&owner.project().await, json!({"title": "Tea"})).await;
        let path = format!("/v1/tasks/{}", task.id());
        for (method, below, body) in operations() {
            send(&stranger, &method, &format!("{path}{below}"), &body).await.fails(403, "FORBIDDEN");
        }
        assert_eq!(owner.get(&path).await.ok(), task);
        // For a deleted task, only the restoration reveals its existence to a stranger.
        owner.delete(&path).await.no_content();
        for (method, below, body) in operations() {
            let answer = send(&stranger, &method, &format!("{path}{below}"), &body).await;
            let (status, error) = if below.is_empty() { (404, "NOT_FOUND") } else { (403, "FORBIDDEN") };
            answer.fails(status, error);
        }
    }

    async fn an_unknown_task_is_not_found(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let simple = UNKNOWN_ID.replace('-', "");
        for id in UNKNOWN_IDS.into_iter().chain([simple.as_str(), &project]) {
            for (method, below, body) in operations() {
                send(&owner, &method, &format!("/v1/tasks/{id}{below}"), &body).await.fails(404, "NOT_FOUND");
            }
        }
    }
}
