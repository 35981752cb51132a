//! Every documented status of every operation can be provoked.
//!
//! One test walks the document and provokes each (operation, status) pair; a pair without a known way fails by name. The
//! valid requests are those of the authorization matrix. The client checks each response against the document.

use std::sync::Arc;
use std::time::Duration;

use pocket_tasks::api::openapi::resolve;
use pocket_tasks::api::operations::{Access, OPERATIONS};
use pocket_tasks::contract::UserId;
use pocket_tasks::contract::error::ErrorCode;
use pocket_tasks::repositories::Store;
use pocket_tasks::services::Operator;
use poem::Body;
use poem::http::Method;
use serde_json::{Value, json};

use crate::api::authorization::matrix::{Row, matrix, succeeds};
use crate::api::fixtures::account::{api_client, app_requiring_verification};
use crate::api::fixtures::common::UNKNOWN_ID;
use crate::api::fixtures::roles::{Actor, RoleFixture, RoleFixtures};
use crate::api::fixtures::stored_members::{purge_project, remove_member};
use crate::api::fixtures::writes::KEY;
use crate::on_both_databases;
use crate::support::client::{Call, Ids as _};
use crate::support::document::{DOCUMENT, needs_token, operations, statuses};
use crate::support::fault_store::{Fault, FaultStore};
use crate::support::{Answer, Options, TestApp, TestClock, TestDatabase};

/// Operation of the document, with a valid request and its caller.
struct Operation {
    id: String,
    method: Method,
    description: &'static Value,
    row: Row,
    who: Actor,
}

impl Operation {
    fn all() -> impl Iterator<Item = Self> {
        operations().map(|(id, method, _, description)| {
            let (row, who) = row(&id, &[Actor::Anonymous, Actor::Owner, Actor::Other], succeeds).unwrap();
            Self { id, method, description, row, who }
        })
    }

    /// Prepares the valid request.
    fn call(&self, fixture: &RoleFixture) -> Call {
        self.row.call(fixture, self.who)
    }
}

/// Row of the matrix for an operation, with a caller who gets a suitable outcome.
fn row(operation: &str, callers: &[Actor], is_suitable: impl Fn(&str) -> bool) -> Option<(Row, Actor)> {
    callers.iter().find_map(|who| {
        let mut rows = matrix().into_iter().filter(|row| row.operation == operation);
        Some((rows.find(|row| is_suitable(row.cell(*who)))?, *who))
    })
}

/// The fixture through an app with other options or another store.
fn through(fixture: &RoleFixture, store: Arc<dyn Store>, options: Options) -> RoleFixture {
    fixture.of(&TestApp::over(store, options, TestClock::default()))
}

