//! Every documented status of every operation can be provoked.
//!
//! One test walks the document and provokes each (operation, status) pair; a pair without a known way fails by name. The
//! client checks each response against the document.

use std::sync::Arc;
use std::time::Duration;

use pocket_tasks::contract::UserId;
use pocket_tasks::contract::error::ErrorCode;
use pocket_tasks::repositories::{EmailTokenPurpose, Store};
use poem::Body;
use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::stored_members::{member, purge_project, remove_member};
use crate::api::fixtures::writes::webhook_with_delivery;
use crate::on_both_databases;
use crate::support::client::{Call, Ids as _};
use crate::support::document::{needs_token, operations, statuses};
use crate::support::fault_store::{Fault, FaultStore};
use crate::support::{Answer, Client, Options, TestApp, TestClock, TestDatabase};

/// Users and resources for the requests.
struct Fixture {
    database: TestDatabase,
    app: TestApp,
    owner: Client,
    stranger: Client,
    /// Invited user with a verified address.
    guest: Client,
    invitation: String,
    member: String,
    comment: String,
    webhook: String,
    delivery: String,
    project: String,
    archived: String,
    task: String,
    archived_task: String,
    trashed_task: String,
    second_session: String,
    refresh_token: String,
    verification_token: String,
    reset_token: String,
    /// API tokens of the owner, each with one scope.
    reading_token: String,
    writing_token: String,
    reading_token_id: String,
    /// API token of the owner that was never used.
    unused_token: String,
}

impl Fixture {
    async fn new(database: &TestDatabase, options: Options) -> Self {
        let variables = vec![("REQUIRE_EMAIL_VERIFICATION", "true")];
        let app = TestApp::new(database, Options { variables, ..options }).await;
        let (owner, stranger) = (app.user().await, app.user().await);
        let project = owner.project().await;
        let archived = owner.project().await;
        let task = owner.task(&project, json!({"title": "A task"})).await.id();
        let archived_task = owner.task(&archived, json!({"title": "A task"})).await.id();
        let trashed_task = owner.task(&project, json!({"title": "A task"})).await.id();
        owner.delete(format!("/v1/tasks/{trashed_task}")).await.no_content();
        owner.patch(format!("/v1/projects/{archived}"), json!({"archived": true})).await.ok();
        let comment = owner.post(format!("/v1/tasks/{task}/comments"), json!({"body": "Why?"})).await.created().id();
        let (webhook, delivery) = webhook_with_delivery(&owner).await;
        let member = member(&app, &project, "viewer").await.user_id().to_owned();
        let guest = app.user().await;
        let invitation = json!({"email": guest.email(), "role": "editor"});
        let invitation = owner.post(format!("/v1/projects/{project}/invitations"), invitation).await.created().id();
        let login = json!({"email": owner.email(), "password": "correct horse"});
        let session = app.anonymous().post("/v1/auth/login", login).await.ok();
        let refresh_token = session["refresh_token"].as_str().unwrap().to_owned();
        let sessions = owner.get("/v1/me/sessions").await.ok();
        let sessions = sessions["data"].as_array().unwrap();
        let second_session = sessions.iter().find(|session| session["current"] == false).unwrap().id();
        let token = async |scope| {
            owner.post("/v1/me/api-tokens", json!({"name": "A program", "scopes": [scope]})).await.created()
        };
        let (reading, writing, unused) = (token("read").await, token("write").await, token("read").await);
        let secret = |token: &Value| token["token"].as_str().unwrap().to_owned();
        let issue = async |user: &Client, purpose| {
            let user = UserId::parse(user.user_id()).unwrap();
            app.services.email_tokens.issue(user, purpose).await.unwrap().unwrap().1
        };
        let proof = json!({"token": issue(&guest, EmailTokenPurpose::Verification).await});
        guest.post("/v1/auth/verify-email", proof).await.no_content();
        Self {
            verification_token: issue(&owner, EmailTokenPurpose::Verification).await,
            reset_token: issue(&owner, EmailTokenPurpose::Reset).await,
            reading_token: secret(&reading),
            writing_token: secret(&writing),
            unused_token: secret(&unused),
            reading_token_id: reading.id(),
            database: database.clone(),
            app,
            owner,
            stranger,
            guest,
            invitation,
            member,
            comment,
            webhook,
            delivery,
            project,
            archived,
            task,
            archived_task,
            trashed_task,
            second_session,
            refresh_token,
        }
    }

