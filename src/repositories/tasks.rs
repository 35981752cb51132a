//! Tasks.

use async_trait::async_trait;

use super::StoreError;
use crate::contract::list::{Page, Paging, Sort};
use crate::contract::project::Role;
use crate::contract::task::{Task, TaskPriority, TaskSort, TaskStatus};
use crate::contract::text::Label;
use crate::contract::{ProjectId, TaskId, Timestamp, UserId};

/// Whose tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assignee {
    /// Those of this user.
    User(UserId),
    /// Those without an assignee.
    Nobody,
}

/// Which tasks to list; all conditions must hold.
#[derive(Debug, Clone, Default)]
pub struct TaskFilter {
    /// Those with one of these statuses; all when empty.
    pub statuses: Vec<TaskStatus>,
    /// Those with one of these priorities; all when empty.
    pub priorities: Vec<TaskPriority>,
    /// Those of this assignee.
    pub assignee: Option<Assignee>,
    /// Those that have all of these labels.
    pub labels: Vec<Label>,
    /// Those that are due before this time.
    pub due_before: Option<Timestamp>,
    /// Those that are due after this time.
    pub due_after: Option<Timestamp>,
    /// Those that were made after this time.
    pub created_after: Option<Timestamp>,
    /// Those that were changed after this time.
    pub updated_after: Option<Timestamp>,
    /// Those whose title or description has all of these words.
    pub words: Vec<String>,
    /// Those that were deleted after this time, instead of those that were not.
    pub deleted_since: Option<Timestamp>,
}

/// A task, with what is needed to decide who may do what with it.
#[derive(Debug, Clone)]
pub struct TaskInProject {
    /// The task.
    pub task: Task,
    /// The role of the reader in its project, `None` for a stranger.
    pub role: Option<Role>,
    /// Whether the project can only be read.
    pub project_archived: bool,
    /// Whether the project is in the trash, and the task with it.
    pub project_deleted: bool,
}

/// The tasks of a project, with what is needed to decide who may see them.
#[derive(Debug, Clone)]
pub struct ProjectTasks {
    /// The role of the reader in the project. For a stranger (`None`) the page is empty.
    pub role: Option<Role>,
    /// Whether the assignee that is filtered by is a member of the project.
    pub assignee_known: bool,
    /// The tasks.
    pub page: Page<Task>,
}

/// The tasks of all projects of the reader.
#[derive(Debug, Clone)]
pub struct VisibleTasks {
    /// Whether the assignee that is filtered by is a member of one of the projects.
    pub assignee_known: bool,
    /// The tasks.
    pub page: Page<Task>,
}

/// Tasks.
///
/// Tasks in the trash are found too: `deleted_at` tells. Lists leave out whatever is in a project in the trash.
#[async_trait]
pub trait TaskRepository: Send + Sync {
    /// The task with this id.
    async fn find(&self, id: TaskId, reader: UserId) -> Result<Option<TaskInProject>, StoreError>;

    /// The task with this id, its project locked until the end of the transaction.
    async fn lock(&self, id: TaskId, reader: UserId) -> Result<Option<TaskInProject>, StoreError>;

    /// The tasks of one project; `None` when there is no such project, or it is in the trash.
    async fn list_in_project(
        &self,
        project: ProjectId,
        reader: UserId,
        filter: &TaskFilter,
        sort: Sort<TaskSort>,
        paging: Paging,
    ) -> Result<Option<ProjectTasks>, StoreError>;

    /// The tasks of all projects of which the reader is a member.
    async fn list_visible(
        &self,
        reader: UserId,
        filter: &TaskFilter,
        sort: Sort<TaskSort>,
        paging: Paging,
    ) -> Result<VisibleTasks, StoreError>;

    /// Adds a task.
    async fn add(&self, task: &Task) -> Result<(), StoreError>;

    /// Writes what can change about a task.
    async fn update(&self, task: &Task) -> Result<(), StoreError>;
}
