//! Tasks, and what may be said about them; the ways to list them are in `task_query`, moves and batches
//! in `task_changes`.

use poem_openapi::types::{Example, MaybeUndefined};
use poem_openapi::{Enum, Object};

use crate::contract::page::list_type;
use crate::contract::strings::{Label, OrderKey, TaskDescription, TaskTitle};
use crate::contract::{ProjectId, TaskId, Timestamp, UserId};

pub mod batch;
pub mod comment;
mod r#move;
pub mod query;

pub use r#move::MoveTask;

/// How far a task has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
#[oai(rename_all = "snake_case")]
pub enum TaskStatus {
    /// Not begun.
    Todo,
    /// Begun.
    InProgress,
    /// Finished.
    Done,
}

/// How much a task matters, from the least to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Enum)]
#[oai(rename_all = "lowercase")]
pub enum TaskPriority {
    /// Nobody has said.
    None,
    /// It can wait.
    Low,
    /// As usual.
    Medium,
    /// Before others.
    High,
    /// Now.
    Urgent,
}

/// A task in a project.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct Task {
    /// The id of the task.
    pub id: TaskId,
    /// The project that the task is in.
    pub project_id: ProjectId,
    /// What is to be done.
    pub title: TaskTitle,
    /// The details.
    pub description: Option<TaskDescription>,
    /// How far the task has come.
    pub status: TaskStatus,
    /// How much the task matters.
    pub priority: TaskPriority,
    /// When the task should be done.
    pub due_at: Option<Timestamp>,
    /// The member of the project who is to do it.
    pub assignee_id: Option<UserId>,
    /// Words to find the task by.
    #[oai(validator(max_items = 20))]
    pub labels: Vec<Label>,
    /// Where the task stands in its project: an opaque text, to be compared byte by byte.
    pub position: OrderKey,
    /// The user who created the task; null when the account is gone for good.
    pub created_by: Option<UserId>,
    /// When the task was done; null unless its status is `done`.
    pub completed_at: Option<Timestamp>,
    /// When the task was put into the trash; null unless it is there.
    pub deleted_at: Option<Timestamp>,
    /// Counts the changes of this resource, from 1.
    #[oai(validator(minimum(value = "1")))]
    pub version: i64,
    /// When the task was created.
    pub created_at: Timestamp,
    /// When the task was last changed.
    pub updated_at: Timestamp,
}

impl Example for Task {
    fn example() -> Self {
        let new = NewTask::example();
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
            created_at: Timestamp::example(),
            updated_at: Timestamp::example(),
        }
    }
}

/// What it takes to create a task.
#[derive(Debug, Clone, Object)]
#[oai(example)]
pub struct NewTask {
    /// What is to be done.
    pub title: TaskTitle,
    /// The details.
    #[oai(nullable)]
    pub description: Option<TaskDescription>,
    /// How far the task has come.
    #[oai(default = "default_status")]
    pub status: TaskStatus,
    /// How much the task matters.
    #[oai(default = "default_priority")]
    pub priority: TaskPriority,
    /// When the task should be done. Any offset is taken; the answer is in UTC.
    #[oai(nullable)]
    pub due_at: Option<Timestamp>,
    /// The member of the project who is to do it.
    #[oai(nullable)]
    pub assignee_id: Option<UserId>,
    /// Words to find the task by, each only once, without commas.
    #[oai(default, validator(max_items = 20, unique_items))]
    pub labels: Vec<Label>,
}

impl Example for NewTask {
    fn example() -> Self {
        Self {
            title: TaskTitle::example(),
            description: Some(TaskDescription::example()),
            status: TaskStatus::Todo,
            priority: TaskPriority::High,
            due_at: Some(Timestamp::example()),
            assignee_id: None,
            labels: vec![Label::example()],
        }
    }
}

const fn default_status() -> TaskStatus {
    TaskStatus::Todo
}

const fn default_priority() -> TaskPriority {
    TaskPriority::None
}

/// What changes about a task: what is absent stays, `null` clears.
#[derive(Debug, Clone, Object)]
#[oai(example)]
pub struct UpdateTask {
    /// What is to be done.
    pub title: Option<TaskTitle>,
    /// The details.
    #[oai(nullable)]
    pub description: MaybeUndefined<TaskDescription>,
    /// How far the task has come.
    pub status: Option<TaskStatus>,
    /// How much the task matters.
    pub priority: Option<TaskPriority>,
    /// When the task should be done. Any offset is taken; the answer is in UTC.
    #[oai(nullable)]
    pub due_at: MaybeUndefined<Timestamp>,
    /// The member of the project who is to do it.
    #[oai(nullable)]
    pub assignee_id: MaybeUndefined<UserId>,
    /// Words to find the task by, each only once. They replace all that were there.
    #[oai(validator(max_items = 20, unique_items))]
    pub labels: Option<Vec<Label>>,
}

impl Example for UpdateTask {
    fn example() -> Self {
        Self {
            title: Some(TaskTitle::example()),
            description: MaybeUndefined::Value(TaskDescription::example()),
            status: Some(TaskStatus::InProgress),
            priority: Some(TaskPriority::Urgent),
            due_at: MaybeUndefined::Null,
            assignee_id: MaybeUndefined::Null,
            labels: Some(vec![Label::example()]),
        }
    }
}

list_type! {
    /// A page of tasks.
    TaskList of Task
}