    /// Path of an operation, with ids of the owner's resources.
    fn path(&self, operation: &str, template: &str) -> String {
        let task = if operation == "restoreTask" { &self.trashed_task } else { &self.task };
        template
            .replace("{project_id}", &self.project)
            .replace("{task_id}", task)
            .replace("{session_id}", &self.second_session)
            .replace("{token_id}", &self.reading_token_id)
            .replace("{user_id}", &self.member)
            .replace("{invitation_id}", &self.invitation)
            .replace("{comment_id}", &self.comment)
            .replace("{webhook_id}", &self.webhook)
            .replace("{delivery_id}", &self.delivery)
    }

    fn body(&self, operation: &str) -> Option<Value> {
        Some(match operation {
            "register" => {
                json!({"email": format!("new.{}@example.com", self.project), "name": "New", "password": "correct horse"})
            }
            "login" => json!({"email": self.owner.email(), "password": "correct horse"}),
            "refreshSession" => json!({"refresh_token": self.refresh_token}),
            "changePassword" => json!({"current_password": "correct horse", "new_password": "battery staple"}),
            "verifyEmail" => json!({"token": self.verification_token}),
            "forgotPassword" => json!({"email": self.owner.email()}),
            "resetPassword" => json!({"token": self.reset_token, "password": "battery staple"}),
            "createApiToken" => json!({"name": "Another", "scopes": ["read"]}),
            "updateMe" | "createProject" | "updateProject" => json!({"name": "Another"}),
            "createTask" | "updateTask" => json!({"title": "Another"}),
            "createComment" | "updateComment" => json!({"body": "Because."}),
            "updateMember" => json!({"role": "editor"}),
            "createInvitation" => json!({"email": "another@example.com", "role": "viewer"}),
            "createWebhook" => json!({"url": "https://hook.invalid/", "events": ["*"]}),
            "updateWebhook" => json!({"description": "Another"}),
            "moveTask" | "rotateWebhookSecret" => json!({}),
            "batchTasks" => json!({"operations": [{"op": "create", "title": "Another"}]}),
            _ => return None,
        })
    }

    /// Authorized caller of an operation: the owner, the invited user, or an anonymous client.
    fn client_for(&self, app: &TestApp, operation: &str) -> Client {
        match operation {
            "register" | "login" | "refreshSession" | "verifyEmail" | "forgotPassword" | "resetPassword" => {
                app.anonymous()
            }
            "listMyInvitations" | "acceptInvitation" | "declineInvitation" => {
                Client::new(app.clone(), self.guest.token.clone())
            }
            _ => Client::new(app.clone(), self.owner.token.clone()),
        }
    }

    /// Prepares a valid request.
    fn valid_request(&self, operation: &str, method: &Method, template: &str) -> Call {
        let client = self.client_for(&self.app, operation);
        self.by(&client, operation, method, self.path(operation, template))
    }

    fn by(&self, client: &Client, operation: &str, method: &Method, path: String) -> Call {
        let call = client.call(method.clone(), path);
        match self.body(operation) {
            Some(body) => call.json(&body),
            None => call,
        }
    }
}