async fn provoke(fixture: &RoleFixture, operation: &Operation, status: u16) -> Option<Answer> {
    let Operation { id, row: valid, who, .. } = operation;
    let store = || Arc::clone(&fixture.app.store);
    let request = || operation.call(fixture);
    let with = |field: &str, value: &str| {
        let mut body = valid.body(fixture, *who);
        body[field] = json!(fixture.filled(value, *who));
        request().json(&body)
    };
    let call = match (status, id.as_str()) {
        (200..300, _) => request(),
        (304, _) => request().header("if-none-match", "*"),
        (400, _) => valid.call_at(fixture, *who, &format!("{}?no_such_parameter=1", valid.path)),
        (401, "verifyEmail") => request().header("authorization", "Bearer nonsense"),
        (401, "login") => with("password", "wrong"),
        (401, "refreshSession") => with("refresh_token", "rt_unknown"),
        (401, _) => request().without_header("authorization"),
        (403, "login") => {
            let id = UserId::parse(fixture.client(Actor::Owner, false).user_id()).unwrap();
            fixture.app.services.administration.disable_account(&Operator::new("root"), id).await.unwrap();
            request()
        }
        (403, _) => {
            let is_forbidden = |cell: &str| !succeeds(cell) && cell != "401" && cell != "transfer";
            let (row, who) = row(id, &[Actor::Other, Actor::Program], is_forbidden)?;
            row.call(fixture, who)
        }
        (404, _) => {
            let parts = valid.path.split('{').map(|part| part.split_once('}').map_or(part, |(_, rest)| rest));
            valid.call_at(fixture, *who, &parts.collect::<Vec<_>>().join(UNKNOWN_ID))
        }
        (406, _) => request().header("accept", "text/html"),
        (408, _) => {
            let options = Options { request_timeout: Duration::from_millis(50), ..Options::default() };
            operation
                .call(&through(fixture, store(), options))
                .body("application/json", Body::from_bytes_stream(never()))
        }
        (409, "register") => with("email", "{email}"),
        (409, "acceptInvitation" | "declineInvitation" | "revokeInvitation") => {
            request().send().await;
            request()
        }
        (409, _) if OPERATIONS.iter().any(|policy| policy.id == id && policy.idempotent) => {
            let answer = while_key_in_use(fixture, operation).await;
            assert_eq!(answer.header("retry-after"), "1", "{id}");
            return Some(answer);
        }
        (412, _) => request().header("if-match", "\"older.older\""),
        (413, _) => request().body("application/json", vec![b' '; 2_000_000]),
        (415, _) => request().body("text/plain", "{}"),
        (422, "verifyEmail" | "disownAccount" | "resetPassword") => {
            with("token", "mt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
        }
        (422, _) => {
            let other = json!({"name": "A project of its own"});
            let client = fixture.client(*who, false);
            client.call(Method::POST, "/v1/projects").json(&other).header(KEY, "used").send().await.created();
            request().header(KEY, "used")
        }
        (429, _) => return Some(limited(fixture, operation).await),
        (504, _) => return Some(while_stuck(fixture, operation).await),
        _ => return None,
    };
    Some(call.send().await)
}

/// Response to a replay after the caller has lost the project (403) or the project was purged (404).
async fn replay_without_access(database: &TestDatabase, fixture: &RoleFixture, status: u16) -> Answer {
    let owner = fixture.client(Actor::Owner, false);
    let body = json!({"name": "Short-lived"});
    let key = format!("for-{status}");
    let request = || owner.call(Method::POST, "/v1/projects").json(&body).header(KEY, &key);
    let project = request().send().await.created().id();
    remove_member(&fixture.app, &project, owner).await;
    if status == 404 {
        purge_project(database, &project).await;
    }
    request().send().await
}

/// Response to a request while another transaction holds its idempotency key.
async fn while_key_in_use(fixture: &RoleFixture, operation: &Operation) -> Answer {
    let store = FaultStore::over(Arc::clone(&fixture.app.store), Fault::ClaimInProgress);
    operation.call(&through(fixture, store, Options::default())).header(KEY, "in-use").send().await
}

/// Response to a request whose transaction never begins, with a short timeout.
async fn while_stuck(fixture: &RoleFixture, operation: &Operation) -> Answer {
    let options = Options { request_timeout: Duration::from_millis(20), ..Options::default() };
    let store = FaultStore::over(Arc::clone(&fixture.app.store), Fault::Stuck);
    let stuck = through(fixture, store, options);
    // The audit log takes a session, which begins no transaction.
    if operation.method != Method::GET || operation.id == "listMyAuditLog" {
        return operation.call(&stuck).send().await;
    }
    // The first use of an API token is recorded, so that a read begins a transaction too.
    let (program, _) = api_client(&fixture.app, fixture.client(Actor::Owner, true), &["read"]).await;
    program.of(&stuck.app).get(fixture.filled(operation.row.path, Actor::Owner)).await
}

/// Second of two requests with a limit of one a minute.
async fn limited(fixture: &RoleFixture, operation: &Operation) -> Answer {
    let options = Options { auth_per_minute: 1, refresh_per_minute: 1, api_per_minute: 1, ..Options::default() };
    let limited = through(fixture, Arc::clone(&fixture.app.store), options);
    match operation.id.as_str() {
        // A second logout is not possible, so another request uses up the limit.
        "logout" | "deleteMe" => limited.client(operation.who, true).get("/v1/me").await,
        _ => operation.call(&limited).send().await,
    };
    operation.call(&limited).send().await
}

/// Body that never arrives.
fn never() -> impl futures_util::Stream<Item = std::io::Result<Vec<u8>>> + Send + 'static {
    futures_util::stream::pending()
}

/// Asserts that the response to a failure is the published text of its error, and nothing of the failure itself.
fn assert_reveals_nothing(answer: &Answer, operation: &Operation) {
    let code = match answer.status.as_u16() {
        500 => ErrorCode::Internal,
        503 => ErrorCode::Unavailable,
        504 => ErrorCode::Timeout,
        other => panic!("{}: {other} {}", operation.id, answer.text),
    };
    let expected = json!({
        "error": code.as_str(),
        "message": code.message(),
        "request_id": answer.header("x-request-id"),
    });
    assert_eq!(answer.body, expected, "{}", operation.id);
}

