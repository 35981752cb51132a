//! Preconditions with `If-Match`: an update of an older version fails.

use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::common::{UNKNOWN_ID, concurrently, statuses, with};
use crate::api::fixtures::writes::{Operation, WriteFixture, assert_first, operations_by_header};
use crate::on_both_databases;
use crate::support::client::{Call, Ids as _};
use crate::support::{Options, TestApp, TestDatabase};

/// Operations that accept `If-Match`.
fn conditional() -> Vec<Operation> {
    operations_by_header("If-Match").0
}

/// Path of the resource that an operation changes.
fn subject(fixture: &WriteFixture, operation: &Operation) -> String {
    fixture.path(operation).trim_end_matches("/move").to_owned()
}

fn conditional_request(fixture: &WriteFixture, operation: &Operation, lines: &[&str]) -> Call {
    let call = fixture.call(&fixture.owner, operation);
    lines.iter().fold(call, |call, line| call.header_line("if-match", line.as_bytes()))
}

/// Changes the resource of an operation, and returns its tags before and after.
async fn change(fixture: &WriteFixture, operation: &Operation) -> (String, String) {
    let path = subject(fixture, operation);
    let before = fixture.owner.get(path.as_str()).await;
    let name = match path.as_str() {
        path if path.contains("/comments/") => "body",
        path if path.contains("/tasks/") => "title",
        path if path.contains("/webhooks/") => "description",
        _ => "name",
    };
    let after = fixture.owner.patch(path, json!({name: "Changed by another client"})).await;
    assert_eq!(after.status.as_u16(), 200);
    assert_ne!(after.header("etag"), before.header("etag"));
    (before.header("etag").to_owned(), after.header("etag").to_owned())
}

/// Sends a request with each of these values of `If-Match`, and asserts that all fail and change nothing.
async fn assert_preconditions_failed(fixture: &WriteFixture, operation: &Operation, values: &[&[&str]]) {
    let state = fixture.state().await;
    for lines in values {
        let context = format!("{} {lines:?}", operation.id);
        let answer = conditional_request(fixture, operation, lines).send().await;
        assert_eq!(answer.status.as_u16(), 412, "{context}: {}", answer.text);
        let failure = answer.fails(412, "PRECONDITION_FAILED");
        assert_eq!(failure["current"], fixture.owner.get(subject(fixture, operation)).await.ok(), "{context}");
    }
    assert_eq!(fixture.state().await, state, "{} changed something", operation.id);
}

/// Swaps upper and lower case, because a tag may contain letters of one case only.
pub(crate) fn in_other_case(tag: &str) -> String {
    let swap = |c: char| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
    tag.chars().map(swap).collect()
}