async fn provoke(fixture: &Fixture, operation: &str, method: &Method, template: &str, status: u16) -> Option<Answer> {
    let valid_request = || fixture.valid_request(operation, method, template);
    let path = fixture.path(operation, template);
    let call = match (status, operation) {
        (200..300, _) => valid_request(),
        (400, _) => {
            let client = if operation == "login" { fixture.app.anonymous() } else { fixture.owner.clone() };
            fixture.by(&client, operation, method, format!("{path}?no_such_parameter=1"))
        }
        (401, "verifyEmail" | "forgotPassword" | "resetPassword") => return None,
        (401, "login") => valid_request().json(&json!({"email": fixture.owner.email(), "password": "wrong"})),
        (401, "refreshSession") => valid_request().json(&json!({"refresh_token": "rt_unknown"})),
        (401, _) => valid_request().without_header("authorization"),
        (304, _) => valid_request().header("if-none-match", "*"),
        (403 | 404, "createProject") => return Some(replay_without_access(fixture, status).await),
        (422, "verifyEmail" | "resetPassword") => {
            let mut body = fixture.body(operation).unwrap();
            body["token"] = json!("mt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
            valid_request().json(&body)
        }
        (409, "acceptInvitation" | "declineInvitation" | "revokeInvitation") => {
            valid_request().send().await;
            valid_request()
        }
        (409, _)
            if ["/v1/projects", "/v1/tasks", "/v1/comments", "/v1/me/api-tokens", "/v1/webhooks"]
                .iter()
                .any(|path| template.starts_with(path)) =>
        {
            return Some(while_key_in_use(fixture, operation, method, template).await);
        }
        (412, _) => valid_request().header("if-match", "\"older.older\""),
        (422, _) => {
            let other = json!({"name": "A project of its own"});
            fixture.owner.call(Method::POST, "/v1/projects").json(&other).header(KEY, "used").send().await.created();
            valid_request().header(KEY, "used")
        }
        (403, "createWebhook") => {
            let new = json!({"url": "https://hook.invalid/", "events": ["*"], "project_id": fixture.project});
            fixture.by(&fixture.stranger, operation, method, path).json(&new)
        }
        (403, "listTasks" | "listTasksV2" | "listWebhooks") => {
            fixture.stranger.call(method.clone(), format!("{path}?project_id={}", fixture.project))
        }
        (403, _) if concerns_others(template) => fixture.by(&fixture.stranger, operation, method, path),
        (403, _) => with_api_token(fixture, operation, method, template),
        (404, _) => {
            let unknown = "01936f50-1c80-7e5c-b130-4d8e3f70ffff";
            let path = template
                .replace("{project_id}", unknown)
                .replace("{task_id}", unknown)
                .replace("{session_id}", unknown)
                .replace("{token_id}", unknown)
                .replace("{user_id}", unknown)
                .replace("{invitation_id}", unknown)
                .replace("{comment_id}", unknown)
                .replace("{webhook_id}", unknown)
                .replace("{delivery_id}", unknown);
            fixture.by(&fixture.owner, operation, method, path)
        }
        (406, _) => valid_request().header("accept", "text/html"),
        (408, _) => return Some(with_slow_body(fixture, operation, method, template).await),
        (409, "register") => {
            valid_request().json(&json!({"email": fixture.owner.email(), "name": "New", "password": "correct horse"}))
        }
        (413, _) => valid_request().body("application/json", vec![b' '; 2_000_000]),
        (415, _) => valid_request().body("text/plain", "{}"),
        _ => return None,
    };
    Some(call.send().await)
}

/// Returns whether strangers may be denied the operation.
fn concerns_others(template: &str) -> bool {
    template.contains('{')
}

/// Prepares the request with an API token of insufficient scope.
fn with_api_token(fixture: &Fixture, operation: &str, method: &Method, template: &str) -> Call {
    let token = if *method == Method::GET { &fixture.writing_token } else { &fixture.reading_token };
    fixture.by(&fixture.app.with_token(token), operation, method, fixture.path(operation, template))
}

const KEY: &str = "idempotency-key";

/// Response to a replay after the caller has lost the project (403) or the project was purged (404).
async fn replay_without_access(fixture: &Fixture, status: u16) -> Answer {
    let body = json!({"name": "Short-lived"});
    let key = format!("for-{status}");
    let request = || fixture.owner.call(Method::POST, "/v1/projects").json(&body).header(KEY, &key);
    let project = request().send().await.created().id();
    remove_member(&fixture.app, &project, &fixture.owner).await;
    if status == 404 {
        purge_project(&fixture.database, &project).await;
    }
    request().send().await
}

/// Response to a request while another transaction holds its idempotency key.
async fn while_key_in_use(fixture: &Fixture, operation: &str, method: &Method, template: &str) -> Answer {
    let store = FaultStore::over(Arc::clone(&fixture.app.store), Fault::KeyInUse);
    let app = TestApp::over(store, Options::default(), TestClock::default());
    let client = fixture.client_for(&app, operation);
    let call = fixture.by(&client, operation, method, fixture.path(operation, template));
    let answer = call.header(KEY, "held").send().await;
    assert_eq!(answer.header("retry-after"), "1", "{operation}");
    answer
}

/// Response to a request whose body never arrives, with a short timeout.
async fn with_slow_body(fixture: &Fixture, operation: &str, method: &Method, template: &str) -> Answer {
    let options = Options { request_timeout: Duration::from_millis(50), ..Options::default() };
    let app = TestApp::over(Arc::clone(&fixture.app.store), options, TestClock::default());
    let client = Client::new(app, fixture.owner.token.clone());
    let call = client.call(method.clone(), fixture.path(operation, template));
    call.body("application/json", Body::from_bytes_stream(never())).send().await
}

/// Body that never arrives.
fn never() -> impl futures_util::Stream<Item = std::io::Result<Vec<u8>>> + Send + 'static {
    futures_util::stream::pending()
}

