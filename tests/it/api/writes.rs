//! A good request for each operation that takes a key or a tag, in a world where every one of them changes something.

use std::collections::BTreeMap;

use pocket_tasks::api::published::resolve;
use pocket_tasks::contract::ids::new_uuid;
use poem::http::Method;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection, SqliteConnection};

use super::memberships::{add_member, member};
use crate::support::client::{Call, Ids as _};
use crate::support::document::{DOCUMENT, operations};
use crate::support::{Answer, Client, TestApp, TestDatabase};

pub(super) const KEY: &str = "idempotency-key";
pub(super) const REPLAYED: &str = "idempotency-replayed";

/// An operation of the published document.
pub(super) struct Operation {
    pub(super) id: String,
    pub(super) method: Method,
    pub(super) template: String,
    pub(super) description: &'static Value,
}

/// Every operation, and whether it takes this header.
pub(super) fn taking(header: &str) -> (Vec<Operation>, Vec<Operation>) {
    let takes = |operation: &Operation| {
        let parameters = operation.description["parameters"].as_array().into_iter().flatten();
        let mut parameters = parameters.map(|parameter| resolve(&DOCUMENT, parameter));
        parameters.any(|parameter| parameter["in"] == "header" && parameter["name"] == header)
    };
    let all = operations().map(|(id, method, template, description)| Operation { id, method, template, description });
    let (taking, others): (Vec<_>, Vec<_>) = all.partition(takes);
    assert!(taking.len() > 2, "{header} must be looked for by the name that the document has for it");
    (taking, others)
}

/// A key that was never used.
pub(super) fn new_key() -> String {
    new_uuid().to_string()
}

/// What operations are done to.
pub(super) struct World {
    pub(super) owner: Client,
    pub(super) project: String,
    /// Where a task is moved to.
    pub(super) other: String,
    pub(super) deleted: String,
    pub(super) task: String,
    pub(super) trashed: String,
    pub(super) token: String,
    /// Somebody in the project.
    pub(super) member: String,
    pub(super) comment: String,
    pub(super) webhook: String,
    pub(super) delivery: String,
}

impl World {
    pub(super) async fn new(app: &TestApp) -> Self {
        let owner = app.user().await;
        let (project, other, deleted) = (owner.project().await, owner.project().await, owner.project().await);
        let task = owner.task(&project, json!({"title": "A task"})).await.id();
        let trashed = owner.task(&project, json!({"title": "A task"})).await.id();
        owner.delete(format!("/v1/tasks/{trashed}")).await.no_content();
        owner.delete(format!("/v1/projects/{deleted}")).await.no_content();
        let token = json!({"name": "A program", "scopes": ["read"]});
        let token = owner.post("/v1/me/api-tokens", token).await.created().id();
        let comment = owner.post(format!("/v1/tasks/{task}/comments"), json!({"body": "Why?"})).await.created().id();
        let (webhook, delivery) = webhook_with_delivery(&owner).await;
        let member = member(app, &project, "viewer").await.user_id().to_owned();
        Self { owner, project, other, deleted, task, trashed, token, member, comment, webhook, delivery }
    }

    /// Somebody with this role in every project that is there.
    pub(super) async fn member(&self, app: &TestApp, role: &str) -> Client {
        let member = app.user().await;
        for project in [&self.project, &self.other, &self.deleted] {
            add_member(app, project, &member, role).await;
        }
        member
    }

    pub(super) fn path(&self, operation: &Operation) -> String {
        let project = if operation.id == "restoreProject" { &self.deleted } else { &self.project };
        let task = if operation.id == "restoreTask" { &self.trashed } else { &self.task };
        operation
            .template
            .replace("{project_id}", project)
            .replace("{task_id}", task)
            .replace("{token_id}", &self.token)
            .replace("{comment_id}", &self.comment)
            .replace("{webhook_id}", &self.webhook)
            .replace("{delivery_id}", &self.delivery)
            .replace("{user_id}", &self.member)
    }

    /// Null where there is none.
    pub(super) fn body(&self, operation: &Operation) -> Value {
        match operation.id.as_str() {
            "updateMe" | "createProject" | "updateProject" => json!({"name": "Harbour"}),
            "createTask" | "updateTask" => json!({"title": "Lighthouse"}),
            "createComment" | "updateComment" => json!({"body": "Because."}),
            "updateMember" => json!({"role": "editor"}),
            "createInvitation" => json!({"email": "grace@example.com", "role": "viewer"}),
            "createApiToken" => json!({"name": "Harbour", "scopes": ["write"]}),
            "createWebhook" => json!({"url": "https://hook.invalid/", "events": ["webhook.test"]}),
            "updateWebhook" => json!({"description": "Harbour"}),
            "rotateWebhookSecret" => json!({"overlap_seconds": 0}),
            "moveTask" => json!({"project_id": self.other}),
            "batchTasks" => json!({"operations": [
                {"op": "create", "title": "Lighthouse"},
                {"op": "update", "task_id": self.task, "title": "Buoy"},
            ]}),
            other => {
                let takes_body = operation.description.get("requestBody").is_some();
                assert!(!takes_body, "nobody knows a body for {other}");
                Value::Null
            }
        }
    }