on_both_databases! {
    async fn an_update_of_an_older_version_fails_with_the_current_resource(app: TestApp) {
        for operation in conditional() {
            let fixture = WriteFixture::new(&app).await;
            let (stale, current) = change(&fixture, &operation).await;
            assert_preconditions_failed(&fixture, &operation, &[&[&stale]]).await;
            let done = conditional_request(&fixture, &operation, &[&current]).send().await;
            assert_first(&done, &operation.id);
            if done.status.as_u16() == 200 {
                assert_preconditions_failed(&fixture, &operation, &[&[&current]]).await;
                let next = done.header("etag").to_owned();
                assert_first(&conditional_request(&fixture, &operation, &[&next]).send().await, &operation.id);
            }
        }
    }

    async fn one_matching_tag_of_a_list_is_sufficient_and_malformed_tags_are_refused(app: TestApp) {
        for operation in conditional() {
            let fixture = WriteFixture::new(&app).await;
            let task = fixture.owner.task(&fixture.project, json!({"title": "Another"})).await.id();
            let task = fixture.owner.patch(format!("/v1/tasks/{task}"), json!({"title": "Also version 2"})).await;
            assert_eq!(task.body["version"], 2);
            let project = fixture.owner.patch(format!("/v1/projects/{}", fixture.other), json!({"name": "x"})).await;
            // Last, because new tasks change the tag of their project.
            let (stale, current) = change(&fixture, &operation).await;
            let bare = current.trim_matches('"');
            let (version, representation) = bare.split_once('.').unwrap();
            let weak_list = format!("W/{stale} , W/{stale}");
            let swapped = format!("\"{representation}.{version}\"");
            let (no_end, no_start) = (format!("\"{bare}"), format!("{bare}\""));
            let (half, other_case) = (format!("\"{version}\""), in_other_case(&current));
            for malformed in [bare, &no_end, &no_start, "\".", "", ",", "nonsense", "W/", "ü", &format!("nonsense,{current}")] {
                let answer = conditional_request(&fixture, &operation, &[malformed]).send().await;
                answer.invalid(&["If-Match:format"]);
            }
            let values = [
                &[task.header("etag")][..],
                &[project.header("etag")],
                &[&stale, &stale],
                &[&weak_list],
                &[&swapped],
                &[&half],
                &[&other_case],
                &["\"*\""],
                &["\"\""],
            ];
            assert_preconditions_failed(&fixture, &operation, &values).await;
            let (list, tight) = (format!("{stale} , {current}"), format!("{stale},{current},\"a,b\""));
            let (weak, gzip) = (format!("W/{current}"), format!("W/\"{bare}-gzip\""));
            let other_reader = format!("\"{version}.another-reader\"");
            for lines in [
                &[current.as_str()][..],
                &["*"],
                &[&stale, &current],
                &["\"nonsense\"", "*"],
                &[&list],
                &[&tight],
                &[&weak],
                &[&gzip],
                &[&other_reader],
            ] {
                // An empty update passes the precondition and keeps the version for the next case.
                if operation.method == Method::DELETE {
                    continue;
                }
                let call = conditional_request(&fixture, &operation, lines).json(&json!({}));
                let answer = call.send().await;
                assert_eq!(answer.status.as_u16(), 200, "{} {lines:?}: {}", operation.id, answer.text);
                assert_eq!(answer.header("etag"), current, "{} {lines:?}", operation.id);
            }
            assert_first(&conditional_request(&fixture, &operation, &[&list]).send().await, &operation.id);
        }
    }

    async fn an_empty_update_of_an_older_version_fails_too(app: TestApp) {
        for operation in conditional().iter().filter(|operation| operation.method != Method::DELETE) {
            let fixture = WriteFixture::new(&app).await;
            let (stale, _) = change(&fixture, operation).await;
            conditional_request(&fixture, operation, &[&stale]).json(&json!({})).send().await.fails(412, "PRECONDITION_FAILED");
        }
    }

    async fn a_star_requires_existence_only(app: TestApp) {
        for operation in conditional() {
            let fixture = WriteFixture::new(&app).await;
            assert_first(&conditional_request(&fixture, &operation, &["*"]).send().await, &operation.id);
            if operation.template == "/v1/me" {
                continue;
            }
            for nothing in [UNKNOWN_ID, "not-a-uuid", &fixture.trashed, &fixture.deleted] {
                let path = ["{project_id}", "{task_id}", "{comment_id}", "{webhook_id}"]
                    .into_iter()
                    .fold(operation.template.clone(), |path, id| path.replace(id, nothing));
                for tag in ["*", "\"nonsense\""] {
                    let call = fixture.owner.call(operation.method.clone(), path.as_str()).header("if-match", tag);
                    let body = fixture.body(&operation);
                    let call = if body.is_null() { call } else { call.json(&body) };
                    call.send().await.fails(404, "NOT_FOUND");
                }
            }
        }
    }

    async fn permission_and_validation_precede_the_precondition(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        for operation in conditional() {
            let fixture = WriteFixture::new(&app).await;
            let context = operation.id.as_str();
            let stale = |call: Call| call.header("if-match", "\"stale.stale\"");
            let call = fixture.owner.call(operation.method.clone(), format!("{}?x=1", fixture.path(&operation)));
            let body = fixture.body(&operation);
            let call = if body.is_null() { call } else { call.json(&body) };
            stale(call).send().await.invalid(&["x:unknown_parameter"]);
            if !body.is_null() {
                let unknown = with(&body, &json!({"no_such_field": 1}));
                let answer = stale(fixture.call(&fixture.owner, &operation).json(&unknown)).send().await;
                answer.invalid(&["no_such_field:unknown_field"]);
            }
            if operation.template == "/v1/me" {
                continue;
            }
            for client in [app.user().await, fixture.member(&app, "viewer").await] {
                let answer = stale(fixture.call(&client, &operation)).send().await;
                assert_eq!(answer.body["error"], "FORBIDDEN", "{context}");
                assert!(answer.body.get("current").is_none(), "{context}");
            }
            if operation.id != "deleteProject" && !operation.template.starts_with("/v1/webhooks/") {
                fixture.owner.patch(format!("/v1/projects/{}", fixture.project), json!({"archived": true})).await.ok();
                let answer = stale(fixture.call(&fixture.owner, &operation)).send().await;
                assert_eq!(answer.body["error"], "PROJECT_ARCHIVED", "{context}");
            }
        }
        let fixture = WriteFixture::new(&app).await;
        let task = format!("/v1/tasks/{}", fixture.task);
        for (method, path, body, field) in [
            (Method::PATCH, task.clone(), json!({"assignee_id": UNKNOWN_ID}), "assignee_id:reference"),
            (Method::POST, format!("{task}/move"), json!({"after_id": UNKNOWN_ID}), "after_id:reference"),
            (Method::POST, format!("{task}/move"), json!({"project_id": UNKNOWN_ID}), "project_id:reference"),
        ] {
            let call = fixture.owner.call(method, path).json(&body).header("if-match", "\"stale.stale\"");
            call.send().await.invalid(&[field]);
        }
    }

    async fn operations_without_preconditions_ignore_if_match(app: TestApp) {
        for operation in operations_by_header("Idempotency-Key").0 {
            if conditional().iter().any(|conditional| conditional.id == operation.id) {
                continue;
            }
            for tag in ["\"stale.stale\"", "nonsense"] {
                let fixture = WriteFixture::new(&app).await;
                let answer = conditional_request(&fixture, &operation, &[tag]).send().await;
                assert_first(&answer, &operation.id);
            }
        }
    }

    async fn one_of_many_concurrent_updates_of_a_version_succeeds(app: TestApp) {
        for operation in conditional() {
            let fixture = WriteFixture::new(&app).await;
            let tag = fixture.owner.get(subject(&fixture, &operation)).await.header("etag").to_owned();
            let requests: Vec<_> = (0..20)
                .map(|number| {
                    let call = conditional_request(&fixture, &operation, &[&tag]);
                    let name = format!("Change {number}");
                    let call = match operation.id.as_str() {
                        "updateMe" | "updateProject" => call.json(&json!({"name": name})),
                        "updateTask" => call.json(&json!({"title": name})),
                        "updateComment" => call.json(&json!({"body": name})),
                        "updateWebhook" => call.json(&json!({"description": name})),
                        _ => call,
                    };
                    call.send()
                })
                .collect();
            let answers = concurrently(requests).await;
            let deletes = operation.method == Method::DELETE;
            let (success, failure) = if deletes { (204, 404) } else { (200, 412) };
            let expected: Vec<u16> = std::iter::once(success).chain([failure; 19]).collect();
            assert_eq!(statuses(&answers), expected, "{}", operation.id);
            if deletes {
                continue;
            }
            let now = fixture.owner.get(subject(&fixture, &operation)).await.ok();
            assert_eq!(now["version"], 2, "{}", operation.id);
            for answer in answers {
                // The failed updates return the result of the successful one.
                let shown = if answer.status.as_u16() == 200 { &answer.body } else { &answer.body["current"] };
                assert_eq!(*shown, now, "{}", operation.id);
            }
        }
    }

    async fn concurrent_updates_of_different_fields_are_all_kept(app: TestApp) {
        let fixture = WriteFixture::new(&app).await;
        for (path, changes) in [
            ("/v1/me".to_owned(), json!({"name": "Ada", "timezone": "Asia/Tokyo", "weekly_digest": true})),
            (
                format!("/v1/projects/{}", fixture.project),
                json!({"name": "One", "description": "Two", "color": "#112233"}),
            ),
        ] {
            let before = fixture.owner.get(path.as_str()).await.ok();
            let mut changes = changes;
            if before["weekly_digest"] == json!(true) {
                changes["weekly_digest"] = json!(false);
            }
            let requests: Vec<_> = changes.as_object().unwrap().iter().map(|(name, value)| {
                let call = fixture.owner.call(Method::PATCH, path.as_str()).json(&json!({name: value}));
                call.send()
            }).collect();
            let answers = concurrently(requests).await;
            assert_eq!(statuses(&answers), [200, 200, 200]);
            let after = fixture.owner.get(path.as_str()).await.ok();
            let expected = with(&before, &changes);
            for (name, value) in expected.as_object().unwrap() {
                if !["version", "updated_at"].contains(&name.as_str()) {
                    assert_eq!(&after[name], value, "{name} of {path}");
                }
            }
            assert_eq!(after["version"], json!(before["version"].as_i64().unwrap() + 3));
            assert_ne!(after["updated_at"], Value::Null);
        }
    }
}