/// Returns the message of an error that is not the one of a documented example.
///
/// The messages of invalid requests depend on the request; `story` compares those.
fn undocumented_message(operation: &Operation, answer: &Answer) -> Option<String> {
    let code = answer.body.get("error").filter(|code| *code != "VALIDATION_FAILED")?;
    let response = resolve(&DOCUMENT, &operation.description["responses"][answer.status.as_str()]);
    let examples = response["content"]["application/json"]["examples"].as_object().unwrap();
    // Without digits, because the number of seconds to wait depends on the time.
    let text = |body: &Value| body["message"].as_str().unwrap().replace(|c: char| c.is_ascii_digit(), "");
    let is_wait = *code == "RATE_LIMITED";
    let (id, message) = (&operation.id, &answer.body["message"]);
    let is_documented = |example: &Value| {
        let example = &example["value"];
        let is_same = example["message"] == *message || is_wait && text(example) == text(&answer.body);
        example["error"] == *code && is_same
    };
    (!examples.values().any(is_documented)).then(|| format!("{id}: no example of {code} with the message {message}"))
}

on_both_databases! {
    async fn every_documented_status_is_returned(database: TestDatabase) {
        let mut missing = Vec::new();
        let empty = database.without_schema().await;
        let (without_schema, closed) = (empty.store().await, empty.closed_store().await);
        let mut fixtures = RoleFixtures::new(&database, false).await;
        let mut fixture = fixtures.fresh().await;
        let mut is_changed = false;
        for operation in Operation::all() {
            let id = operation.id.as_str();
            // Heads beyond the limit are rejected by the server and never reach an operation: `tests/it/server`.
            for status in statuses(operation.description).into_iter().filter(|status| *status != 431) {
                // Requests that change nothing share a fixture.
                if std::mem::replace(&mut is_changed, false) {
                    fixture = fixtures.fresh().await;
                }
                is_changed = operation.method != Method::GET && (status < 300 || status == 409 || status == 429);
                let over = async |store: Arc<dyn Store>| {
                    operation.call(&through(&fixture, store, Options::default())).send().await
                };
                let answer = match (status, id) {
                    (403 | 404, "createProject") => {
                        Some(replay_without_access(fixtures.database(), &fixture, status).await)
                    }
                    (500, _) => Some(over(Arc::clone(&without_schema) as _).await),
                    (503, _) => Some(over(Arc::clone(&closed) as _).await),
                    _ => provoke(&fixture, &operation, status).await,
                };
                match answer {
                    Some(answer) if answer.status.as_u16() == status => {
                        missing.extend(undocumented_message(&operation, &answer));
                        if status >= 500 {
                            assert_reveals_nothing(&answer, &operation);
                        }
                    }
                    Some(answer) => missing.push(format!("{id} {status}: returned {} {}", answer.status, answer.text)),
                    None => missing.push(format!("{id} {status}: no known way to provoke it")),
                }
            }
        }
        fixtures.remove().await;
        empty.remove().await;
        assert!(missing.is_empty(), "documented, but not returned:\n{}", missing.join("\n"));
    }

    async fn every_operation_rejects_insufficient_api_tokens(database: TestDatabase) {
        let fixture = RoleFixture::new(&app_requiring_verification(&database).await, false).await;
        let mut count = 0;
        for operation in Operation::all().filter(|operation| needs_token(operation.description)) {
            let policy = OPERATIONS.iter().find(|policy| policy.id == operation.id).unwrap();
            let takes_api_tokens = matches!(policy.access, Access::Token(_) | Access::BothScopes);
            let answer = operation.row.call(&fixture, Actor::Program).send().await;
            let challenge = answer.headers.get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
            if takes_api_tokens {
                let scope = if operation.method == Method::GET { "read" } else { "write" };
                let expected = format!("Bearer realm=\"pocket-tasks\", error=\"insufficient_scope\", scope=\"{scope}\"");
                assert_eq!(challenge.as_deref(), Some(expected.as_str()), "{}", operation.id);
                answer.fails(403, "INSUFFICIENT_SCOPE");
                count += 1;
            } else {
                answer.fails(403, "FORBIDDEN");
            }
        }
        assert!(count > 20, "{count}");
    }

    async fn a_panic_reveals_no_internals(database: TestDatabase) {
        let fixture = RoleFixture::new(&app_requiring_verification(&database).await, false).await;
        let store = FaultStore::over(Arc::clone(&fixture.app.store), Fault::Panic);
        let fixture = through(&fixture, store, Options::default());
        for operation in Operation::all().filter(|operation| !operation.row.path.starts_with("/health/")) {
            let answer = operation.call(&fixture).send().await;
            assert_reveals_nothing(&answer, &operation);
            answer.fails(500, "INTERNAL");
        }
    }

    async fn an_archived_project_is_read_only(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let task = owner.task(&project, json!({"title": "A task"})).await.id();
        owner.patch(format!("/v1/projects/{project}"), json!({"archived": true})).await.ok();
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
