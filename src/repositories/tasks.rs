//! Single tasks; lists are in `task_lists`.

use async_trait::async_trait;

use super::error::StoreError;
use super::portion::Portion;
use super::projects::Completion;
use crate::contract::page::Direction;
use crate::contract::project::Role;
use crate::contract::strings::OrderKey;
use crate::contract::task::Task;
use crate::contract::{ProjectId, TaskId, Timestamp, UserId};

/// A task, with what is needed to authorize access to it.
#[derive(Debug, Clone)]
pub struct TaskWithContext {
    /// The task.
    pub task: Task,
    /// Role of the reader in the project; `None` for a non-member.
    pub role: Option<Role>,
    /// Owner of the project.
    pub project_owner: UserId,
    /// True if the project is archived.
    pub project_archived: bool,
    /// True if the project is soft-deleted, and the task with it.
    pub is_project_deleted: bool,
    /// Completion of the project.
    pub completion: Completion,
}

/// Tasks, including soft-deleted ones.
#[async_trait]
pub trait TaskRepository: Send + Sync {
    /// Finds a task by id.
    async fn find(&self, id: TaskId, reader: UserId) -> Result<Option<TaskWithContext>, StoreError>;

    /// Finds a task and locks its project, as every writer of a task does. For a non-member nothing is locked.
    ///
    /// `ConcurrentMove` if the task moved to another project during the wait; the transaction must then be dropped.
    async fn lock(&self, id: TaskId, writer: UserId) -> Result<Option<TaskWithContext>, StoreError>;

    /// Lists the tasks after a position, including soft-deleted ones, nearest first.
    async fn list_positions(
        &self,
        project: ProjectId,
        after: &str,
        direction: Direction,
        limit: u64,
    ) -> Result<Vec<(TaskId, OrderKey)>, StoreError>;

    /// Finds the task next to a position, without soft-deleted ones.
    async fn find_adjacent(
        &self,
        project: ProjectId,
        after: &str,
        direction: Direction,
    ) -> Result<Option<TaskId>, StoreError>;

    /// Adds tasks, of one or several projects.
    async fn add(&self, tasks: &[Task]) -> Result<(), StoreError>;

    /// Sets only the position of a task, and returns the changed task.
    async fn set_position(&self, id: TaskId, position: &str) -> Result<Option<Task>, StoreError>;

    /// Unassigns a user from at most `limit` tasks of a locked project, and returns these tasks.
    async fn unassign(
        &self,
        project: ProjectId,
        user: UserId,
        now: Timestamp,
        limit: u64,
    ) -> Result<Portion<Task>, StoreError>;

    /// Updates the mutable fields of a task.
    async fn update(&self, task: &Task) -> Result<(), StoreError>;
}
