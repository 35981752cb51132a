//! Validation of request bodies.

use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::common::{UNKNOWN_ID, send};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, TestApp};

/// Fields of a task with their expected validation errors; empty for valid fields.
fn task_fields() -> Vec<(Value, Vec<&'static str>)> {
    let labels = |count: usize| (0..count).map(|number| format!("label {number}")).collect::<Vec<_>>();
    vec![
        (json!({"title": 5}), vec!["title:type"]),
        (json!({"title": ["x"]}), vec!["title:type"]),
        (json!({"title": null}), vec!["title:null"]),
        (json!({"title": ""}), vec!["title:too_short"]),
        (json!({"title": " \t\u{a0}\u{2003}\n"}), vec!["title:too_short"]),
        (json!({"title": "🦀".repeat(200)}), vec![]),
        (json!({"title": format!("  {}  ", "🦀".repeat(200))}), vec![]),
        (json!({"title": "🦀".repeat(201)}), vec!["title:too_long"]),
        (json!({"title": "a".repeat(201)}), vec!["title:too_long"]),
        (json!({"title": "a\u{0}b"}), vec!["title:pattern"]),
        (json!({"title": "\u{0}"}), vec!["title:pattern"]),
        (json!({"title": "a\nb"}), vec!["title:pattern"]),
        (json!({"title": "a\tb"}), vec!["title:pattern"]),
        (json!({"title": "a\u{7f}"}), vec!["title:pattern"]),
        (json!({"title": "a\u{85}b"}), vec!["title:pattern"]),
        (json!({"description": false}), vec!["description:type"]),
        (json!({"description": null}), vec![]),
        (json!({"description": ""}), vec![]),
        (json!({"description": "🦀".repeat(10_000)}), vec![]),
        (json!({"description": "🦀".repeat(10_001)}), vec!["description:too_long"]),
        (json!({"description": "two\n\tlines"}), vec![]),
        (json!({"description": "a\u{0}"}), vec!["description:pattern"]),
        (json!({"description": "a\u{1b}[0m"}), vec!["description:pattern"]),
        (json!({"status": "open"}), vec!["status:enum"]),
        (json!({"status": "Done"}), vec!["status:enum"]),
        (json!({"status": 1}), vec!["status:type"]),
        (json!({"status": null}), vec!["status:null"]),
        (json!({"priority": "highest"}), vec!["priority:enum"]),
        (json!({"priority": 3}), vec!["priority:type"]),
        (json!({"priority": null}), vec!["priority:null"]),
        (json!({"due_at": "tomorrow"}), vec!["due_at:format"]),
        (json!({"due_at": ""}), vec!["due_at:format"]),
        (json!({"due_at": "2026-01-31"}), vec!["due_at:format"]),
        (json!({"due_at": "2026-01-31T09:00:00"}), vec!["due_at:format"]),
        (json!({"due_at": "2026-01-31 09:00:00Z"}), vec!["due_at:format"]),
        (json!({"due_at": "2026-02-30T09:00:00Z"}), vec!["due_at:format"]),
        (json!({"due_at": "9999-12-31T23:59:59-00:01"}), vec!["due_at:format"]),
        (json!({"due_at": 1_769_850_000}), vec!["due_at:type"]),
        (json!({"assignee_id": "me"}), vec!["assignee_id:format"]),
        (json!({"assignee_id": ""}), vec!["assignee_id:format"]),
        (json!({"assignee_id": UNKNOWN_ID.replace('-', "")}), vec!["assignee_id:format"]),
        (json!({"assignee_id": 5}), vec!["assignee_id:type"]),
        (json!({"assignee_id": UNKNOWN_ID}), vec!["assignee_id:reference"]),
        (json!({"labels": "a"}), vec!["labels:type"]),
        (json!({"labels": null}), vec!["labels:null"]),
        (json!({"labels": {"0": "a"}}), vec!["labels:type"]),
        (json!({"labels": labels(20)}), vec![]),
        (json!({"labels": labels(21)}), vec!["labels:too_many"]),
        (json!({"labels": ["a", 5, null]}), vec!["labels[1]:type", "labels[2]:null"]),
        (json!({"labels": ["a", "", "  "]}), vec!["labels[1]:too_short", "labels[2]:too_short"]),
        (json!({"labels": ["🦀".repeat(50), " ".repeat(60) + "a"]}), vec![]),
        (json!({"labels": ["🦀".repeat(51)]}), vec!["labels[0]:too_long"]),
        (json!({"labels": ["a", "b,c"]}), vec!["labels[1]:pattern"]),
        (json!({"labels": ["a\u{0}"]}), vec!["labels[0]:pattern"]),
        (json!({"labels": ["a\nb"]}), vec!["labels[0]:pattern"]),
        (json!({"labels": ["a", "b", "a"]}), vec!["labels[2]:duplicate"]),
        (json!({"labels": ["a", "b", "\ta "]}), vec!["labels[2]:duplicate"]),
        (json!({"labels": ["b", "a", "a", "b"]}), vec!["labels[2]:duplicate", "labels[3]:duplicate"]),
        (json!({"labels": ["a", "A", "ä", "Ä"]}), vec![]),
        (json!({"colour": "red"}), vec!["colour:unknown_field"]),
        (json!({"Title": "x"}), vec!["Title:unknown_field"]),
        (json!({"id": UNKNOWN_ID, "position": "a0"}), vec!["id:unknown_field", "position:unknown_field"]),
        (json!({"project_id": UNKNOWN_ID}), vec!["project_id:unknown_field"]),
        (json!({"created_by": UNKNOWN_ID}), vec!["created_by:unknown_field"]),
        (json!({"completed_at": null}), vec!["completed_at:unknown_field"]),
        (json!({"deleted_at": null}), vec!["deleted_at:unknown_field"]),
        (json!({"version": 1}), vec!["version:unknown_field"]),
        (json!({"created_at": "x", "updated_at": "x"}), vec!["created_at:unknown_field", "updated_at:unknown_field"]),
        (
            json!({
                "zzz": 1, "labels": ["a", "a", ""], "due_at": "x", "title": "", "status": "x", "aaa": 2, "priority": 7,
            }),
            vec![
                "zzz:unknown_field",
                "labels[1]:duplicate",
                "labels[2]:too_short",
                "due_at:format",
                "title:too_short",
                "status:enum",
                "aaa:unknown_field",
                "priority:type",
            ],
        ),
    ]
}

