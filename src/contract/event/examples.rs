//! Examples of events: the resource after the change, and its previous fields.
//!
//! The resources are also the examples of the responses to the requests that change them.

use poem_openapi::types::{Example as _, ToJSON as _};
use serde_json::{Value, json};

use super::event_type::EventType;
use super::occurrences::occurrence;
use crate::contract::project::invitation::{Invitation, InvitationStatus};
use crate::contract::project::member::{Member, UpdateMember};
use crate::contract::project::{Project, TaskCounts, UpdateProject};
use crate::contract::strings::OrderKey;
use crate::contract::task::comment::{Comment, UpdateComment};
use crate::contract::task::{Task, TaskStatus, UpdateTask};
use crate::contract::world::january;

/// Resource that occurs in events.
pub(crate) trait EventExample: Sized {
    /// Returns the resource after an event, and the previous values of changed fields.
    fn example_for(kind: EventType) -> (Self, Value);
}

impl EventExample for Project {
    fn example_for(kind: EventType) -> (Self, Value) {
        // Members with different roles receive the same event.
        let created = Self { role: None, ..Self::example() };
        if kind == EventType::ProjectCreated {
            return (created, Value::Null);
        }
        let patch = UpdateProject::example();
        let previous = json!({ "description": created.description.to_json(), "color": created.color.to_json() });
        let mut updated = Self { version: 2, updated_at: occurrence(EventType::ProjectUpdated).at, ..created };
        patch.description.update_to(&mut updated.description);
        patch.color.update_to(&mut updated.color);
        updated.task_counts = TaskCounts { total: 1, done: 0 };
        if kind == EventType::ProjectUpdated {
            return (updated, previous);
        }
        let deleted_at = occurrence(EventType::ProjectDeleted).at;
        let mut deleted = Self { deleted_at: Some(deleted_at), version: 3, updated_at: deleted_at, ..updated };
        deleted.task_counts = TaskCounts { total: 2, done: 1 };
        deleted.completion_percentage = deleted.task_counts.completion_percentage();
        if kind == EventType::ProjectDeleted {
            return (deleted, json!({ "deleted_at": null }));
        }
        let restored = Self { deleted_at: None, version: 4, updated_at: occurrence(kind).at, ..deleted };
        (restored, json!({ "deleted_at": deleted_at.to_json() }))
    }
}

impl EventExample for Task {
    fn example_for(kind: EventType) -> (Self, Value) {
        let created = Self::example();
        if kind == EventType::TaskCreated {
            return (created, Value::Null);
        }
        let patch = UpdateTask::example();
        let previous = json!({
            "description": created.description.to_json(),
            "status": created.status.to_json(),
            "priority": created.priority.to_json(),
            "assignee_id": null,
        });
        let mut updated = Self { version: 2, updated_at: occurrence(EventType::TaskUpdated).at, ..created };
        patch.description.update_to(&mut updated.description);
        patch.assignee_id.update_to(&mut updated.assignee_id);
        updated.status = patch.status.unwrap_or(updated.status);
        updated.priority = patch.priority.unwrap_or(updated.priority);
        if kind == EventType::TaskUpdated {
            return (updated, previous);
        }
        let deleted_at = occurrence(EventType::TaskDeleted).at;
        let deleted = Self { deleted_at: Some(deleted_at), version: 3, updated_at: deleted_at, ..updated };
        if kind == EventType::TaskDeleted {
            return (deleted, json!({ "deleted_at": null }));
        }
        let restored_at = occurrence(EventType::TaskRestored).at;
        let restored = Self { deleted_at: None, version: 4, updated_at: restored_at, ..deleted };
        if kind == EventType::TaskRestored {
            return (restored, json!({ "deleted_at": deleted_at.to_json() }));
        }
        let done = restored.completed();
        let previous = json!({ "position": done.position.to_json() });
        let position = OrderKey::new_unchecked("a3");
        (Self { position, version: 6, updated_at: occurrence(kind).at, ..done }, previous)
    }
}

impl Task {
    /// Returns the restored task after the example of a batch.
    pub(crate) fn completed(self) -> Self {
        let now = january(28, 16, 30);
        Self { status: TaskStatus::Done, completed_at: Some(now), version: 5, updated_at: now, ..self }
    }
}

impl EventExample for Comment {
    fn example_for(kind: EventType) -> (Self, Value) {
        let created = Self::example();
        if kind == EventType::CommentCreated {
            return (created, Value::Null);
        }
        let previous = json!({ "body": created.body.to_json() });
        let body = UpdateComment::example().body.unwrap_or_else(|| created.body.clone());
        let updated = Self { body, version: 2, updated_at: occurrence(EventType::CommentUpdated).at, ..created };
        (updated, if kind == EventType::CommentUpdated { previous } else { json!({}) })
    }
}

impl EventExample for Member {
    fn example_for(kind: EventType) -> (Self, Value) {
        let added = Self::example();
        if kind == EventType::MemberAdded {
            return (added, Value::Null);
        }
        let previous = json!({ "role": added.role.to_json() });
        let updated = Self { role: UpdateMember::example().role.unwrap_or(added.role), ..added };
        (updated, if kind == EventType::MemberUpdated { previous } else { json!({}) })
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
        (Self { status, ..Self::example() }, json!({ "status": InvitationStatus::Pending.to_json() }))
    }
}
