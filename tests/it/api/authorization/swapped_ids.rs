//! Requests with the id of another project, another user or another kind of resource.

use std::collections::HashMap;

use poem::http::Method;
use serde_json::{Value, json};

use super::matrix::matrix;
use crate::api::fixtures::account::{api_client, app_requiring_verification};
use crate::api::fixtures::common::{UNKNOWN_ID, fill, send};
use crate::api::fixtures::members::{invite_user, join};
use crate::api::fixtures::roles::{Actor, RoleFixture, all_of};
use crate::api::fixtures::writes::webhook_with_delivery;
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Answer, Client, TestApp, TestDatabase};

/// Three projects. Alice owns the first, where Eve is an editor and Fred was one. Bob owns the second, with Ben. Alice and
/// Eve are viewers in Carol's.
struct Fixture {
    alice: Client,
    eve: Client,
    bob: Client,
    carol: Client,
    fred: Client,
    /// Values of the placeholders in the tables.
    names: HashMap<&'static str, String>,
}

impl Fixture {
    async fn new(app: &TestApp) -> Self {
        let (alice, eve, fred) = (app.user().await, app.user().await, app.user().await);
        let (bob, ben, carol) = (app.user().await, app.user().await, app.user().await);
        let guest = app.user().await;
        let mut names = HashMap::from([("unknown", UNKNOWN_ID.to_owned())]);
        for (owner, [project, task, second, trashed, comment, invitation]) in [
            (&alice, ["a", "a_task", "a_second", "a_trashed", "a_comment", "a_invitation"]),
            (&bob, ["b", "b_task", "b_second", "b_trashed", "b_comment", "b_invitation"]),
            (&carol, ["c", "c_task", "c_second", "c_trashed", "c_comment", "c_invitation"]),
        ] {
            let id = owner.project().await;
            for task in [task, second, trashed] {
                names.insert(task, owner.task(&id, json!({"title": "A task"})).await.id());
            }
            owner.delete(format!("/v1/tasks/{}", names[trashed])).await.no_content();
            let path = format!("/v1/tasks/{}/comments", names[task]);
            names.insert(comment, owner.post(path, json!({"body": "Why?"})).await.created().id());
            names.insert(invitation, invite_user(owner, &id, &guest, "viewer").await);
            names.insert(project, id);
        }
        for (owner, project, user, role) in [
            (&alice, "a", &eve, "editor"),
            (&alice, "a", &fred, "editor"),
            (&bob, "b", &ben, "editor"),
            (&carol, "c", &alice, "viewer"),
            (&carol, "c", &eve, "viewer"),
        ] {
            join(owner, &names[project], user, role).await;
        }
        alice.delete(format!("/v1/projects/{}/members/{}", names["a"], fred.user_id())).await.no_content();
        for (name, user) in [("alice", &alice), ("eve", &eve), ("fred", &fred), ("bob", &bob), ("ben", &ben)] {
            names.insert(name, user.user_id().to_owned());
        }
        names.insert("carol", carol.user_id().to_owned());
        names.insert("bobs_session", bob.get("/v1/me/sessions").await.ok()["data"][0].id());
        let (webhook, delivery) = webhook_with_delivery(&bob).await;
        names.extend([("bobs_webhook", webhook), ("bobs_delivery", delivery)]);
        let (webhook, delivery) = webhook_with_delivery(&alice).await;
        names.extend([("alices_webhook", webhook), ("alices_delivery", delivery)]);
        names.insert("bobs_token", api_client(app, &bob, &["read"]).await.1.id());
        Self { alice, eve, bob, carol, fred, names }
    }

    fn filled(&self, text: &str) -> String {
        fill(text, &self.names)
    }

    /// Sends a request of a table: `METHOD path body`.
    async fn send(&self, client: &Client, request: &str) -> Answer {
        let request = self.filled(request);
        let mut parts = request.splitn(3, ' ');
        let method: Method = parts.next().unwrap().parse().unwrap();
        let path = parts.next().unwrap();
        let body = parts.next().map_or(Value::Null, |body| serde_json::from_str(body).unwrap());
        send(client, &method, path, &body).await
    }

