//! Content of events: resource, previous values, actor, time and request id for each type.

use std::collections::HashSet;
use std::time::Duration;

use pocket_tasks::contract::event::EventType;
use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::common::with;
use crate::api::fixtures::events::{FeedReader, all};
use crate::api::fixtures::members::{invitations_path, members_path};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, Options, TestApp, TestDatabase};

/// Performs operations in a project and checks the event of each.
struct Stage {
    app: TestApp,
    owner: Client,
    feed: FeedReader,
    project: String,
    /// Event types seen so far.
    seen: Vec<String>,
}

/// Expected content of an event.
struct Expected<'e> {
    kind: &'e str,
    data: Value,
    previous: Value,
}

impl Stage {
    async fn new(database: &TestDatabase) -> Self {
        let app = TestApp::new(database, Options::default()).await;
        let owner = app.user().await;
        let project = owner.project().await;
        let feed = FeedReader::from_now(&owner).await;
        Self { app, owner, feed, project, seen: Vec::new() }
    }

    /// Sends a request with a unique request id, some time after the previous one.
    async fn send(&mut self, by: &Client, method: Method, path: &str, body: &Value) -> Value {
        self.app.clock.advance(Duration::from_secs(1));
        let call = by.call(method, path).header("x-request-id", &format!("request-{}", self.seen.len()));
        let answer = if body.is_null() { call.send().await } else { call.json(body).send().await };
        assert!(answer.status.is_success(), "{path}: {}", answer.text);
        answer.body
    }