    /// The request of an operation, on its way.
    pub(super) fn call(&self, client: &Client, operation: &Operation) -> Call {
        let call = client.call(operation.method.clone(), self.path(operation));
        let body = self.body(operation);
        if body.is_null() { call } else { call.json(&body) }
    }

    /// The same with a key.
    pub(super) fn keyed(&self, client: &Client, operation: &Operation, key: &str) -> Call {
        self.call(client, operation).header(KEY, key)
    }

    /// All that the owner can see.
    pub(super) async fn state(&self) -> Vec<Value> {
        let mut state = Vec::new();
        for path in [
            "/v1/me",
            "/v1/projects",
            "/v1/projects?deleted=true",
            "/v1/tasks",
            "/v1/tasks?deleted=true",
            "/v1/me/api-tokens",
            "/v1/webhooks",
        ] {
            state.push(self.owner.get(path).await.ok());
        }
        // What is deleted, or has another owner now, is not there to be read.
        for path in [
            format!("/v1/projects/{}/members", self.project),
            format!("/v1/projects/{}/invitations", self.project),
            format!("/v1/tasks/{}/comments", self.task),
            format!("/v1/webhooks/{}/deliveries", self.webhook),
        ] {
            let answer = self.owner.get(path).await;
            state.push(if answer.status.is_success() { answer.body } else { Value::Null });
        }
        state
    }
}

/// A webhook that wants nothing but tests, and a delivery of one.
pub(crate) async fn webhook_with_delivery(user: &Client) -> (String, String) {
    let new = json!({"url": "https://hook.invalid/", "events": ["webhook.test"]});
    let webhook = user.post("/v1/webhooks", new).await.created().id();
    let delivery = user.post_empty(format!("/v1/webhooks/{webhook}/test")).await.expect(202).id();
    (webhook, delivery)
}

fn headers(answer: &Answer) -> BTreeMap<&str, &str> {
    let all = answer.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
    all.filter(|(name, _)| !["x-request-id", REPLAYED].contains(name)).collect()
}

/// Expects the answer to a request that was not answered before.
#[track_caller]
pub(super) fn assert_first(answer: &Answer, place: &str) {
    assert!(answer.status.is_success(), "{place}: {}", answer.text);
    assert!(!answer.headers.contains_key(REPLAYED), "{place} was answered before");
}

/// Expects the very same answer again.
#[track_caller]
pub(super) fn assert_replay(first: &Answer, again: &Answer, place: &str) {
    assert_eq!((again.status, &again.text), (first.status, &first.text), "{place}");
    assert_eq!(headers(again), headers(first), "{place}");
    assert_eq!(again.header(REPLAYED), "true", "{place}");
}

/// The keys that are stored, with the bodies as they are stored.
pub(super) async fn stored_keys(database: &TestDatabase) -> Vec<(String, Option<Vec<u8>>)> {
    let select = "SELECT \"key\", sealed_body FROM idempotency_keys ORDER BY \"key\"";
    if database.is_postgres() {
        let mut connection = PgConnection::connect(&database.url).await.unwrap();
        let rows = sqlx::query_as(select).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        rows
    } else {
        let mut connection = SqliteConnection::connect(&database.url).await.unwrap();
        let rows = sqlx::query_as(select).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        rows
    }
}

/// Gives all stored answers to requests the body of the answer to the request with this key.
pub(super) async fn exchange_stored_bodies(database: &TestDatabase, key: &str) {
    if database.is_postgres() {
        let mut connection = PgConnection::connect(&database.url).await.unwrap();
        let update =
            "UPDATE idempotency_keys SET sealed_body = (SELECT sealed_body FROM idempotency_keys WHERE \"key\" = $1)";
        sqlx::query(update).bind(key).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    } else {
        let mut connection = SqliteConnection::connect(&database.url).await.unwrap();
        let update =
            "UPDATE idempotency_keys SET sealed_body = (SELECT sealed_body FROM idempotency_keys WHERE \"key\" = ?)";
        sqlx::query(update).bind(key).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
}
