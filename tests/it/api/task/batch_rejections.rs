//! Rejected batches, which leave no trace.

use serde_json::{Value, json};

use crate::api::fixtures::common::{UNKNOWN_ID, UNKNOWN_IDS};
use crate::api::fixtures::stored_members::member;
use crate::api::fixtures::tasks::TaskFixture;
use crate::on_both_databases;
use crate::support::{Answer, Options, TestApp, TestDatabase};

const LIMIT: usize = 1_048_576;

async fn send(fixture: &TaskFixture, operations: &Value) -> Answer {
    let path = format!("/v1/projects/{}/tasks/batch", fixture.project);
    fixture.owner.post(path, json!({"operations": operations})).await
}

/// Invalid operations, each alone, with the expected validation errors.
const INVALID: &[(&str, &[&str])] = &[
    ("{}", &["op:required"]),
    (r#"{"title": "x"}"#, &["op:required"]),
    (r#"{"op": "upsert", "title": "x"}"#, &["op:enum"]),
    (r#"{"op": "Create", "title": "x"}"#, &["op:enum"]),
    (r#"{"op": "create"}"#, &["title:required"]),
    (r#"{"op": "create", "title": "  "}"#, &["title:too_short"]),
    (
        r#"{"op": "create", "title": "x", "task_id": "01936f50-1c80-7e5c-b130-4d8e3f70ffff"}"#,
        &["task_id:unknown_field"],
    ),
    (r#"{"op": "create", "title": "x", "position": "a0"}"#, &["position:unknown_field"]),
    (r#"{"op": "create", "title": "x", "id": "a"}"#, &["id:unknown_field"]),
    (r#"{"op": "create", "title": "x", "zzz": 1}"#, &["zzz:unknown_field"]),
    (r#"{"op": "create", "title": "x", "labels": ["a", " a", "b,c"]}"#, &["labels[1]:duplicate", "labels[2]:pattern"]),
    (r#"{"op": "create", "status": "x", "priority": 1}"#, &["title:required", "status:enum", "priority:type"]),
    (r#"{"op": "update"}"#, &["task_id:required"]),
    (r#"{"op": "update", "task_id": "x", "title": null}"#, &["task_id:format", "title:null"]),
    (r#"{"op": "update", "task_id": null}"#, &["task_id:null"]),
    (
        r#"{"op": "update", "task_id": "01936f50-1c80-7e5c-b130-4d8e3f70ffff", "version": 1}"#,
        &["version:unknown_field"],
    ),
    (
        r#"{"op": "update", "task_id": "01936f50-1c80-7e5c-b130-4d8e3f70ffff", "completed_at": null}"#,
        &["completed_at:unknown_field"],
    ),
    (r#"{"op": "delete"}"#, &["task_id:required"]),
    (r#"{"op": "delete", "task_id": "01936f50-1c80-7e5c-b130-4d8e3f70ffff", "title": "x"}"#, &["title:unknown_field"]),
];

on_both_databases! {
    async fn an_invalid_operation_is_reported_by_its_index(app: TestApp) {
        let fixture = TaskFixture::new(&app).await;
        let before = fixture.state().await;
        let good = json!({"op": "create", "title": "good"});
        for (operation, failures) in INVALID {
            let operation: Value = serde_json::from_str(operation).unwrap();
            for index in [0, 3] {
                let mut operations = vec![good.clone(); 4];
                operations[index] = operation.clone();
                let expected: Vec<String> =
                    failures.iter().map(|failure| format!("operations[{index}].{failure}")).collect();
                let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
                send(&fixture, &json!(operations)).await.invalid(&expected);
            }
        }
        for operation in [json!(null), json!("create"), json!([good]), json!(1)] {
            let answer = send(&fixture, &json!([good, operation])).await.fails(400, "VALIDATION_FAILED");
            assert_eq!(answer["field"], "operations[1]", "{answer}");
        }
        // All invalid operations in one batch.
        let several = json!([{"op": "create"}, good, {"op": "delete"}, {"op": "update", "task_id": "x", "zzz": 1}]);
        send(&fixture, &several).await.invalid(&[
            "operations[0].title:required",
            "operations[2].task_id:required",
            "operations[3].task_id:format",
            "operations[3].zzz:unknown_field",
        ]);
        assert_eq!(fixture.state().await, before);
    }

    async fn a_batch_has_between_one_and_a_hundred_operations(app: TestApp) {
        let fixture = TaskFixture::new(&app).await;
        let before = fixture.state().await;
        let good = json!({"op": "create", "title": "good"});
        let path = format!("/v1/projects/{}/tasks/batch", fixture.project);
        for (body, expected) in [
            (json!({"operations": []}), "operations:too_few"),
            (json!({"operations": vec![&good; 101]}), "operations:too_many"),
            (json!({}), "operations:required"),
            (json!({"operations": null}), "operations:null"),
            (json!({"operations": good}), "operations:type"),
            (json!({"operations": [good], "atomic": false}), "atomic:unknown_field"),
        ] {
            fixture.owner.post(&path, body).await.invalid(&[expected]);
        }
        let long = "x".repeat(LIMIT);
        let too_large = json!({"operations": [{"op": "create", "title": "x", "description": long}]});
        fixture.owner.post(&path, too_large).await.fails(413, "PAYLOAD_TOO_LARGE");
        assert_eq!(fixture.state().await, before);
        // The largest possible body is accepted.
        let long = "x".repeat(10_000);
        let operations = vec![json!({"op": "create", "title": "x", "description": long}); 100];
        let mut body = json!({"operations": operations}).to_string();
        body.push_str(&" ".repeat(LIMIT - body.len()));
        let call = || fixture.owner.call(poem::http::Method::POST, &path);
        call().body("application/json", body.clone()).send().await.ok();
        call().body("application/json", body + " ").send().await.fails(413, "PAYLOAD_TOO_LARGE");
    }

    async fn an_invalid_reference_is_reported_by_its_index(app: TestApp) {
        let fixture = TaskFixture::new(&app).await;
        let before = fixture.state().await;
        let task = &fixture.task["id"];
        let stranger = fixture.stranger.user_id();
        let create = |assignee: &str| json!({"op": "create", "title": "x", "assignee_id": assignee});
        let update = |id: &Value| json!({"op": "update", "task_id": id, "title": "y"});
        let assign = |assignee: &str| json!({"op": "update", "task_id": task, "assignee_id": assignee});
        let delete = |id: &Value| json!({"op": "delete", "task_id": id});
        let unknown = json!(UNKNOWN_ID);
        for (operations, expected) in [
            (vec![create(UNKNOWN_ID)], vec!["[0].assignee_id"]),
            (vec![update(task), create(stranger)], vec!["[1].assignee_id"]),
            (vec![assign(stranger), delete(task)], vec!["[0].assignee_id"]),
            (vec![delete(task), update(task)], vec!["[1].task_id"]),
            (vec![delete(task), delete(task)], vec!["[1].task_id"]),
            (vec![delete(task), create(fixture.owner.user_id()), assign(UNKNOWN_ID)], vec!["[2].task_id"]),
            (vec![update(&unknown), update(task), delete(&unknown)], vec!["[0].task_id", "[2].task_id"]),
            (
                vec![update(&fixture.elsewhere["id"]), delete(&fixture.elsewhere["id"]), update(&fixture.trashed["id"])],
                vec!["[0].task_id", "[1].task_id", "[2].task_id"],
            ),
            (
                vec![create(stranger), update(&json!(fixture.project)), assign(UNKNOWN_ID), delete(&fixture.trashed["id"])],
                vec!["[0].assignee_id", "[1].task_id", "[2].assignee_id", "[3].task_id"],
            ),
        ] {
            let expected: Vec<String> =
                expected.iter().map(|failure| format!("operations{failure}:reference")).collect();
            let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
            send(&fixture, &json!(operations)).await.invalid(&expected);
        }
        assert_eq!(fixture.state().await, before);
    }

    async fn a_task_of_another_user_is_forbidden_in_a_batch(app: TestApp) {
        let fixture = TaskFixture::new(&app).await;
        let before = fixture.state().await;
        let good = json!({"op": "update", "task_id": fixture.task["id"], "title": "y"});
        for bad in [
            json!({"op": "update", "task_id": fixture.of_stranger["id"], "title": "y"}),
            json!({"op": "update", "task_id": fixture.of_stranger["id"]}),
            json!({"op": "delete", "task_id": fixture.of_stranger["id"]}),
        ] {
            for index in 0..3 {
                let mut operations = vec![good.clone(), json!({"op": "create", "title": "x"})];
                operations.insert(index, bad.clone());
                let refused = send(&fixture, &json!(operations)).await.fails(403, "FORBIDDEN");
                let message = format!(
                    "operations[{index}]: You are not a member of this project. This requires the role viewer, editor or owner."
                );
                assert_eq!(refused["message"], message);
            }
        }
        assert_eq!(fixture.state().await, before);
    }

    async fn a_failing_operation_rolls_back_the_others(app: TestApp) {
        let fixture = TaskFixture::new(&app).await;
        let before = fixture.state().await;
        let good = [
            json!({"op": "create", "title": "good", "status": "done"}),
            json!({"op": "update", "task_id": fixture.task["id"], "title": "y", "status": "done"}),
            json!({"op": "delete", "task_id": fixture.neighbour["id"]}),
        ];
        for (bad, status) in [
            (json!({"op": "create", "title": "x", "assignee_id": UNKNOWN_ID}), 400),
            (json!({"op": "update", "task_id": UNKNOWN_ID, "title": "y"}), 400),
            (json!({"op": "update", "task_id": fixture.elsewhere["id"], "title": "y"}), 400),
            (json!({"op": "update", "task_id": fixture.trashed["id"], "title": "y"}), 400),
            (json!({"op": "update", "task_id": fixture.task["id"], "assignee_id": UNKNOWN_ID}), 400),
            (json!({"op": "delete", "task_id": UNKNOWN_ID}), 400),
            (json!({"op": "delete", "task_id": fixture.elsewhere["id"]}), 400),
            (json!({"op": "delete", "task_id": fixture.of_stranger["id"]}), 403),
            (json!({"op": "create", "title": ""}), 400),
            (json!({"op": "create", "title": "x", "zzz": 1}), 400),
        ] {
            for index in 0..=good.len() {
                let mut operations = good.to_vec();
                operations.insert(index, bad.clone());
                send(&fixture, &json!(operations)).await.expect(status);
                assert_eq!(fixture.state().await, before, "{bad} at {index}");
            }
        }
        // Only that operation failed.
        send(&fixture, &json!(good)).await.ok();
        assert_ne!(fixture.state().await, before);
    }

    async fn a_batch_requires_the_permissions_of_task_changes(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let fixture = TaskFixture::new(&app).await;
        let project = &fixture.project;
        let path = format!("/v1/projects/{project}/tasks/batch");
        let viewer = member(&app, project, "viewer").await;
        let editor = member(&app, project, "editor").await;
        let update = json!({"op": "update", "task_id": fixture.task["id"]});
        let bodies = [
            json!({"operations": [{"op": "create", "title": "x"}]}),
            json!({"operations": [update]}),
            json!({"operations": [{"op": "delete", "task_id": UNKNOWN_ID}]}),
        ];
        let before = fixture.state().await;
        for body in &bodies {
            for client in [&viewer, &fixture.stranger] {
                client.post(&path, body.clone()).await.fails(403, "FORBIDDEN");
            }
            for id in UNKNOWN_IDS.into_iter().chain([fixture.task["id"].as_str().unwrap()]) {
                let path = format!("/v1/projects/{id}/tasks/batch");
                fixture.owner.post(path, body.clone()).await.fails(404, "NOT_FOUND");
            }
        }
        assert_eq!(fixture.state().await, before);
        editor.post(&path, bodies[0].clone()).await.ok();
        fixture.owner.patch(format!("/v1/projects/{project}"), json!({"archived": true})).await.ok();
        let before = fixture.state().await;
        for body in &bodies {
            editor.post(&path, body.clone()).await.fails(403, "PROJECT_ARCHIVED");
            viewer.post(&path, body.clone()).await.fails(403, "FORBIDDEN");
        }
        assert_eq!(fixture.state().await, before);
        fixture.owner.delete(format!("/v1/projects/{project}")).await.no_content();
        for client in [&fixture.owner, &editor, &fixture.stranger] {
            client.post(&path, bodies[0].clone()).await.fails(404, "NOT_FOUND");
        }
    }
}
