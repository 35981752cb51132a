//! `If-Match`: whoever changes what somebody else has changed meanwhile is told so.

use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::common::{NOBODY, at_once, with};
use crate::api::fixtures::writes::{Operation, World, assert_first, taking};
use crate::on_both_databases;
use crate::support::client::{Call, Ids as _};
use crate::support::{Answer, Options, TestApp, TestDatabase};

/// The operations with a precondition.
fn conditional() -> Vec<Operation> {
    taking("If-Match").0
}

/// Where the resource is read that an operation changes.
fn subject(world: &World, operation: &Operation) -> String {
    world.path(operation).trim_end_matches("/move").to_owned()
}

fn on_condition(world: &World, operation: &Operation, lines: &[&str]) -> Call {
    let call = world.call(&world.owner, operation);
    lines.iter().fold(call, |call, line| call.header_line("if-match", line.as_bytes()))
}

/// Changes what an operation is about, and gives the tags of before and after.
async fn change(world: &World, operation: &Operation) -> (String, String) {
    let path = subject(world, operation);
    let before = world.owner.get(path.as_str()).await;
    let name = match path.as_str() {
        path if path.contains("/comments/") => "body",
        path if path.contains("/tasks/") => "title",
        path if path.contains("/webhooks/") => "description",
        _ => "name",
    };
    let after = world.owner.patch(path, json!({name: "Changed meanwhile"})).await;
    assert_eq!(after.status.as_u16(), 200);
    assert_ne!(after.header("etag"), before.header("etag"));
    (before.header("etag").to_owned(), after.header("etag").to_owned())
}

async fn refuse(world: &World, operation: &Operation, lines: &[&str]) {
    let place = format!("{} {lines:?}", operation.id);
    let state = world.state().await;
    let answer = on_condition(world, operation, lines).send().await;
    assert_eq!(answer.status.as_u16(), 412, "{place}: {}", answer.text);
    let failure = answer.fails(412, "PRECONDITION_FAILED");
    assert_eq!(failure["current"], world.owner.get(subject(world, operation)).await.ok(), "{place}");
    assert_eq!(world.state().await, state, "{place} changed something");
}

fn statuses(answers: &[Answer]) -> Vec<u16> {
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    statuses
}

/// The same text with capitals for small letters, and the other way round: a tag may have letters of one kind only.
pub(crate) fn in_other_case(tag: &str) -> String {
    let swap = |c: char| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
    tag.chars().map(swap).collect()
}

