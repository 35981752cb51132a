//! Transactional outbox: events are appended in the transaction of their change.

use poem_openapi::types::ToJSON;
use serde_json::{Map, Value};

use super::Events;
use crate::contract::event::EventType;
use crate::contract::project::Project;
use crate::contract::task::Task;
use crate::contract::{EventId, ProjectId, Timestamp, UserId};
use crate::repositories::{NewEvent, StoreError, Transaction, Write};
use crate::services::{Error, ReplayAccess, ServiceContext, UnitOfWork, WriteContext, WriteOutcome};

/// Fields that are left out of `previous`, because they change with every update.
const ALWAYS_CHANGED: [&str; 2] = ["version", "updated_at"];

/// Origin of an event: actor, time and request.
#[derive(Debug, Clone)]
pub(crate) struct EventContext {
    pub(crate) actor: Option<UserId>,
    pub(crate) at: Timestamp,
    pub(crate) request_id: Option<String>,
}

impl WriteContext {
    /// Returns the origin of the events of this write.
    pub(crate) fn event_context(&self, at: Timestamp) -> EventContext {
        EventContext { actor: Some(self.caller.user), at, request_id: self.request.request_id.clone() }
    }
}

impl EventContext {
    pub(crate) fn created(&self, kind: EventType, project: ProjectId, object: &impl ToJSON) -> NewEvent {
        self.event(kind, project, &json(object), None)
    }

    /// Creates an event with the previous values of the fields that changed.
    pub(crate) fn updated<T: ToJSON>(&self, kind: EventType, project: ProjectId, before: &T, after: &T) -> NewEvent {
        let after = json(after);
        let previous = previous(json(before), &after);
        self.event(kind, project, &after, Some(&previous))
    }

    pub(crate) fn deleted<T: ToJSON>(&self, kind: EventType, project: ProjectId, last: &T) -> NewEvent {
        self.updated(kind, project, last, last)
    }

    pub(crate) fn task_event(&self, kind: EventType, before: &Task, after: &Task) -> NewEvent {
        self.updated(kind, after.project_id, before, after)
    }

    pub(crate) fn project_event(&self, kind: EventType, before: &Project, after: &Project) -> NewEvent {
        self.updated(kind, after.id, &without_caller_role(before), &without_caller_role(after))
    }

    fn event(&self, kind: EventType, project_id: ProjectId, data: &Value, previous: Option<&Value>) -> NewEvent {
        NewEvent {
            id: EventId::generate(),
            kind,
            project_id,
            actor_id: self.actor,
            occurred_at: self.at,
            data: data.to_string(),
            previous: previous.map(Value::to_string),
            request_id: self.request_id.clone(),
        }
    }
}

/// Removes the role of the caller from a project, because events have many readers.
pub(crate) fn without_caller_role(project: &Project) -> Project {
    Project { role: None, ..project.clone() }
}

fn json(resource: &impl ToJSON) -> Value {
    resource.to_json().unwrap_or_default()
}

fn previous(before: Value, after: &Value) -> Value {
    let Value::Object(before) = before else { return Value::Object(Map::new()) };
    let changed = before
        .into_iter()
        .filter(|(name, value)| !ALWAYS_CHANGED.contains(&name.as_str()) && after.get(name) != Some(value));
    Value::Object(changed.collect())
}

impl UnitOfWork<'_> {
    /// Stores the outcome, publishes the events and commits.
    ///
    /// Every change that members of a project can see has an event.
    pub(crate) async fn publish_and_commit<T>(
        self,
        outcome: WriteOutcome<T>,
        access: ReplayAccess,
        events: &[NewEvent],
    ) -> Result<WriteOutcome<T>, Error> {
        self.write_and_commit(outcome, access, [], events).await
    }

    /// Does the same after the last writes of the transaction, in one round trip if possible.
    pub(crate) async fn write_and_commit<'w, T>(
        self,
        outcome: WriteOutcome<T>,
        access: ReplayAccess,
        writes: impl IntoIterator<Item = Write<'w>>,
        events: &[NewEvent],
    ) -> Result<WriteOutcome<T>, Error> {
        let response = self.response(&outcome, access).await?;
        let user = self.caller().user;
        let stored = response.as_ref().map(|(key, response)| Write::StoreResponse { user, key, response });
        let mut all: Vec<Write<'_>> = writes.into_iter().collect();
        all.extend(stored);
        self.events().write_and_append(&all, events).await?;
        self.commit_transaction().await?;
        Ok(outcome)
    }
}

impl Events {
    /// Publishes events in a transaction of a job, right before its commit.
    pub async fn publish(&self, transaction: &dyn Transaction, events: &[NewEvent]) -> Result<(), StoreError> {
        self.context.publish(transaction, events).await
    }
}

impl ServiceContext {
    /// Appends events to the feed, which streams and webhooks read after the commit.
    /// Must be the last step before the commit, because appending locks the feed.
    pub(crate) async fn publish(&self, transaction: &dyn Transaction, events: &[NewEvent]) -> Result<(), StoreError> {
        if events.is_empty() { Ok(()) } else { transaction.events().append(events).await }
    }
}

#[cfg(test)]
mod tests {
    use poem_openapi::types::Example as _;
    use serde_json::json;

    use super::*;
    use crate::contract::task::TaskStatus;

    #[test]
    fn previous_contains_the_changed_fields_except_version_and_updated_at() {
        let before = Task::example();
        let after = Task { status: TaskStatus::Done, version: 2, updated_at: Timestamp(0), ..before.clone() };
        let context = EventContext { actor: None, at: Timestamp(7), request_id: None };
        let event = context.task_event(EventType::TaskUpdated, &before, &after);
        let previous: Value = serde_json::from_str(event.previous.as_deref().unwrap()).unwrap();
        assert_eq!(previous, json!({ "status": before.to_json().unwrap()["status"] }));
        assert_eq!(context.created(EventType::TaskCreated, after.project_id, &after).previous, None);
        let removed = context.deleted(EventType::CommentDeleted, after.project_id, &after);
        assert_eq!(removed.previous.as_deref(), Some("{}"));
    }

    #[test]
    fn project_events_omit_the_role_of_the_caller() {
        let before = Project::example();
        let context = EventContext { actor: None, at: Timestamp(7), request_id: None };
        let event =
            context.project_event(EventType::ProjectUpdated, &before, &Project { archived: true, ..before.clone() });
        assert!(before.role.is_some() && event.data.contains("\"role\":null"), "{}", event.data);
        assert_eq!(event.previous.as_deref(), Some("{\"archived\":false}"));
    }
}