/// Fields of a project with their expected validation errors.
fn project_fields() -> Vec<(Value, Vec<&'static str>)> {
    vec![
        (json!({"name": 5}), vec!["name:type"]),
        (json!({"name": null}), vec!["name:null"]),
        (json!({"name": ""}), vec!["name:too_short"]),
        (json!({"name": " \t\u{3000}"}), vec!["name:too_short"]),
        (json!({"name": "🦀".repeat(100)}), vec![]),
        (json!({"name": format!(" {} ", "a".repeat(100))}), vec![]),
        (json!({"name": "🦀".repeat(101)}), vec!["name:too_long"]),
        (json!({"name": "a\u{0}"}), vec!["name:pattern"]),
        (json!({"name": "a\nb"}), vec!["name:pattern"]),
        (json!({"description": []}), vec!["description:type"]),
        (json!({"description": null}), vec![]),
        (json!({"description": "🦀".repeat(2_000)}), vec![]),
        (json!({"description": "🦀".repeat(2_001)}), vec!["description:too_long"]),
        (json!({"description": "two\n\tlines"}), vec![]),
        (json!({"description": "a\u{0}"}), vec!["description:pattern"]),
        (json!({"color": null}), vec![]),
        (json!({"color": "#09afAF"}), vec![]),
        (json!({"color": "red"}), vec!["color:pattern"]),
        (json!({"color": ""}), vec!["color:pattern"]),
        (json!({"color": "#fff"}), vec!["color:pattern"]),
        (json!({"color": "#12345g"}), vec!["color:pattern"]),
        (json!({"color": "#1234567"}), vec!["color:pattern"]),
        (json!({"color": "#123456\n"}), vec!["color:pattern"]),
        (json!({"color": 0}), vec!["color:type"]),
        (json!({"archived": "true"}), vec!["archived:type"]),
        (json!({"archived": 1}), vec!["archived:type"]),
        (json!({"archived": null}), vec!["archived:null"]),
        (json!({"colour": "#ffffff"}), vec!["colour:unknown_field"]),
        (json!({"id": UNKNOWN_ID}), vec!["id:unknown_field"]),
        (json!({"owner_id": UNKNOWN_ID, "role": "owner"}), vec!["owner_id:unknown_field", "role:unknown_field"]),
        (json!({"deleted_at": null}), vec!["deleted_at:unknown_field"]),
        (json!({"task_counts": {"total": 0, "done": 0}}), vec!["task_counts:unknown_field"]),
        (json!({"completion_percentage": 100}), vec!["completion_percentage:unknown_field"]),
        (json!({"version": 1}), vec!["version:unknown_field"]),
        (json!({"created_at": "x", "updated_at": "x"}), vec!["created_at:unknown_field", "updated_at:unknown_field"]),
        (
            json!({"version": 2, "color": "x", "name": "", "archived": 0, "description": 0}),
            vec!["version:unknown_field", "color:pattern", "name:too_short", "archived:type", "description:type"],
        ),
    ]
}

/// Adds the required fields of a new resource.
fn completed(fields: &Value, name: &str) -> Value {
    let mut body = fields.clone();
    body.as_object_mut().unwrap().entry(name).or_insert_with(|| json!("A name"));
    body
}

