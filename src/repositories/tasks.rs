//! Tasks.

use async_trait::async_trait;

use super::StoreError;
use crate::contract::page::{Direction, Page, Paging, Sort};
use crate::contract::project::Role;
use crate::contract::strings::{Label, OrderKey};
use crate::contract::task::query::TaskSort;
use crate::contract::task::{Task, TaskPriority, TaskStatus};
use crate::contract::{ProjectId, TaskId, Timestamp, UserId};

/// Whose tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assignee {
    /// Those of this user.
    User(UserId),
    /// Those without an assignee.
    Unassigned,
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
    pub terms: Vec<String>,
    /// Those that were deleted after this time, instead of those that were not.
    pub deleted_since: Option<Timestamp>,
    /// Those that can be changed: of all that are visible, not those of archived projects.
    pub not_archived: bool,
}

impl TaskFilter {
    /// Returns whether every task matches that is not in the trash, so that a project's own count is the total.
    #[must_use]
    pub const fn is_unfiltered(&self) -> bool {
        self.statuses.is_empty()
            && self.priorities.is_empty()
            && self.assignee.is_none()
            && self.labels.is_empty()
            && self.due_before.is_none()
            && self.due_after.is_none()
            && self.created_after.is_none()
            && self.updated_after.is_none()
            && self.terms.is_empty()
            && self.deleted_since.is_none()
    }
}

/// A task, with what is needed to decide who may do what with it.
#[derive(Debug, Clone)]
pub struct TaskWithContext {
    /// The task.
    pub task: Task,
    /// The role of the reader in its project, `None` for a stranger.
    pub role: Option<Role>,
    /// The owner of its project.
    pub project_owner: UserId,
    /// Whether the project can only be read.
    pub project_archived: bool,
    /// Whether the project is in the trash, and the task with it.
    pub project_deleted: bool,
}

/// What a task is sorted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SortValue {
    /// A time in milliseconds, or a rank.
    Number(i64),
    /// A text, compared byte by byte.
    Text(String),
}

/// Where a task stands in a list; the task itself need not be there any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortKey {
    /// What it is sorted by.
    pub value: SortValue,
    /// What breaks ties.
    pub id: TaskId,
}

/// Which stretch of a list.
#[derive(Debug, Clone)]
pub struct CursorRequest {
    /// The order of the list.
    pub sort: Sort<TaskSort>,
    /// Where the stretch before ended; `None` for the first.
    pub after: Option<SortKey>,
    /// How many tasks at most.
    pub limit: u32,
}

/// A stretch of a list.
#[derive(Debug, Clone)]
pub struct CursorPage {
    /// The tasks, in order.
    pub items: Vec<Task>,
    /// Where the stretch ends, if there are tasks beyond.
    pub next: Option<SortKey>,
}

/// The tasks of a project, with what is needed to decide who may see them.
#[derive(Debug, Clone)]
pub struct ProjectTaskPage<P> {
    /// The role of the reader in the project. For a stranger (`None`) the page is empty.
    pub role: Option<Role>,
    /// Whether the assignee that is filtered by is a member of the project.
    pub assignee_is_valid: bool,
    /// The tasks.
    pub page: P,
}

/// The tasks of all projects of the reader.
#[derive(Debug, Clone)]
pub struct VisibleTaskPage<P> {
    /// Whether the assignee that is filtered by is a member of one of the projects.
    pub assignee_is_valid: bool,
    /// The tasks.
    pub page: P,
}

/// Tasks.
///
/// Tasks in the trash are found too: `deleted_at` tells. Lists leave out whatever is in a project in the trash.
#[async_trait]
pub trait TaskRepository: Send + Sync {
    /// The task with this id.
    async fn find(&self, id: TaskId, reader: UserId) -> Result<Option<TaskWithContext>, StoreError>;

    /// The task with this id, its project locked until the end of the transaction, and so all that is in it. Whoever
    /// changes a task locks its project first.
    ///
    /// `ConcurrentMove` when the task was moved to another project while this waited: the transaction then holds the lock of
    /// a project that it has no business in, and should be dropped.
    async fn lock(&self, id: TaskId, reader: UserId) -> Result<Option<TaskWithContext>, StoreError>;

    /// The tasks of one project; `None` when there is no such project, or it is in the trash.
    async fn list_in_project(
        &self,
        project: ProjectId,
        reader: UserId,
        filter: &TaskFilter,
        sort: Sort<TaskSort>,
        paging: Paging,
    ) -> Result<Option<ProjectTaskPage<Page<Task>>>, StoreError>;

    /// The tasks of all projects of which the reader is a member.
    async fn list_visible(
        &self,
        reader: UserId,
        filter: &TaskFilter,
        sort: Sort<TaskSort>,
        paging: Paging,
    ) -> Result<VisibleTaskPage<Page<Task>>, StoreError>;

    /// A stretch of the tasks of one project; `None` when there is no such project, or it is in the trash.
    async fn list_in_project_by_cursor(
        &self,
        project: ProjectId,
        reader: UserId,
        filter: &TaskFilter,
        walk: &CursorRequest,
    ) -> Result<Option<ProjectTaskPage<CursorPage>>, StoreError>;

    /// A stretch of the tasks of all projects of which the reader is a member.
    async fn list_visible_by_cursor(
        &self,
        reader: UserId,
        filter: &TaskFilter,
        walk: &CursorRequest,
    ) -> Result<VisibleTaskPage<CursorPage>, StoreError>;

    /// The tasks of a project beyond a position, those in the trash too, with the nearest first.
    async fn list_positions(
        &self,
        project: ProjectId,
        beyond: &str,
        direction: Direction,
        limit: u64,
    ) -> Result<Vec<(TaskId, OrderKey)>, StoreError>;

    /// The task next to a position, of those that are not in the trash.
    async fn find_adjacent(
        &self,
        project: ProjectId,
        beyond: &str,
        direction: Direction,
    ) -> Result<Option<TaskId>, StoreError>;

    /// Adds tasks, all of the same or of different projects.
    async fn add(&self, tasks: &[Task]) -> Result<(), StoreError>;

    /// Gives a task another position in its project, and changes nothing else about it; gives the task as it is then.
    async fn set_position(&self, id: TaskId, position: &str) -> Result<Option<Task>, StoreError>;

    /// Takes a user off all tasks of a project that the user is assigned to, those in the trash too, and gives them as
    /// they are then.
    async fn unassign(&self, project: ProjectId, user: UserId, now: Timestamp) -> Result<Vec<Task>, StoreError>;

    /// Writes what can change about a task.
    async fn update(&self, task: &Task) -> Result<(), StoreError>;
}
