//! What happened: the events of a change, appended in its transaction.

use poem_openapi::types::ToJSON;
use serde_json::{Map, Value};

use crate::contract::event::EventType;
use crate::contract::project::Project;
use crate::contract::task::Task;
use crate::contract::{EventId, ProjectId, Timestamp, UserId};
use crate::repositories::{NewEvent, StoreError, Transaction};
use crate::services::Shared;
use crate::services::unit_of_work::Write;

/// What an event does not tell among the fields that changed, because they change every time.
const ALWAYS_CHANGED: [&str; 2] = ["version", "updated_at"];

/// Who did something, when, and by which request.
#[derive(Debug, Clone)]
pub(crate) struct Cause {
    pub(crate) actor: Option<UserId>,
    pub(crate) at: Timestamp,
    pub(crate) request_id: Option<String>,
}

impl Write {
    /// The cause of what this does at a time.
    pub(crate) fn cause(&self, at: Timestamp) -> Cause {
        Cause { actor: Some(self.caller.user), at, request_id: self.request_id.clone() }
    }
}

impl Cause {
    /// Something is there that was not.
    pub(crate) fn made(&self, kind: EventType, project: ProjectId, made: &impl ToJSON) -> NewEvent {
        self.event(kind, project, &json(made), None)
    }

    /// Something is no longer as it was.
    pub(crate) fn changed<T: ToJSON>(&self, kind: EventType, project: ProjectId, before: &T, after: &T) -> NewEvent {
        let after = json(after);
        let previous = previous(json(before), &after);
        self.event(kind, project, &after, Some(&previous))
    }

    /// Something is no longer there.
    pub(crate) fn removed<T: ToJSON>(&self, kind: EventType, project: ProjectId, last: &T) -> NewEvent {
        self.changed(kind, project, last, last)
    }

    /// A task is no longer as it was, in its project.
    pub(crate) fn task(&self, kind: EventType, before: &Task, after: &Task) -> NewEvent {
        self.changed(kind, after.project_id, before, after)
    }

    /// A project is no longer as it was.
    pub(crate) fn project(&self, kind: EventType, before: &Project, after: &Project) -> NewEvent {
        self.changed(kind, after.id, &for_everybody(before), &for_everybody(after))
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

/// A project as an event tells of it: to many readers, who have different roles.
pub(crate) fn for_everybody(project: &Project) -> Project {
    Project { role: None, ..project.clone() }
}

fn json(resource: &impl ToJSON) -> Value {
    resource.to_json().unwrap_or_default()
}

/// The fields that have changed, as they were.
fn previous(before: Value, after: &Value) -> Value {
    let Value::Object(before) = before else { return Value::Object(Map::new()) };
    let changed = before
        .into_iter()
        .filter(|(name, value)| !ALWAYS_CHANGED.contains(&name.as_str()) && after.get(name) != Some(value));
    Value::Object(changed.collect())
}

impl Shared {
    /// Tells of what happened: promises it to webhooks, and appends it to the feed. The last thing before the commit.
    pub(crate) async fn tell(&self, transaction: &dyn Transaction, events: &[NewEvent]) -> Result<(), StoreError> {
        let Some(first) = events.first() else { return Ok(()) };
        self.promise(transaction, events, first.occurred_at).await?;
        transaction.events().append(events).await
    }
}

#[cfg(test)]
mod tests {
    use poem_openapi::types::Example as _;
    use serde_json::json;

    use super::*;
    use crate::contract::task::TaskStatus;

    #[test]
    fn previous_has_the_fields_that_changed_but_for_those_that_always_do() {
        let before = Task::example();
        let after = Task { status: TaskStatus::Done, version: 2, updated_at: Timestamp(0), ..before.clone() };
        let cause = Cause { actor: None, at: Timestamp(7), request_id: None };
        let event = cause.task(EventType::TaskUpdated, &before, &after);
        let previous: Value = serde_json::from_str(event.previous.as_deref().unwrap()).unwrap();
        assert_eq!(previous, json!({ "status": before.to_json().unwrap()["status"] }));
        assert_eq!(cause.made(EventType::TaskCreated, after.project_id, &after).previous, None);
        let removed = cause.removed(EventType::CommentDeleted, after.project_id, &after);
        assert_eq!(removed.previous.as_deref(), Some("{}"));
    }

    #[test]
    fn no_event_tells_the_role_of_who_caused_it() {
        let before = Project::example();
        let cause = Cause { actor: None, at: Timestamp(7), request_id: None };
        let event = cause.project(EventType::ProjectUpdated, &before, &Project { archived: true, ..before.clone() });
        assert!(before.role.is_some() && event.data.contains("\"role\":null"), "{}", event.data);
        assert_eq!(event.previous.as_deref(), Some("{\"archived\":false}"));
    }
}