/// Response to a request over another store.
async fn over(fixture: &Fixture, operation: &str, method: &Method, template: &str, store: Arc<dyn Store>) -> Answer {
    let app = TestApp::over(store, Options::default(), TestClock::default());
    let client = fixture.client_for(&app, operation);
    fixture.by(&client, operation, method, fixture.path(operation, template)).send().await
}

/// Response to a request whose transaction never begins, with a short timeout.
async fn while_stuck(fixture: &Fixture, operation: &str, method: &Method, template: &str) -> Answer {
    let options = Options { request_timeout: Duration::from_millis(20), ..Options::default() };
    let store = FaultStore::over(Arc::clone(&fixture.app.store), Fault::Stuck);
    let app = TestApp::over(store, options, TestClock::default());
    // The first use of an API token is recorded, so that reads begin a transaction too.
    let is_read = *method == Method::GET;
    let client = if is_read { app.with_token(&fixture.unused_token) } else { fixture.client_for(&app, operation) };
    fixture.by(&client, operation, method, fixture.path(operation, template)).send().await
}

/// Asserts that the error of the storage is hidden by the published message.
fn assert_reveals_nothing(answer: &Answer, operation: &str) {
    let code = match answer.status.as_u16() {
        500 => ErrorCode::Internal,
        503 => ErrorCode::Unavailable,
        504 => ErrorCode::Timeout,
        other => panic!("{operation}: {other} {}", answer.text),
    };
    let (error, message) = (&answer.body["error"], &answer.body["message"]);
    assert_eq!((error, message), (&json!(code.as_str()), &json!(code.message())), "{operation}");
    assert_eq!(answer.body.as_object().unwrap().len(), 3, "{operation}: {}", answer.text);
}