    /// Resources visible to each of the owners and to Fred.
    async fn state(&self) -> Vec<Vec<Value>> {
        let mut state = Vec::new();
        for (user, project) in [(&self.alice, "a"), (&self.bob, "b"), (&self.carol, "c")] {
            state.push(all_of(user, &[&self.names[project]]).await);
        }
        state.push(all_of(&self.fred, &[]).await);
        state
    }

    /// Sends every request of a table as Alice and as Eve, and checks the expected outcomes. Nothing may change.
    async fn refuses(&self, table: &str) {
        let before = self.state().await;
        let mut failures = Vec::new();
        for line in table.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let [request, owner, editor] = line.split(" | ").collect::<Vec<_>>().try_into().unwrap();
            for (name, client, expected) in [("alice", &self.alice, owner), ("eve", &self.eve, editor)] {
                let found = verdict(&self.send(client, request.trim()).await);
                if found != expected.trim() {
                    failures.push(format!("{request} by {name}, expected {expected}: {found}"));
                }
            }
        }
        assert!(failures.is_empty(), "{failures:#?}");
        assert_eq!(self.state().await, before);
    }
}

/// Outcome in the notation of the tables: the status, or the rejected field.
fn verdict(answer: &Answer) -> String {
    let status = answer.status.as_u16();
    match (status, answer.body["error"].as_str()) {
        (403, Some("FORBIDDEN")) | (404, Some("NOT_FOUND")) => status.to_string(),
        (400, Some("VALIDATION_FAILED")) => {
            let details = answer.body["details"].as_array().unwrap();
            let each = details.iter().map(|one| format!("{}:{}", one["field"], one["code"]).replace('"', ""));
            each.collect::<Vec<_>>().join(" ").replace(":reference", "")
        }
        _ => answer.text.clone(),
    }
}

/// Requests with a valid path, whose body or query names something else.
const PARTS: &str = r#"
    POST /v1/projects/{a}/tasks/batch {"operations": [{"op": "update", "task_id": "{b_task}"}]} | 403 | 403
    POST /v1/projects/{a}/tasks/batch {"operations": [{"op": "delete", "task_id": "{b_task}"}]} | 403 | 403
    POST /v1/tasks/{a_task}/move {"project_id": "{b}"} | 403 | 403
    POST /v1/tasks/{a_task}/move {"project_id": "{b}", "after_id": "{a_second}"} | 403 | 403
    POST /v1/tasks/{a_task}/move {"project_id": "{b}", "before_id": "{b_task}"} | 403 | 403
    POST /v1/tasks/{a_task}/move {"project_id": "{c}"} | 403 | 403
    POST /v1/tasks/{a_task}/move {"project_id": "{c}", "before_id": "{c_task}"} | 403 | 403
    POST /v1/tasks/{a_task}/move {"project_id": "{unknown}"} | project_id | project_id
    POST /v1/tasks/{a_task}/move {"project_id": "{a_second}"} | project_id | project_id
    POST /v1/tasks/{a_task}/move {"project_id": "{eve}"} | project_id | project_id
    GET /v1/tasks?project_id={b} | 403 | 403
    GET /v2/tasks?project_id={b} | 403 | 403
    GET /v1/tasks?project_id={unknown} | project_id | project_id
    GET /v2/tasks?project_id={unknown} | project_id | project_id
    GET /v1/tasks?project_id={a_task} | project_id | project_id
    GET /v2/tasks?project_id={a_task} | project_id | project_id
    GET /v1/tasks?project_id={b}&assignee_id={ben} | 403 | 403
    GET /v2/tasks?project_id={b}&assignee_id={ben} | 403 | 403
    GET /v1/tasks?project_id={b}&assignee_id={unknown} | 403 | 403
    GET /v2/tasks?project_id={b}&assignee_id={unknown} | 403 | 403
    GET /v1/webhooks?project_id={b} | 403 | 403
    GET /v1/webhooks?project_id={unknown} | project_id | project_id
    GET /v1/webhooks?project_id={a_task} | project_id | project_id
    POST /v1/webhooks {"url": "https://hook.invalid/", "events": ["*"], "project_id": "{b}"} | 403 | 403
    POST /v1/webhooks {"url": "https://hook.invalid/", "events": ["*"], "project_id": "{unknown}"} | project_id | project_id
    POST /v1/webhooks {"url": "https://hook.invalid/", "events": ["*"], "project_id": "{a_task}"} | project_id | project_id
    PATCH /v1/webhooks/{bobs_webhook} {"project_id": "{a}"} | 403 | 403
    PATCH /v1/webhooks/{bobs_webhook} {"project_id": "{unknown}"} | 403 | 403
    GET /v1/projects/{b}/tasks?assignee_id={ben} | 403 | 403
    GET /v2/projects/{b}/tasks?assignee_id={unknown} | 403 | 403
    GET /v1/projects/{a}/tasks?assignee_id={carol} | assignee_id | assignee_id
    GET /v2/projects/{a}/tasks?assignee_id={carol} | assignee_id | assignee_id