    /// Asserts that the feed has exactly these new events, by this actor.
    async fn assert_events(&mut self, by: &Client, all: &[Expected<'_>]) {
        let events = self.feed.new_events().await;
        assert_eq!(events.len(), all.len(), "{events:#?}");
        for (event, expected) in events.iter().zip(all) {
            let Expected { kind, data, previous } = expected;
            assert_eq!(event["type"], *kind, "{event}");
            assert_eq!(&event["data"], data, "{kind}");
            assert_eq!(&event["previous"], previous, "{kind}");
            assert_eq!(event["actor_id"], by.user_id(), "{kind}");
            assert_eq!(event["project_id"], self.project, "{kind}");
            assert_eq!(event["request_id"], format!("request-{}", self.seen.len()), "{kind}");
            // The event has the time at which the resource changed.
            let changed_at = match *kind {
                "member.added" => Some(&data["joined_at"]),
                "invitation.created" => Some(&data["created_at"]),
                "comment.deleted" => None,
                _ => data.get("updated_at"),
            };
            assert!(changed_at.is_none_or(|at| *at == event["occurred_at"]), "{event}");
        }
        self.seen.extend(all.iter().map(|expected| expected.kind.to_owned()));
    }

    /// Sends a request that emits one event, and checks it.
    async fn emits(&mut self, kind: &str, request: (Method, String, Value), read: Read<'_>, previous: Value) -> Value {
        let owner = self.owner.clone();
        let (method, path, body) = request;
        let answer = self.send(&owner, method, &path, &body).await;
        let data = match read {
            Read::Answer => answer,
            Read::At(path) => owner.get(path).await.ok(),
            Read::FirstOf(list) => owner.get(list).await.ok()["data"][0].clone(),
            Read::Known(known) => known.clone(),
        };
        // The caller's own role is not part of the event.
        let data = if kind.starts_with("project.") { with(&data, &json!({"role": null})) } else { data };
        self.assert_events(&owner, &[Expected { kind, data: data.clone(), previous }]).await;
        data
    }

    async fn projects(&mut self) {
        let owner = self.owner.clone();
        let created = self.send(&owner, Method::POST, "/v1/projects", &json!({"name": "Harbour"})).await;
        self.project = created.id();
        let path = format!("/v1/projects/{}", self.project);
        let data = with(&owner.get(&path).await.ok(), &json!({"role": null}));
        self.assert_events(&owner, &[Expected { kind: "project.created", data, previous: Value::Null }]).await;
        let request = (Method::PATCH, path.clone(), json!({"name": "Pier", "color": "#00ff00", "archived": true}));
        let previous = json!({"name": "Harbour", "color": null, "archived": false});
        self.emits("project.updated", request, Read::At(&path), previous).await;
        let request = (Method::PATCH, path.clone(), json!({"name": "Pier", "archived": false}));
        self.emits("project.updated", request, Read::At(&path), json!({"archived": true})).await;
        let request = (Method::DELETE, path.clone(), Value::Null);
        let trash = "/v1/projects?deleted=true";
        let deleted = self.emits("project.deleted", request, Read::FirstOf(trash), json!({"deleted_at": null})).await;
        let request = (Method::POST, format!("{path}/restore"), Value::Null);
        let previous = json!({"deleted_at": deleted["deleted_at"]});
        self.emits("project.restored", request, Read::At(&path), previous).await;
    }

    async fn tasks(&mut self) {
        let new = json!({"title": "Tea", "labels": ["a", "b"], "assignee_id": self.owner.user_id()});
        let request = (Method::POST, format!("/v1/projects/{}/tasks", self.project), new);
        let created = self.emits("task.created", request.clone(), Read::Answer, Value::Null).await;
        let next = self.emits("task.created", request, Read::Answer, Value::Null).await;
        let path = format!("/v1/tasks/{}", created.id());
        let change =
            json!({"title": "Tea", "status": "done", "labels": ["b", "a"], "due_at": "2027-01-01T00:00:00+01:00"});
        let previous = json!({"status": "todo", "labels": ["a", "b"], "due_at": null, "completed_at": null});
        let done = self.emits("task.updated", (Method::PATCH, path.clone(), change), Read::At(&path), previous).await;
        let previous =
            json!({"status": "done", "completed_at": done["completed_at"], "assignee_id": self.owner.user_id()});
        let change = json!({"status": "todo", "assignee_id": null});
        self.emits("task.updated", (Method::PATCH, path.clone(), change), Read::At(&path), previous).await;
        let request = (Method::POST, format!("{path}/move"), json!({"after_id": next.id()}));
        let previous = json!({"position": created["position"]});
        self.emits("task.moved", request, Read::At(&path), previous).await;
        let trash = format!("/v1/projects/{}/tasks?deleted=true", self.project);
        let request = (Method::DELETE, path.clone(), Value::Null);
        let deleted = self.emits("task.deleted", request, Read::FirstOf(&trash), json!({"deleted_at": null})).await;
        let request = (Method::POST, format!("{path}/restore"), Value::Null);
        let previous = json!({"deleted_at": deleted["deleted_at"]});
        self.emits("task.restored", request, Read::At(&path), previous).await;

        let request = (Method::POST, format!("{path}/comments"), json!({"body": "Green?"}));
        let comment = self.emits("comment.created", request, Read::Answer, Value::Null).await;
        let path = format!("/v1/comments/{}", comment.id());
        let request = (Method::PATCH, path.clone(), json!({"body": "Black."}));
        let changed = self.emits("comment.updated", request, Read::At(&path), json!({"body": "Green?"})).await;
        self.emits("comment.deleted", (Method::DELETE, path, Value::Null), Read::Known(&changed), json!({})).await;
    }

    async fn people(&mut self) {
        let (owner, ada) = (self.owner.clone(), self.app.user().await);
        let invite = json!({"email": ada.email(), "role": "viewer"});
        let list = invitations_path(&self.project);
        let status = json!({"status": "pending"});
        let invited = self
            .emits("invitation.created", (Method::POST, list.clone(), invite.clone()), Read::Answer, Value::Null)
            .await;
        let request = (Method::DELETE, format!("{list}/{}", invited.id()), Value::Null);
        self.emits("invitation.revoked", request, Read::FirstOf(&list), status.clone()).await;
        for answer in ["decline", "accept"] {
            let request = (Method::POST, list.clone(), invite.clone());
            let invited = self.emits("invitation.created", request, Read::Answer, Value::Null).await;
            let path = format!("/v1/invitations/{}/{answer}", invited.id());
            let member = self.send(&ada, Method::POST, &path, &Value::Null).await;
            let data = owner.get(&list).await.ok()["data"][0].clone();
            let kind = if answer == "accept" { "invitation.accepted" } else { "invitation.declined" };
            let mut assert_events = vec![Expected { kind, data, previous: status.clone() }];
            if answer == "accept" {
                assert_events.push(Expected { kind: "member.added", data: member, previous: Value::Null });
            }
            self.assert_events(&ada, &assert_events).await;
        }
        let path = format!("{}/{}", members_path(&self.project), ada.user_id());
        let request = (Method::PATCH, path.clone(), json!({"role": "editor"}));
        let editor = self.emits("member.updated", request, Read::Answer, json!({"role": "viewer"})).await;
        self.emits("member.removed", (Method::DELETE, path, Value::Null), Read::Known(&editor), json!({})).await;
    }
}

/// Path of the resource after the change.
enum Read<'r> {
    Answer,
    At(&'r str),
    FirstOf(&'r str),
    Known(&'r Value),
}

on_both_databases! {
    async fn each_event_type_contains_the_resource_and_its_previous_values(database: TestDatabase) {
        let mut stage = Stage::new(&database).await;
        stage.projects().await;
        stage.tasks().await;
        stage.people().await;
        let unseen: Vec<&str> = EventType::PUBLISHED
            .into_iter()
            .map(EventType::as_str)
            .filter(|kind| !stage.seen.iter().any(|seen| seen == kind))
            .collect();
        assert_eq!(unseen, [""; 0]);
    }

    async fn events_are_immutable_and_have_unique_ids(database: TestDatabase) {
        let mut stage = Stage::new(&database).await;
        stage.tasks().await;
        let before = all(&stage.owner, "").await;
        let ids: HashSet<String> = before.iter().map(Value::id).collect();
        assert_eq!(ids.len(), before.len());
        stage.owner.delete(format!("/v1/projects/{}", stage.project)).await.no_content();
        let after = all(&stage.owner, "").await;
        assert_eq!(after[..before.len()], before);
    }
}
