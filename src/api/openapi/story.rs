//! The examples of successful responses, and the values of the path in the examples of requests.
//!
//! Together with the examples of the requests they are one story, which a test in `tests/it/contract` executes in order.
//! A response is the resource of the fixture world (`contract::world`) as its request left it.

use poem_openapi::types::{Example, ToJSON};
use serde_json::{Value, json};

use crate::contract::SessionId;
use crate::contract::account::api_token::ApiToken;
use crate::contract::account::audit_entry::{AuditEntry, AuditEntryType};
use crate::contract::account::session::{Session, SessionInfo};
use crate::contract::account::user::{UpdateMe, User};
use crate::contract::event::payloads::{ProjectCreatedEvent, TaskCreatedEvent};
use crate::contract::event::query::EventPageMeta;
use crate::contract::event::{EventExample, EventType};
use crate::contract::page::{CursorMeta, PageMeta};
use crate::contract::project::invitation::Invitation;
use crate::contract::project::member::Member;
use crate::contract::project::{Project, Role, TaskCounts};
use crate::contract::strings::{EventName, OrderKey};
use crate::contract::task::batch::{BatchOperation, TaskBatch, TaskBatchResult};
use crate::contract::task::comment::Comment;
use crate::contract::task::{CreateTask, Task};
use crate::contract::webhook::delivery::Delivery;
use crate::contract::webhook::{UpdateWebhook, Webhook, WebhookWithSecret};
use crate::contract::world::{self, january};

/// The examples that differ from those of their schema, by `operationId`.
pub struct Story {
    /// The body of the successful response.
    pub(super) response: fn(&str) -> Option<Value>,
    /// The resource in the 412 response, which another client has updated.
    pub(super) current: fn(&str) -> Option<Value>,
}

/// The story of the API.
pub const STORY: Story = Story { response, current };

fn response(operation: &str) -> Option<Value> {
    Some(match operation {
        "login" => {
            let (access_token, refresh_token) = (world::login_access_token(), world::login_refresh_token());
            value(&Session { user: verified_user(), access_token, refresh_token, ..Session::example() })
        }
        "refreshSession" => {
            let (access_token, refresh_token) = (world::refreshed_access_token(), world::next_refresh_token());
            value(&Session { user: verified_user(), access_token, refresh_token, ..Session::example() })
        }
        "getMe" => value(&verified_user()),
        "updateMe" => value(&updated_user()),
        "listSessions" => list(&[current_session(), SessionInfo::example()]),
        "listMyAuditLog" => list(&audit_log()),
        "listApiTokens" => list(&[ApiToken::example()]),
        "getProject" => value(&project_with_a_task()),
        "listProjects" => list(&[project_with_a_task()]),
        "updateProject" => value(&project(EventType::ProjectUpdated)),
        "restoreProject" => value(&project(EventType::ProjectRestored)),
        "listMembers" => list(&[Member::example(), owner()]),
        "updateMember" => value(&Member::example_for(EventType::MemberUpdated).0),
        "listInvitations" | "listMyInvitations" => list(&[Invitation::example()]),
        "listProjectTasks" | "listTasks" => list(&[Task::example()]),
        "listProjectTasksV2" | "listTasksV2" => page(&[value(&Task::example())], &CursorMeta::example()),
        "updateTask" => value(&task(EventType::TaskUpdated)),
        "batchTasks" => value(&batch()),
        "moveTask" => value(&task(EventType::TaskMoved)),
        "restoreTask" => value(&task(EventType::TaskRestored)),
        "listComments" => list(&[Comment::example()]),
        "updateComment" => value(&Comment::example_for(EventType::CommentUpdated).0),
        "listEvents" => page(
            &[event(EventType::ProjectCreated, &ProjectCreatedEvent::example()), task_created()],
            &EventPageMeta::example(),
        ),
        "streamEvents" => task_created(),
        "listWebhooks" => list(&[Webhook::example()]),
        "updateWebhook" => value(&updated_webhook()),
        "rotateWebhookSecret" => value(&rotated_webhook()),
        "testWebhook" => value(&Delivery::example_of_test()),
        "listDeliveries" => list(&[Delivery::example()]),
        "redeliver" => value(&Delivery::example_of_redelivery()),
        _ => return None,
    })
}

fn current(operation: &str) -> Option<Value> {
    Some(match operation {
        "updateMe" => value(&updated_user()),
        "updateProject" | "deleteProject" => value(&project(EventType::ProjectUpdated)),
        "updateTask" | "deleteTask" | "moveTask" => value(&task(EventType::TaskUpdated)),
        "updateComment" | "deleteComment" => value(&Comment::example_for(EventType::CommentUpdated).0),
        "updateWebhook" | "deleteWebhook" => value(&updated_webhook()),
        _ => return None,
    })
}