"#;

/// Requests with an assignee who is not a member of the project.
const ASSIGNEES: &str = r#"
    POST /v1/projects/{a}/tasks {"title": "x", "assignee_id": "{x}"} | assignee_id | assignee_id
    PATCH /v1/tasks/{a_task} {"assignee_id": "{x}"} | assignee_id | assignee_id
    POST /v1/projects/{a}/tasks/batch {"operations": [{"op": "create", "title": "x", "assignee_id": "{x}"}]} | operations[0].assignee_id | operations[0].assignee_id
    POST /v1/projects/{a}/tasks/batch {"operations": [{"op": "update", "task_id": "{a_task}", "assignee_id": "{x}"}]} | operations[0].assignee_id | operations[0].assignee_id
    GET /v1/projects/{a}/tasks?assignee_id={x} | assignee_id | assignee_id
    GET /v2/projects/{a}/tasks?assignee_id={x} | assignee_id | assignee_id
    GET /v1/tasks?assignee_id={x} | assignee_id | assignee_id
    GET /v2/tasks?assignee_id={x} | assignee_id | assignee_id
    GET /v1/tasks?project_id={a}&assignee_id={x} | assignee_id | assignee_id
    GET /v2/tasks?project_id={a}&assignee_id={x} | assignee_id | assignee_id
"#;

/// Requests with a task of another project, a deleted task or an unknown one.
const TASKS: &str = r#"
    POST /v1/projects/{a}/tasks/batch {"operations": [{"op": "update", "task_id": "{x}"}]} | operations[0].task_id | operations[0].task_id
    POST /v1/projects/{a}/tasks/batch {"operations": [{"op": "delete", "task_id": "{x}"}]} | operations[0].task_id | operations[0].task_id
    POST /v1/tasks/{a_task}/move {"before_id": "{x}"} | before_id | before_id
    POST /v1/tasks/{a_task}/move {"after_id": "{x}"} | after_id | after_id
"#;

/// Requests in a project to which the caller has no access.
const UNKNOWN: [&str; 6] = [
    r#"PATCH /v1/projects/{b}/members/{x} {"role": "viewer"}"#,
    r#"PATCH /v1/projects/{b}/members/{x} {"role": "owner"}"#,
    "PATCH /v1/projects/{b}/members/{x} {}",
    "DELETE /v1/projects/{b}/members/{x}",
    "DELETE /v1/projects/{b}/invitations/{x}",
    "GET /v1/projects/{b}/tasks?assignee_id={x}",
];

/// Kind of resource that a name of the matrix refers to.
fn kind(name: &str) -> &'static str {
    match name {
        "project" | "elsewhere" | "deleted" => "project",
        "task" | "neighbour" | "trashed" | "away" | "shared_task" => "task",
        "owner" | "editor" | "viewer" | "colleague" | "me" => "owner",
        "for_other" | "for_former" => "for_other",
        "session" => "session",
        "token" => "token",
        "webhook" => "webhook",
        "delivery" => "delivery",
        comment if comment.ends_with("_comment") => "owners_comment",
        other => panic!("unknown name: {other}"),
    }
}