on_both_databases! {
    async fn every_documented_status_is_returned(database: TestDatabase) {
        let mut missing = Vec::new();
        let mut fixture = Fixture::new(&database, Options::default()).await;
        let empty = database.without_schema().await;
        let (without_schema, closed) = (empty.store().await, database.closed_store().await);
        let mut is_changed = false;
        for (operation, method, template, description) in operations() {
            for status in statuses(description) {
                // Requests that change nothing share a fixture.
                if std::mem::replace(&mut is_changed, false) {
                    fixture = Fixture::new(&database, Options::default()).await;
                }
                is_changed = method != Method::GET && (status < 300 || status == 409 || status == 429);
                let answer = match status {
                    429 => limited(&fixture, &operation, &method, &template).await,
                    500 => Some(over(&fixture, &operation, &method, &template, Arc::clone(&without_schema) as _).await),
                    503 => Some(over(&fixture, &operation, &method, &template, Arc::clone(&closed) as _).await),
                    504 => Some(while_stuck(&fixture, &operation, &method, &template).await),
                    _ => provoke(&fixture, &operation, &method, &template, status).await,
                };
                if let Some(answer) = answer.as_ref().filter(|answer| answer.status.as_u16() >= 500) {
                    assert_reveals_nothing(answer, &operation);
                }
                match answer {
                    Some(answer) if answer.status.as_u16() == status => {}
                    Some(answer) => missing.push(format!("{operation} {status}: returned {} {}", answer.status, answer.text)),
                    None => missing.push(format!("{operation} {status}: no known way to provoke it")),
                }
            }
        }
        empty.remove().await;
        assert!(missing.is_empty(), "documented, but not returned:\n{}", missing.join("\n"));
    }

    async fn every_published_example_is_a_valid_request(database: TestDatabase) {
        for (operation, method, template, description) in operations() {
            let Some(content) = description["requestBody"]["content"].as_object() else { continue };
            for (media_type, media) in content {
                let fixture = Fixture::new(&database, Options::default()).await;
                let mut example = media["example"].clone();
                // Values that depend on the account or the server.
                match operation.as_str() {
                    "login" => example["email"] = json!(fixture.owner.email()),
                    "register" => example["email"] = json!(format!("example.{}@example.com", fixture.project)),
                    "verifyEmail" => example["token"] = json!(fixture.verification_token),
                    "resetPassword" => example["token"] = json!(fixture.reset_token),
                    "createWebhook" | "updateWebhook" if example["project_id"].is_string() => {
                        example["project_id"] = json!(fixture.project);
                    }
                    "moveTask" => example["project_id"] = json!(fixture.project),
                    "refreshSession" => example["refresh_token"] = json!(fixture.refresh_token),
                    _ => {}
                }
                for field in ["password", "current_password"] {
                    if operation != "register" && example.get(field).is_some() {
                        example[field] = json!("correct horse");
                    }
                }
                let call = fixture.valid_request(&operation, &method, &template).body(media_type, example.to_string());
                let answer = call.send().await;
                assert!(answer.status.is_success(), "{operation}: {example}: {}", answer.text);
            }
        }
    }

    async fn every_operation_rejects_insufficient_api_tokens(database: TestDatabase) {
        let fixture = Fixture::new(&database, Options::default()).await;
        let mut count = 0;
        for (operation, method, template, description) in operations().filter(|(.., operation)| needs_token(operation)) {
            let takes_api_tokens = description["security"].as_array().unwrap().len() == 2;
            let answer = with_api_token(&fixture, &operation, &method, &template).send().await;
            let challenge = answer.headers.get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
            if takes_api_tokens {
                let scope = if method == Method::GET { "read" } else { "write" };
                let expected = format!("Bearer realm=\"pocket-tasks\", error=\"insufficient_scope\", scope=\"{scope}\"");
                assert_eq!(challenge.as_deref(), Some(expected.as_str()), "{operation}");
                answer.fails(403, "INSUFFICIENT_SCOPE");
                count += 1;
            } else {
                answer.fails(403, "FORBIDDEN");
            }
        }
        assert!(count > 20, "{count}");
    }

    async fn a_panic_reveals_no_internals(database: TestDatabase) {
        let fixture = Fixture::new(&database, Options::default()).await;
        let store = FaultStore::over(Arc::clone(&fixture.app.store), Fault::Panic);
        for (operation, method, template, _) in operations().filter(|(id, ..)| id != "getLiveness" && id != "getReadiness") {
            let answer = over(&fixture, &operation, &method, &template, Arc::clone(&store) as _).await;
            assert_reveals_nothing(&answer, &operation);
            answer.fails(500, "INTERNAL");
        }
    }

    async fn an_archived_project_is_read_only(database: TestDatabase) {
        let fixture = Fixture::new(&database, Options::default()).await;
        let (project, task) = (&fixture.archived, &fixture.archived_task);
        let owner = &fixture.owner;
        owner.patch(format!("/v1/projects/{project}"), json!({"name": "x"})).await.fails(403, "PROJECT_ARCHIVED");
        owner.post(format!("/v1/projects/{project}/tasks"), json!({"title": "x"})).await.fails(403, "PROJECT_ARCHIVED");
        owner.patch(format!("/v1/tasks/{task}"), json!({"title": "x"})).await.fails(403, "PROJECT_ARCHIVED");
        owner.delete(format!("/v1/tasks/{task}")).await.fails(403, "PROJECT_ARCHIVED");
        owner.post_empty(format!("/v1/tasks/{task}/restore")).await.fails(403, "PROJECT_ARCHIVED");
        owner.get(format!("/v1/tasks/{task}")).await.ok();
        owner.patch(format!("/v1/projects/{project}"), json!({"archived": false, "name": "x"})).await.ok();
        owner.patch(format!("/v1/tasks/{task}"), json!({"title": "x"})).await.ok();
    }
}

/// Second of two requests with a limit of one a minute.
async fn limited(fixture: &Fixture, operation: &str, method: &Method, template: &str) -> Option<Answer> {
    let options = Options { auth_per_minute: 1, refresh_per_minute: 1, api_per_minute: 1, ..Options::default() };
    let app = TestApp::over(Arc::clone(&fixture.app.store), options, TestClock::default());
    let client = fixture.client_for(&app, operation);
    let call = || fixture.by(&client, operation, method, fixture.path(operation, template));
    match operation {
        // A second logout is not possible, so another request uses up the limit.
        "logout" | "deleteMe" => client.get("/v1/me").await,
        _ => call().send().await,
    };
    Some(call().send().await)
}
