//! Projects: create, read, update, delete and restore.

use std::time::Duration;

use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::common::{DAY, UNKNOWN_ID, UNKNOWN_IDS, id_set, log_in_again, send, time, with};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, Options, TestApp, TestDatabase};

/// Operations on one project, relative to its path, with valid bodies.
fn operations() -> [(Method, &'static str, Value); 6] {
    [
        (Method::GET, "", Value::Null),
        (Method::PATCH, "", json!({"name": "Another"})),
        (Method::DELETE, "", Value::Null),
        (Method::POST, "/restore", Value::Null),
        (Method::GET, "/tasks", Value::Null),
        (Method::POST, "/tasks", json!({"title": "A task"})),
    ]
}

async fn counts(app: &TestApp, client: &Client, path: &str) -> (i64, i64, i64) {
    app.work().await;
    let project = client.get(path).await.ok();
    let number = |value: &Value| value.as_i64().unwrap();
    let counts = &project["task_counts"];
    (number(&counts["total"]), number(&counts["done"]), number(&project["completion_percentage"]))
}

on_both_databases! {
    async fn a_new_project_has_its_defaults(app: TestApp) {
        let owner = app.user().await;
        let before = app.clock.now();
        let answer = owner.post("/v1/projects", json!({"name": " \u{2003}Kitchen\t"})).await;
        let location = answer.header("location").to_owned();
        let project = answer.created();
        assert_eq!(location, format!("/v1/projects/{}", project.id()));
        let created_at = time(&project["created_at"]);
        assert!(before <= created_at && created_at <= app.clock.now());
        let expected = json!({
            "id": project["id"], "name": "Kitchen", "description": null, "color": null, "archived": false,
            "owner_id": owner.user_id(), "role": "owner", "deleted_at": null, "task_counts": {"total": 0, "done": 0},
            "completion_percentage": 0, "version": 1, "created_at": project["created_at"],
            "updated_at": project["created_at"],
        });
        assert_eq!(project, expected);
        assert_eq!(owner.get(location).await.ok(), expected);
    }

    async fn a_new_project_accepts_every_field(app: TestApp) {
        let owner = app.user().await;
        let fields = json!({"name": "Küche", "description": " two\n\tlines ", "color": "#3b82f6", "archived": true});
        let project = owner.post("/v1/projects", fields.clone()).await.created();
        assert_eq!(project, with(&project, &fields));
        assert_eq!(owner.get(format!("/v1/projects/{}", project.id())).await.ok(), project);
        let empty = json!({"name": "x", "description": null, "color": null, "archived": false});
        let project = owner.post("/v1/projects", empty.clone()).await.created();
        assert_eq!(project, with(&project, &empty));
    }

    async fn each_project_field_can_be_updated_alone(app: TestApp) {
        let owner = app.user().await;
        let fields = json!({"name": "Kitchen", "description": "Old", "color": "#000000"});
        let mut project = owner.post("/v1/projects", fields).await.created();
        let path = format!("/v1/projects/{}", project.id());
        for (change, becomes) in [
            (json!({"name": " Bath "}), json!({"name": "Bath"})),
            (json!({"description": " New "}), json!({"description": " New "})),
            (json!({"description": ""}), json!({"description": ""})),
            (json!({"description": null}), json!({"description": null})),
            (json!({"color": "#A0b1C2"}), json!({"color": "#A0b1C2"})),
            (json!({"color": null}), json!({"color": null})),
            (json!({"archived": true}), json!({"archived": true})),
            (json!({"archived": false}), json!({"archived": false})),
            (json!({"name": "A", "color": "#ffffff", "description": "D"}),
             json!({"name": "A", "color": "#ffffff", "description": "D"})),
        ] {
            app.clock.advance(Duration::from_secs(1));
            let changed = owner.patch(&path, change.clone()).await.ok();
            assert!(time(&changed["updated_at"]) > time(&project["updated_at"]), "{change}");
            let version = project["version"].as_i64().unwrap() + 1;
            let expected = with(&project, &becomes);
            let expected = with(&expected, &json!({"version": version, "updated_at": changed["updated_at"]}));
            assert_eq!(changed, expected, "{change}");
            assert_eq!(owner.get(&path).await.ok(), expected, "{change}");
            project = changed;
        }
    }

    async fn an_update_without_changes_keeps_the_version_of_a_project(app: TestApp) {
        let owner = app.user().await;
        let fields = json!({"name": "Kitchen", "color": "#000000"});
        let project = owner.post("/v1/projects", fields).await.created();
        let path = format!("/v1/projects/{}", project.id());
        app.clock.advance(Duration::from_secs(1));
        for change in [
            json!({}),
            json!({"name": "  Kitchen "}),
            json!({"description": null}),
            json!({"name": "Kitchen", "color": "#000000", "archived": false, "description": null}),
        ] {
            assert_eq!(owner.patch(&path, change.clone()).await.ok(), project, "{change}");
        }
        assert_eq!(owner.get(&path).await.ok(), project);
    }

    async fn the_counts_of_a_project_follow_its_tasks(app: TestApp) {
        let owner = app.user().await;
        let project = owner.post("/v1/projects", json!({"name": "Kitchen"})).await.created();
        let path = format!("/v1/projects/{}", project.id());
        let mut tasks = Vec::new();
        for _ in 0..3 {
            tasks.push(format!("/v1/tasks/{}", owner.task(&project.id(), json!({"title": "A task"})).await.id()));
        }
        assert_eq!(counts(&app, &owner, &path).await, (3, 0, 0));
        owner.patch(&tasks[0], json!({"status": "done"})).await.ok();
        assert_eq!(counts(&app, &owner, &path).await, (3, 1, 33));
        owner.patch(&tasks[0], json!({"status": "done", "title": "Still done"})).await.ok();
        assert_eq!(counts(&app, &owner, &path).await, (3, 1, 33));
        owner.patch(&tasks[1], json!({"status": "done"})).await.ok();
        assert_eq!(counts(&app, &owner, &path).await, (3, 2, 66));
        owner.patch(&tasks[1], json!({"status": "in_progress"})).await.ok();
        assert_eq!(counts(&app, &owner, &path).await, (3, 1, 33));
        owner.delete(&tasks[0]).await.no_content();
        assert_eq!(counts(&app, &owner, &path).await, (2, 0, 0));
        owner.post_empty(format!("{}/restore", tasks[0])).await.ok();
        owner.post_empty(format!("{}/restore", tasks[0])).await.ok();
        assert_eq!(counts(&app, &owner, &path).await, (3, 1, 33));
        owner.task(&project.id(), json!({"title": "Born done", "status": "done"})).await;
        assert_eq!(counts(&app, &owner, &path).await, (4, 2, 50));
        let listed = owner.get("/v1/projects").await.ok();
        assert_eq!(listed.column("task_counts"), [json!({"total": 4, "done": 2})]);
        // Counters do not change the version of the project.
        let counted = owner.get(&path).await.ok();
        assert_eq!((&counted["version"], &counted["updated_at"]), (&json!(1), &project["updated_at"]));
        owner.patch(&path, json!({"name": "Renamed"})).await.ok();
        assert_eq!(counts(&app, &owner, &path).await, (4, 2, 50));
    }

    async fn a_project_of_another_user_is_forbidden(app: TestApp) {
        let (owner, stranger) = (app.user().await, app.user().await);
        let path = format!("/v1/projects/{}", owner.project().await);
        let before = owner.get(&path).await.ok();
        for (method, below, body) in operations() {
            send(&stranger, &method, &format!("{path}{below}"), &body).await.fails(403, "FORBIDDEN");
        }
        assert_eq!(owner.get(&path).await.ok(), before);
    }

    async fn an_unknown_project_is_not_found(app: TestApp) {
        let owner = app.user().await;
        let task = owner.task(&owner.project().await, json!({"title": "A task"})).await.id();
        let simple = UNKNOWN_ID.replace('-', "");
        for id in UNKNOWN_IDS.into_iter().chain([simple.as_str(), &task]) {
            for (method, below, body) in operations() {
                send(&owner, &method, &format!("/v1/projects/{id}{below}"), &body).await.fails(404, "NOT_FOUND");
            }
        }
    }

    async fn a_deleted_project_is_not_found(app: TestApp) {
        let (owner, stranger) = (app.user().await, app.user().await);
        let path = format!("/v1/projects/{}", owner.project().await);
        owner.delete(&path).await.no_content();
        for (method, below, body) in operations().into_iter().filter(|(_, below, _)| *below != "/restore") {
            send(&owner, &method, &format!("{path}{below}"), &body).await.fails(404, "NOT_FOUND");
            send(&stranger, &method, &format!("{path}{below}"), &body).await.fails(404, "NOT_FOUND");
        }
        assert_eq!(owner.get("/v1/projects").await.ok()["meta"]["total"], 0);
    }

    async fn ids_are_case_insensitive(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        assert_eq!(owner.get(format!("/v1/projects/{}", project.to_uppercase())).await.ok().id(), project);
    }

    async fn tasks_are_deleted_and_restored_with_their_project(app: TestApp) {
        let owner = app.user().await;
        let (project, other) = (owner.project().await, owner.project().await);
        let elsewhere = owner.task(&other, json!({"title": "Elsewhere"})).await.id();
        let kept = owner.task(&project, json!({"title": "Kept", "status": "done"})).await;
        let gone = owner.task(&project, json!({"title": "Gone before"})).await.id();
        owner.delete(format!("/v1/tasks/{gone}")).await.no_content();
        let path = format!("/v1/projects/{project}");
        let before = owner.get(&path).await.ok();
        app.clock.advance(Duration::from_secs(1));
        owner.delete(&path).await.no_content();

        let task = format!("/v1/tasks/{}", kept.id());
        owner.get(&task).await.fails(404, "NOT_FOUND");
        owner.patch(&task, json!({"title": "x"})).await.fails(404, "NOT_FOUND");
        owner.delete(&task).await.fails(404, "NOT_FOUND");
        owner.post_empty(format!("{task}/restore")).await.fails(404, "NOT_FOUND");
        owner.post_empty(format!("/v1/tasks/{gone}/restore")).await.fails(404, "NOT_FOUND");
        assert_eq!(id_set(&owner.get("/v1/tasks").await.ok()), [json!(elsewhere)]);
        assert_eq!(owner.get("/v1/tasks?deleted=true").await.ok()["meta"]["total"], 0);
        let trash = owner.get("/v1/projects?deleted=true").await.ok();
        let deleted = with(&before, &json!({
            "version": 2, "deleted_at": trash["data"][0]["deleted_at"], "updated_at": trash["data"][0]["updated_at"],
        }));
        assert_eq!(trash["data"], json!([deleted]));
        assert!(time(&deleted["deleted_at"]) > time(&before["created_at"]));

        let restored = owner.post_empty(format!("{path}/restore")).await.ok();
        assert_eq!(restored, with(&before, &json!({"version": 3, "updated_at": restored["updated_at"]})));
        assert_eq!(owner.get(&path).await.ok(), restored);
        assert_eq!(owner.get(&task).await.ok(), kept);
        owner.get(format!("/v1/tasks/{gone}")).await.fails(404, "NOT_FOUND");
        assert_eq!(id_set(&owner.get(format!("{path}/tasks")).await.ok()), [kept["id"].clone()]);
        assert_eq!(id_set(&owner.get(format!("{path}/tasks?deleted=true")).await.ok()), [json!(gone)]);
        owner.post_empty(format!("/v1/tasks/{gone}/restore")).await.ok();
        assert_eq!(counts(&app, &owner, &path).await, (2, 1, 50));
    }

    async fn restoring_a_project_that_is_not_deleted_changes_nothing(app: TestApp) {
        let owner = app.user().await;
        let path = format!("/v1/projects/{}", owner.project().await);
        let project = owner.get(&path).await.ok();
        app.clock.advance(Duration::from_secs(1));
        assert_eq!(owner.post_empty(format!("{path}/restore")).await.ok(), project);
        assert_eq!(owner.get(&path).await.ok(), project);
    }

    async fn a_project_can_be_restored_for_thirty_days(app: TestApp) {
        let owner = app.user().await;
        let (early, late) = (owner.project().await, owner.project().await);
        for project in [&early, &late] {
            owner.delete(format!("/v1/projects/{project}")).await.no_content();
        }
        app.clock.advance(29 * DAY + Duration::from_mins(23 * 60 + 55));
        let owner = log_in_again(&app, &owner).await;
        assert_eq!(owner.get("/v1/projects?deleted=true").await.ok()["meta"]["total"], 2);
        owner.post_empty(format!("/v1/projects/{early}/restore")).await.ok();
        app.clock.advance(Duration::from_mins(5));
        assert_eq!(owner.get("/v1/projects?deleted=true").await.ok()["data"], json!([]));
        owner.post_empty(format!("/v1/projects/{late}/restore")).await.fails(404, "NOT_FOUND");
        owner.get(format!("/v1/projects/{early}")).await.ok();
    }

    async fn the_retention_of_deleted_projects_is_configurable(database: TestDatabase) {
        let options = Options { variables: vec![("RETENTION_DAYS", "2")], ..Options::default() };
        let app = TestApp::new(&database, options).await;
        let owner = app.user().await;
        let project = owner.project().await;
        owner.delete(format!("/v1/projects/{project}")).await.no_content();
        app.clock.advance(2 * DAY);
        let owner = log_in_again(&app, &owner).await;
        owner.post_empty(format!("/v1/projects/{project}/restore")).await.fails(404, "NOT_FOUND");
    }

    async fn an_archived_project_can_only_be_read_unarchived_deleted_and_restored(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let path = format!("/v1/projects/{project}");
        let task = owner.task(&project, json!({"title": "A task"})).await;
        let archived = owner.patch(&path, json!({"archived": true, "name": "Put away"})).await.ok();
        assert_eq!((&archived["archived"], &archived["name"]), (&json!(true), &json!("Put away")));
        for change in [
            json!({"name": "x"}), json!({"description": "x"}), json!({"color": "#000000"}),
            json!({"archived": true, "name": "x"}),
        ] {
            owner.patch(&path, change).await.fails(403, "PROJECT_ARCHIVED");
        }
        let create = owner.post(format!("{path}/tasks"), json!({"title": "x"})).await;
        create.fails(403, "PROJECT_ARCHIVED");
        for change in [json!({}), json!({"archived": true}), json!({"name": "Put away"})] {
            assert_eq!(owner.patch(&path, change).await.ok(), archived);
        }
        assert_eq!(owner.get(&path).await.ok(), archived);
        assert_eq!(owner.get(format!("{path}/tasks")).await.ok()["data"], json!([task]));
        owner.delete(&path).await.no_content();
        let restored = owner.post_empty(format!("{path}/restore")).await.ok();
        assert_eq!((&restored["archived"], &restored["deleted_at"]), (&json!(true), &Value::Null));
        let open = owner.patch(&path, json!({"archived": false, "color": "#000000"})).await.ok();
        assert_eq!((&open["archived"], &open["color"]), (&json!(false), &json!("#000000")));
        owner.post(format!("{path}/tasks"), json!({"title": "x"})).await.created();
    }
}