on_both_databases! {
    async fn ids_in_paths_require_membership(app: TestApp) {
        Fixture::new(&app).await.refuses(include_str!("swapped_ids.txt")).await;
    }

    async fn ids_in_bodies_and_filters_must_be_usable_by_the_caller(app: TestApp) {
        let fixture = Fixture::new(&app).await;
        let with = |table: &str, ids: &[&str]| -> String { ids.iter().map(|id| table.replace("{x}", id)).collect() };
        let mut table = PARTS.to_owned();
        table += &with(ASSIGNEES, &["{bob}", "{ben}", "{fred}", "{unknown}", "{a}", "{a_task}", "{a_comment}"]);
        table += &with(TASKS, &["{c_task}", "{a_trashed}", "{b_trashed}", "{unknown}", "{a}", "{a_comment}", "{alice}"]);
        let neighbours = r#"
            POST /v1/tasks/{a_task}/move {"before_id": "{b_task}"} | 403 | 403
            POST /v1/tasks/{a_task}/move {"after_id": "{b_task}"} | 403 | 403
        "#;
        table += neighbours;
        fixture.refuses(&table).await;
        // The requests above were rejected only because of their ids.
        let good = r#"PATCH /v1/tasks/{a_task} {"assignee_id": "{eve}"}"#;
        fixture.send(&fixture.alice, good).await.ok();
        fixture.send(&fixture.eve, r#"POST /v1/tasks/{a_task}/move {"after_id": "{a_second}"}"#).await.ok();
    }

    async fn non_members_cannot_probe_for_members_or_invitations(app: TestApp) {
        let fixture = Fixture::new(&app).await;
        let before = fixture.state().await;
        // Existing and unknown ids get the same response.
        for request in UNKNOWN {
            let mut answers = Vec::new();
            for id in ["{unknown}", "{bob}", "{ben}", "{alice}", "{b_invitation}", "{a_invitation}", "{b_task}"] {
                let answer = fixture.send(&fixture.eve, &request.replace("{x}", id)).await;
                let mut body = answer.fails(403, "FORBIDDEN");
                body.as_object_mut().unwrap().remove("request_id");
                answers.push(body);
            }
            assert!(answers.iter().all(|answer| *answer == answers[0]), "{request}: {answers:#?}");
            fixture.send(&fixture.eve, &request.replace("{x}", "{eve}")).await.fails(403, "FORBIDDEN");
        }
        // A former member learns nothing either.
        for path in ["members/{fred}", "members/{eve}", "members/{unknown}", "invitations/{a_invitation}"] {
            fixture.send(&fixture.fred, &format!("DELETE /v1/projects/{{a}}/{path}")).await.fails(403, "FORBIDDEN");
        }
        assert_eq!(fixture.state().await, before);
    }

    async fn an_id_of_another_kind_of_resource_is_not_found(database: TestDatabase) {
        let fixture = RoleFixture::new(&app_requiring_verification(&database).await, false).await;
        let before = fixture.state().await;
        let mut failures = Vec::new();
        for row in matrix() {
            let names = row.path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap());
            for name in names {
                let placeholder = format!("{{{name}}}");
                let others = ["project", "task", "owner", "for_other", "session", "token", "owners_comment", "webhook", "delivery"];
                for other in others.into_iter().filter(|other| *other != kind(name)) {
                    let path = row.path.replace(&placeholder, &format!("{{{other}}}"));
                    let answer = row.call_at(&fixture, Actor::Owner, &path).send().await;
                    let expected = if row.path.contains('?') && row.path.ends_with(&placeholder) { "project_id" } else { "404" };
                    let found = verdict(&answer);
                    if found != expected {
                        failures.push(format!("{} {path} {}: {found}", row.method, row.body));
                    }
                }
            }
        }
        assert!(failures.is_empty(), "{failures:#?}");
        assert_eq!(fixture.state().await, before);
    }
}
