//! Tasks, with their list queries, moves, batches and comments.

use poem_openapi::types::{Example, MaybeUndefined};
use poem_openapi::{Enum, Object};
use serde::Serialize;

use crate::contract::macros::example;
use crate::contract::page::list_type;
use crate::contract::strings::{Label, OrderKey, TaskDescription, TaskTitle};
use crate::contract::{ProjectId, TaskId, Timestamp, UserId, world};

pub mod batch;
pub mod comment;
mod r#move;
pub mod query;

pub use r#move::MoveTask;

/// Status of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// Not started.
    Todo,
    /// In progress.
    InProgress,
    /// Completed.
    Done,
}

/// Priority of a task, from lowest to highest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Enum, Serialize)]
#[oai(rename_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub enum TaskPriority {
    /// No priority.
    None,
    /// Low priority.
    Low,
    /// Medium priority.
    Medium,
    /// High priority.
    High,
    /// Urgent.
    Urgent,
}

/// Task in a project.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
#[oai(example)]
pub struct Task {
    /// Task id.
    pub id: TaskId,
    /// Id of the project that contains the task.
    pub project_id: ProjectId,
    /// Title of the task.
    pub title: TaskTitle,
    /// Description of the task.
    pub description: Option<TaskDescription>,
    /// Status of the task.
    pub status: TaskStatus,
    /// Priority of the task.
    pub priority: TaskPriority,
    /// Due date.
    pub due_at: Option<Timestamp>,
    /// Project member to whom the task is assigned.
    pub assignee_id: Option<UserId>,
    /// Labels of the task.
    #[oai(validator(max_items = 20))]
    pub labels: Vec<Label>,
    /// Position within the project: an opaque string that sorts by byte order.
    pub position: OrderKey,
    /// User who created the task; null if the account was permanently deleted.
    pub created_by: Option<UserId>,
    /// Time of completion; null unless the status is `done`.
    pub completed_at: Option<Timestamp>,
    /// Time of deletion; null unless the task is in the trash.
    pub deleted_at: Option<Timestamp>,
    /// Version number, starting at 1. Every change increments it.
    #[oai(validator(minimum(value = "1")))]
    pub version: i64,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

impl Example for Task {
    fn example() -> Self {
        let new = CreateTask::example();
        Self {
            id: TaskId::example(),
            project_id: ProjectId::example(),
            title: new.title,
            description: new.description,
            status: new.status,
            priority: new.priority,
            due_at: new.due_at,
            assignee_id: new.assignee_id,
            labels: new.labels,
            position: OrderKey::example(),
            created_by: Some(UserId::example()),
            completed_at: None,
            deleted_at: None,
            version: 1,
            created_at: world::january(12, 9, 10),
            updated_at: world::january(12, 9, 10),
        }
    }
}

/// Parameters for creating a task.
#[derive(Debug, Clone, Object)]
#[oai(example)]
pub struct CreateTask {
    /// Title of the task.
    pub title: TaskTitle,
    /// Description of the task.
    #[oai(nullable)]
    pub description: Option<TaskDescription>,
    /// Status of the task.
    #[oai(default = "default_status")]
    pub status: TaskStatus,
    /// Priority of the task.
    #[oai(default = "default_priority")]
    pub priority: TaskPriority,
    /// Due date, with any UTC offset. Responses contain it in UTC.
    #[oai(nullable)]
    pub due_at: Option<Timestamp>,
    /// Project member to whom the task is assigned.
    #[oai(nullable)]
    pub assignee_id: Option<UserId>,
    /// Labels, without duplicates and without commas.
    #[oai(default, validator(max_items = 20, unique_items))]
    pub labels: Vec<Label>,
}

example!(CreateTask {
    title,
    description: Some(TaskDescription::example()),
    status: TaskStatus::Todo,
    priority: TaskPriority::High,
    due_at: Some(world::january(30, 16, 0)),
    assignee_id: None,
    labels: vec![Label::example()]
});

const fn default_status() -> TaskStatus {
    TaskStatus::Todo
}

const fn default_priority() -> TaskPriority {
    TaskPriority::None
}

/// Changes to a task. Absent fields keep their value; `null` clears a field.
#[derive(Debug, Clone, Object)]
#[oai(example)]
pub struct UpdateTask {
    /// Title of the task.
    pub title: Option<TaskTitle>,
    /// Description of the task.
    #[oai(nullable)]
    pub description: MaybeUndefined<TaskDescription>,
    /// Status of the task.
    pub status: Option<TaskStatus>,
    /// Priority of the task.
    pub priority: Option<TaskPriority>,
    /// Due date, with any UTC offset. Responses contain it in UTC.
    #[oai(nullable)]
    pub due_at: MaybeUndefined<Timestamp>,
    /// Project member to whom the task is assigned.
    #[oai(nullable)]
    pub assignee_id: MaybeUndefined<UserId>,
    /// Labels, without duplicates. They replace all existing labels.
    #[oai(validator(max_items = 20, unique_items))]
    pub labels: Option<Vec<Label>>,
}

example!(UpdateTask {
    title: None,
    description: MaybeUndefined::Null,
    status: Some(TaskStatus::InProgress),
    priority: Some(TaskPriority::Urgent),
    due_at: MaybeUndefined::Undefined,
    assignee_id: MaybeUndefined::Value(UserId::example()),
    labels: None
});

list_type! {
    /// Page of tasks.
    TaskList of Task
}

#[cfg(test)]
mod tests {
    use poem_openapi::types::ToJSON as _;

    use super::query::TaskCursorPage;
    use super::*;
    use crate::contract::page::CursorMeta;
    use crate::contract::resource::written;

    #[test]
    fn tasks_are_written_as_documented() {
        let task = Task::example();
        let bare = Task { description: None, due_at: None, labels: Vec::new(), ..task.clone() };
        let data: Vec<_> = [TaskStatus::Todo, TaskStatus::InProgress, TaskStatus::Done]
            .into_iter()
            .flat_map(|status| [Task { status, ..task.clone() }, Task { status, ..bare.clone() }])
            .zip([
                TaskPriority::None,
                TaskPriority::Low,
                TaskPriority::Medium,
                TaskPriority::High,
                TaskPriority::Urgent,
            ])
            .map(|(task, priority)| Task { priority, ..task })
            .collect();
        assert_eq!(written(&task), task.to_json_string());
        let page = TaskCursorPage { data, meta: CursorMeta::example() };
        assert_eq!(written(&page), page.to_json_string());
    }
}