/// Sends a body and expects these validation errors, or success if there are none.
async fn check(client: &Client, method: Method, path: &str, body: &Value, failures: &[&str]) {
    let success = if method == Method::POST { 201 } else { 200 };
    let answer = send(client, &method, path, body).await;
    if failures.is_empty() {
        assert_eq!(answer.status.as_u16(), success, "{method} {body}: {}", answer.text);
    } else {
        assert_eq!(answer.status.as_u16(), 400, "{method} {body}: {}", answer.text);
        assert_eq!(answer.body["details"][0]["in"], "body");
        assert_eq!(answer.body["field"], answer.body["details"][0]["field"]);
        answer.invalid(failures);
    }
}

on_both_databases! {
    async fn each_invalid_task_field_is_reported(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let path = format!("/v1/tasks/{}", owner.task(&project, json!({"title": "Tea"})).await.id());
        let mut created = 1;
        for (fields, failures) in task_fields() {
            let before = owner.get(&path).await.ok();
            check(&owner, Method::PATCH, &path, &fields, &failures).await;
            if !failures.is_empty() {
                assert_eq!(owner.get(&path).await.ok(), before, "{fields} was refused");
            }
            let body = completed(&fields, "title");
            check(&owner, Method::POST, &format!("/v1/projects/{project}/tasks"), &body, &failures).await;
            created += i64::from(failures.is_empty());
        }
        let project = owner.get(format!("/v1/projects/{project}")).await.ok();
        assert_eq!(project["task_counts"]["total"], created);
    }

    async fn each_invalid_project_field_is_reported(app: TestApp) {
        let owner = app.user().await;
        let path = format!("/v1/projects/{}", owner.project().await);
        let mut created = 1;
        for (fields, failures) in project_fields() {
            let before = owner.get(&path).await.ok();
            check(&owner, Method::PATCH, &path, &fields, &failures).await;
            if !failures.is_empty() {
                assert_eq!(owner.get(&path).await.ok(), before, "{fields} was refused");
            }
            check(&owner, Method::POST, "/v1/projects", &completed(&fields, "name"), &failures).await;
            created += i64::from(failures.is_empty());
        }
        assert_eq!(owner.get("/v1/projects").await.ok()["meta"]["total"], created);
    }

    async fn missing_fields_are_reported_first(app: TestApp) {
        let owner = app.user().await;
        let tasks = format!("/v1/projects/{}/tasks", owner.project().await);
        owner.post(&tasks, json!({})).await.invalid(&["title:required"]);
        let answer = owner.post(&tasks, json!({"status": "x", "zzz": 1})).await;
        answer.invalid(&["title:required", "status:enum", "zzz:unknown_field"]);
        owner.post("/v1/projects", json!({})).await.invalid(&["name:required"]);
        owner.post("/v1/projects", json!({"color": "x"})).await.invalid(&["name:required", "color:pattern"]);
        owner.post_empty("/v1/projects").await.invalid(&[":required"]);
    }

    async fn a_body_other_than_an_object_is_rejected(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let task = owner.task(&project, json!({"title": "Tea"})).await.id();
        for (method, path) in [
            (Method::POST, "/v1/projects".to_owned()),
            (Method::PATCH, format!("/v1/projects/{project}")),
            (Method::POST, format!("/v1/projects/{project}/tasks")),
            (Method::PATCH, format!("/v1/tasks/{task}")),
        ] {
            for body in ["[]", "[{\"title\": \"x\"}]", "\"x\"", "7", "true", "null"] {
                let call = owner.call(method.clone(), &path).body("application/json", body);
                call.send().await.invalid(&[if body == "null" { ":null" } else { ":type" }]);
            }
        }
    }

    async fn errors_of_query_and_body_are_reported_together(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let task = owner.task(&project, json!({"title": "Tea"})).await.id();
        let body = json!({"zzz": 1, "labels": ["a", "a"], "status": "x"});
        for (method, path, required) in [
            (Method::POST, format!("/v1/projects/{project}/tasks"), vec!["body title:required"]),
            (Method::PATCH, format!("/v1/tasks/{task}"), vec![]),
        ] {
            let answer = send(&owner, &method, &format!("{path}?limit=5&title=x"), &body).await;
            let answer = answer.fails(400, "VALIDATION_FAILED");
            let word = |detail: &Value, name: &str| detail[name].as_str().unwrap().to_owned();
            let details: Vec<String> = answer["details"].as_array().unwrap().iter().map(|detail| {
                assert!(word(detail, "message").starts_with(&word(detail, "field")), "{detail}");
                format!("{} {}:{}", word(detail, "in"), word(detail, "field"), word(detail, "code"))
            }).collect();
            let query = ["query limit:unknown_parameter", "query title:unknown_parameter"];
            let rest = ["body zzz:unknown_field", "body labels[1]:duplicate", "body status:enum"];
            assert_eq!(details, [&query[..], &required, &rest].concat());
            assert_eq!((&answer["field"], &answer["message"]), (&json!("limit"), &answer["details"][0]["message"]));
        }
    }
}