/// Returns the value of a parameter of the path, unless the example of its schema fits.
pub(super) fn path_parameter(name: &str) -> Option<Value> {
    // Only members are addressed by the id of a user.
    (name == "user_id").then(|| world::grace().to_json()).flatten()
}

fn value(resource: &impl ToJSON) -> Value {
    resource.to_json().unwrap_or_default()
}

/// Returns a list with all its items on one page.
fn list(items: &[impl ToJSON]) -> Value {
    let total = u64::try_from(items.len()).unwrap_or_default();
    page(&items.iter().map(value).collect::<Vec<_>>(), &PageMeta { total, ..PageMeta::example() })
}

fn page(data: &[Value], meta: &impl ToJSON) -> Value {
    json!({ "data": data, "meta": value(meta) })
}

fn verified_user() -> User {
    User { email_verified: true, version: 2, updated_at: january(12, 8, 2), ..User::example() }
}

fn updated_user() -> User {
    let (user, patch) = (verified_user(), UpdateMe::example());
    User {
        name: patch.name.unwrap_or(user.name),
        timezone: patch.timezone.unwrap_or(user.timezone),
        weekly_digest: patch.weekly_digest.unwrap_or(user.weekly_digest),
        version: 3,
        updated_at: january(12, 8, 15),
        ..user
    }
}

fn current_session() -> SessionInfo {
    let (created_at, last_used_at) = (january(12, 8, 5), january(12, 8, 10));
    SessionInfo { id: world::login_session(), current: true, created_at, last_used_at, ..SessionInfo::example() }
}

/// Returns the entries of the first three requests of the account, newest first.
fn audit_log() -> [AuditEntry; 3] {
    let entry = |id, kind, session_id, at| AuditEntry {
        id,
        kind,
        session_id,
        created_at: at,
        last_at: at,
        ..AuditEntry::example()
    };
    let registered = Some(SessionId::example());
    [
        AuditEntry::example(),
        entry(world::verification_entry(), AuditEntryType::AccountVerified, None, january(12, 8, 2)),
        entry(world::registration_entry(), AuditEntryType::AccountRegistered, registered, january(12, 8, 0)),
    ]
}

/// Returns the project after an event, as its owner sees it.
fn project(kind: EventType) -> Project {
    Project { role: Some(Role::Owner), ..Project::example_for(kind).0 }
}

fn project_with_a_task() -> Project {
    Project { task_counts: TaskCounts { total: 1, done: 0 }, ..Project::example() }
}

fn owner() -> Member {
    let User { id, name, email, .. } = User::example();
    Member { user_id: id, name, email, role: Role::Owner, joined_at: Project::example().created_at }
}

fn task(kind: EventType) -> Task {
    Task::example_for(kind).0
}

fn batch() -> TaskBatchResult {
    let updated = task(EventType::TaskRestored).completed();
    let now = updated.updated_at;
    let results = TaskBatch::example().operations.into_iter().map(|operation| match operation {
        BatchOperation::Create(new) => {
            let CreateTask { title, description, status, priority, due_at, assignee_id, labels } = new.task;
            let new = Task { title, description, status, priority, due_at, assignee_id, labels, ..Task::example() };
            let position = OrderKey::new_unchecked("a2");
            Some(Task { id: world::batch_task(), position, created_at: now, updated_at: now, ..new })
        }
        BatchOperation::Update(_) => Some(updated.clone()),
        BatchOperation::Delete(_) => None,
    });
    TaskBatchResult { results: results.collect() }
}

fn task_created() -> Value {
    event(EventType::TaskCreated, &TaskCreatedEvent::example())
}

/// Returns an event with its type, which the union adds.
fn event(kind: EventType, payload: &impl ToJSON) -> Value {
    let mut event = value(payload);
    event["type"] = json!(kind.as_str());
    event
}

fn updated_webhook() -> Webhook {
    let (webhook, patch) = (Webhook::example(), UpdateWebhook::example());
    let mut updated = Webhook { version: 2, updated_at: january(14, 8, 45), ..webhook };
    patch.project_id.update_to(&mut updated.project_id);
    if let Some(events) = patch.events {
        updated.events = events.iter().map(|name| EventName::new_unchecked(name.as_str())).collect();
    }
    updated
}

fn rotated_webhook() -> WebhookWithSecret {
    let webhook = Webhook { version: 3, updated_at: january(14, 8, 50), ..updated_webhook() };
    WebhookWithSecret { webhook, secret: world::rotated_secret() }
}
