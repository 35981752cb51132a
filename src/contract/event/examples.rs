//! Examples of events: the resource after the change, and its previous fields.

use std::time::Duration;

use poem_openapi::types::Example as _;
use poem_openapi::types::ToJSON as _;
use serde_json::{Value, json};

use super::event_type::EventType;
use crate::contract::Timestamp;
use crate::contract::project::invitation::{Invitation, InvitationStatus};
use crate::contract::project::member::Member;
use crate::contract::project::{Project, Role, TaskCounts};
use crate::contract::strings::OrderKey;
use crate::contract::task::comment::Comment;
use crate::contract::task::{Task, TaskStatus};

/// Resource that occurs in events.
pub(super) trait EventExample: Sized {
    /// Returns the resource after an event, and the previous values of changed fields.
    fn example_for(kind: EventType) -> (Self, Value);
}

/// Returns the creation time of resources in examples.
fn earlier() -> Timestamp {
    Timestamp::example() - Duration::from_hours(20)
}

/// Returns the previous fields of a restored resource.
fn previously_deleted() -> Value {
    json!({ "deleted_at": (Timestamp::example() - Duration::from_mins(5)).to_json() })
}

impl EventExample for Project {
    fn example_for(kind: EventType) -> (Self, Value) {
        // Members with different roles receive the same event.
        let project = Self { role: None, ..Self::example() };
        let changed = |version| Self { created_at: earlier(), version, ..project.clone() };
        match kind {
            EventType::ProjectUpdated => (changed(2), json!({ "name": "Kitchen" })),
            EventType::ProjectDeleted => {
                (Self { deleted_at: Some(Timestamp::example()), ..changed(2) }, json!({ "deleted_at": null }))
            }
            EventType::ProjectRestored => (changed(3), previously_deleted()),
            _ => {
                let task_counts = TaskCounts { total: 0, done: 0 };
                let completion_percentage = task_counts.completion_percentage();
                (Self { task_counts, completion_percentage, ..project }, Value::Null)
            }
        }
    }
}

impl EventExample for Task {
    fn example_for(kind: EventType) -> (Self, Value) {
        let now = Some(Timestamp::example());
        let changed = |version| Self { created_at: earlier(), version, ..Self::example() };
        match kind {
            EventType::TaskUpdated => (
                Self { status: TaskStatus::Done, completed_at: now, ..changed(2) },
                json!({ "status": "todo", "completed_at": null }),
            ),
            EventType::TaskDeleted => (Self { deleted_at: now, ..changed(2) }, json!({ "deleted_at": null })),
            EventType::TaskRestored => (changed(3), previously_deleted()),
            EventType::TaskMoved => (
                Self { position: OrderKey::new_unchecked("a2"), ..changed(2) },
                json!({ "position": OrderKey::example().to_json() }),
            ),
            _ => (Self::example(), Value::Null),
        }
    }
}

impl EventExample for Comment {
    fn example_for(kind: EventType) -> (Self, Value) {
        let changed = Self { created_at: earlier(), version: 2, ..Self::example() };
        match kind {
            EventType::CommentUpdated => (changed, json!({ "body": "The matte ones are back in stock." })),
            EventType::CommentDeleted => (Self { updated_at: earlier(), version: 1, ..changed }, json!({})),
            _ => (Self::example(), Value::Null),
        }
    }
}

impl EventExample for Member {
    fn example_for(kind: EventType) -> (Self, Value) {
        let member = Self { joined_at: earlier(), ..Self::example() };
        match kind {
            EventType::MemberUpdated => (member, json!({ "role": Role::Viewer.to_json() })),
            EventType::MemberRemoved => (member, json!({})),
            _ => (Self::example(), Value::Null),
        }
    }
}

impl EventExample for Invitation {
    fn example_for(kind: EventType) -> (Self, Value) {
        let status = match kind {
            EventType::InvitationAccepted => InvitationStatus::Accepted,
            EventType::InvitationDeclined => InvitationStatus::Declined,
            EventType::InvitationRevoked => InvitationStatus::Revoked,
            _ => return (Self::example(), Value::Null),
        };
        let expires_at = Self::example().expires_at - Duration::from_hours(20);
        let answered = Self { status, created_at: earlier(), expires_at, ..Self::example() };
        (answered, json!({ "status": InvitationStatus::Pending.to_json() }))
    }
}