on_both_databases! {
    async fn who_has_seen_an_older_version_changes_nothing_and_is_shown_the_new_one(app: TestApp) {
        for operation in conditional() {
            let world = World::new(&app).await;
            let (stale, current) = change(&world, &operation).await;
            refuse(&world, &operation, &[&stale]).await;
            let done = on_condition(&world, &operation, &[&current]).send().await;
            assert_first(&done, &operation.id);
            if done.status.as_u16() == 200 {
                refuse(&world, &operation, &[&current]).await;
                let next = done.header("etag").to_owned();
                assert_first(&on_condition(&world, &operation, &[&next]).send().await, &operation.id);
            }
        }
    }

    async fn any_of_several_tags_is_enough_and_nonsense_is_none(app: TestApp) {
        for operation in conditional() {
            let world = World::new(&app).await;
            let task = world.owner.task(&world.project, json!({"title": "Another"})).await.id();
            let task = world.owner.patch(format!("/v1/tasks/{task}"), json!({"title": "Also version 2"})).await;
            assert_eq!(task.body["version"], 2);
            let project = world.owner.patch(format!("/v1/projects/{}", world.other), json!({"name": "x"})).await;
            // Last, because new tasks change the tag of their project.
            let (stale, current) = change(&world, &operation).await;
            let bare = current.trim_matches('"');
            let (version, representation) = bare.split_once('.').unwrap();
            let weak_list = format!("W/{stale} , W/{stale}");
            let swapped = format!("\"{representation}.{version}\"");
            let (no_end, no_start) = (format!("\"{bare}"), format!("{bare}\""));
            let (half, other_case) = (format!("\"{version}\""), in_other_case(&current));
            for lines in [
                &[task.header("etag")][..],
                &[project.header("etag")],
                &[&stale, &stale],
                &[&weak_list],
                &[bare],
                &[&swapped],
                &[&no_end],
                &[&no_start],
                &[&half],
                &[&other_case],
                &["\"*\""],
                &["\"\""],
                &["\"."],
                &[""],
                &[","],
                &["nonsense"],
                &["W/"],
                &["ü"],
            ] {
                refuse(&world, &operation, lines).await;
            }
            let (list, tight) = (format!("{stale} , {current}"), format!("nonsense,{current},{stale}"));
            let (weak, gzip) = (format!("W/{current}"), format!("W/\"{bare}-gzip\""));
            let other_reader = format!("\"{version}.somebody-elses\"");
            for lines in [
                &[current.as_str()][..],
                &["*"],
                &[&stale, &current],
                &["nonsense", "*"],
                &[&list],
                &[&tight],
                &[&weak],
                &[&gzip],
                &[&other_reader],
            ] {
                // An empty change passes the precondition and leaves the version for the next.
                if operation.method == Method::DELETE {
                    continue;
                }
                let call = on_condition(&world, &operation, lines).json(&json!({}));
                let answer = call.send().await;
                assert_eq!(answer.status.as_u16(), 200, "{} {lines:?}: {}", operation.id, answer.text);
                assert_eq!(answer.header("etag"), current, "{} {lines:?}", operation.id);
            }
            assert_first(&on_condition(&world, &operation, &[&list]).send().await, &operation.id);
        }
    }

    async fn an_empty_change_of_an_older_version_is_refused_too(app: TestApp) {
        for operation in conditional().iter().filter(|operation| operation.method != Method::DELETE) {
            let world = World::new(&app).await;
            let (stale, _) = change(&world, operation).await;
            on_condition(&world, operation, &[&stale]).json(&json!({})).send().await.fails(412, "PRECONDITION_FAILED");
        }
    }

    async fn a_star_means_that_it_must_exist(app: TestApp) {
        for operation in conditional() {
            let world = World::new(&app).await;
            assert_first(&on_condition(&world, &operation, &["*"]).send().await, &operation.id);
            if operation.template == "/v1/me" {
                continue;
            }
            for nothing in [NOBODY, "not-a-uuid", &world.trashed, &world.deleted] {
                let path = ["{project_id}", "{task_id}", "{comment_id}", "{webhook_id}"]
                    .into_iter()
                    .fold(operation.template.clone(), |path, id| path.replace(id, nothing));
                for tag in ["*", "\"nonsense\""] {
                    let call = world.owner.call(operation.method.clone(), path.as_str()).header("if-match", tag);
                    let body = world.body(&operation);
                    let call = if body.is_null() { call } else { call.json(&body) };
                    call.send().await.fails(404, "NOT_FOUND");
                }
            }
        }
    }

    async fn permission_and_validity_come_before_the_precondition(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        for operation in conditional() {
            let world = World::new(&app).await;
            let place = operation.id.as_str();
            let stale = |call: Call| call.header("if-match", "\"stale.stale\"");
            let call = world.owner.call(operation.method.clone(), format!("{}?x=1", world.path(&operation)));
            let body = world.body(&operation);
            let call = if body.is_null() { call } else { call.json(&body) };
            stale(call).send().await.invalid(&["x:unknown_parameter"]);
            if !body.is_null() {
                let unknown = with(&body, &json!({"no_such_field": 1}));
                let answer = stale(world.call(&world.owner, &operation).json(&unknown)).send().await;
                answer.invalid(&["no_such_field:unknown_field"]);
            }
            if operation.template == "/v1/me" {
                continue;
            }
            for client in [app.user().await, world.member(&app, "viewer").await] {
                let answer = stale(world.call(&client, &operation)).send().await;
                assert_eq!(answer.body["error"], "FORBIDDEN", "{place}");
                assert!(answer.body.get("current").is_none(), "{place}");
            }
            if operation.id != "deleteProject" && !operation.template.starts_with("/v1/webhooks/") {
                world.owner.patch(format!("/v1/projects/{}", world.project), json!({"archived": true})).await.ok();
                let answer = stale(world.call(&world.owner, &operation)).send().await;
                assert_eq!(answer.body["error"], "PROJECT_ARCHIVED", "{place}");
            }
        }
        let world = World::new(&app).await;
        let task = format!("/v1/tasks/{}", world.task);
        for (method, path, body, field) in [
            (Method::PATCH, task.clone(), json!({"assignee_id": NOBODY}), "assignee_id:reference"),
            (Method::POST, format!("{task}/move"), json!({"after_id": NOBODY}), "after_id:reference"),
            (Method::POST, format!("{task}/move"), json!({"project_id": NOBODY}), "project_id:reference"),
        ] {
            let call = world.owner.call(method, path).json(&body).header("if-match", "\"stale.stale\"");
            call.send().await.invalid(&[field]);
        }
    }

    async fn an_operation_without_a_precondition_ignores_the_tag(app: TestApp) {
        for operation in taking("Idempotency-Key").0 {
            if conditional().iter().any(|conditional| conditional.id == operation.id) {
                continue;
            }
            for tag in ["\"stale.stale\"", "nonsense"] {
                let world = World::new(&app).await;
                let answer = on_condition(&world, &operation, &[tag]).send().await;
                assert_first(&answer, &operation.id);
            }
        }
    }

    async fn of_twenty_changes_of_one_version_at_once_one_succeeds(app: TestApp) {
        for operation in conditional() {
            let world = World::new(&app).await;
            let tag = world.owner.get(subject(&world, &operation)).await.header("etag").to_owned();
            let requests: Vec<_> = (0..20)
                .map(|number| {
                    let call = on_condition(&world, &operation, &[&tag]);
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
            let answers = at_once(requests).await;
            let deletes = operation.method == Method::DELETE;
            let (success, failure) = if deletes { (204, 404) } else { (200, 412) };
            let expected: Vec<u16> = std::iter::once(success).chain([failure; 19]).collect();
            assert_eq!(statuses(&answers), expected, "{}", operation.id);
            if deletes {
                continue;
            }
            let now = world.owner.get(subject(&world, &operation)).await.ok();
            assert_eq!(now["version"], 2, "{}", operation.id);
            for answer in answers {
                // The others are shown what the one has made of it.
                let shown = if answer.status.as_u16() == 200 { &answer.body } else { &answer.body["current"] };
                assert_eq!(*shown, now, "{}", operation.id);
            }
        }
    }

    async fn changes_of_different_fields_at_once_all_survive_everywhere(app: TestApp) {
        let world = World::new(&app).await;
        for (path, changes) in [
            ("/v1/me".to_owned(), json!({"name": "Ada", "timezone": "Asia/Tokyo", "weekly_digest": true})),
            (
                format!("/v1/projects/{}", world.project),
                json!({"name": "One", "description": "Two", "color": "#112233"}),
            ),
        ] {
            let before = world.owner.get(path.as_str()).await.ok();
            let mut changes = changes;
            if before["weekly_digest"] == json!(true) {
                changes["weekly_digest"] = json!(false);
            }
            let requests: Vec<_> = changes.as_object().unwrap().iter().map(|(name, value)| {
                let call = world.owner.call(Method::PATCH, path.as_str()).json(&json!({name: value}));
                call.send()
            }).collect();
            let answers = at_once(requests).await;
            assert_eq!(statuses(&answers), [200, 200, 200]);
            let after = world.owner.get(path.as_str()).await.ok();
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
