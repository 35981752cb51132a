//! Lists of tasks.

use async_trait::async_trait;

use super::error::StoreError;
use super::events::FeedBounds;
use crate::contract::page::{Page, Paging, Sort};
use crate::contract::project::Role;
use crate::contract::strings::Label;
use crate::contract::task::query::TaskSort;
use crate::contract::task::{Task, TaskPriority, TaskStatus};
use crate::contract::{ProjectId, TaskId, Timestamp, UserId};

/// Condition on the assignee of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assignee {
    /// Assigned to this user.
    User(UserId),
    /// Not assigned.
    Unassigned,
}

/// Conditions on tasks, all of which must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// Any of these statuses; every status if empty.
    pub statuses: Vec<TaskStatus>,
    /// Any of these priorities; every priority if empty.
    pub priorities: Vec<TaskPriority>,
    /// Assignee of the task.
    pub assignee: Option<Assignee>,
    /// Labels, all of which the task has.
    pub labels: Vec<Label>,
    /// Due before this time.
    pub due_before: Option<Timestamp>,
    /// Due after this time.
    pub due_after: Option<Timestamp>,
    /// Created after this time.
    pub created_after: Option<Timestamp>,
    /// Updated after this time.
    pub updated_after: Option<Timestamp>,
    /// Search terms, all of which occur in the title or the description.
    pub terms: Vec<String>,
    /// Soft-deleted after this time; `None` for tasks that are not deleted.
    pub deleted_since: Option<Timestamp>,
    /// Excludes archived projects; only for lists of all visible tasks.
    pub not_archived: bool,
}

impl TaskFilter {
    /// Returns whether every task matches that is not deleted.
    #[must_use]
    pub fn is_unfiltered(&self) -> bool {
        *self == Self { not_archived: self.not_archived, ..Self::default() }
    }
}

/// Value of the sort field of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SortValue {
    /// Time in milliseconds, or rank.
    Number(i64),
    /// Text, compared byte by byte.
    Text(String),
}

/// Position of a task in a sorted list; the task itself may have been removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortKey {
    /// Value of the sort field.
    pub value: SortValue,
    /// Id of the task, which breaks ties.
    pub id: TaskId,
}

/// A request for one page by cursor.
#[derive(Debug, Clone)]
pub struct CursorRequest {
    /// Order of the list.
    pub sort: Sort<TaskSort>,
    /// End of the previous page; `None` for the first page.
    pub after: Option<SortKey>,
    /// Maximum number of tasks.
    pub limit: u32,
}

/// A page by cursor.
#[derive(Debug, Clone, Default)]
pub struct CursorPage {
    /// The tasks, in order.
    pub items: Vec<Task>,
    /// End of the page; `None` if it is the last.
    pub next: Option<SortKey>,
}

/// Tasks of a project, with what is needed to authorize the reader.
#[derive(Debug, Clone)]
pub struct ProjectTaskPage<P> {
    /// Role of the reader in the project; `None` for a non-member, whose page is empty.
    pub role: Option<Role>,
    /// True if the assignee of the filter is a member of the project.
    pub assignee_is_valid: bool,
    /// Extent of the event feed before the page was read.
    pub feed: FeedBounds,
    /// The tasks.
    pub page: P,
}

impl<P> ProjectTaskPage<P> {
    /// Replaces the page.
    pub fn with_page<Q>(self, page: Q) -> ProjectTaskPage<Q> {
        let Self { role, assignee_is_valid, feed, .. } = self;
        ProjectTaskPage { role, assignee_is_valid, feed, page }
    }
}

/// Tasks of all projects of the reader.
#[derive(Debug, Clone)]
pub struct VisibleTaskPage<P> {
    /// True if the assignee of the filter is a member of one of the projects.
    pub assignee_is_valid: bool,
    /// The tasks.
    pub page: P,
}

/// Lists of tasks, without those in soft-deleted projects.
#[async_trait]
pub trait TaskListRepository: Send + Sync {
    /// Lists the tasks of a project; `None` if it does not exist or is soft-deleted.
    async fn list_in_project(
        &self,
        project: ProjectId,
        reader: UserId,
        filter: &TaskFilter,
        sort: Sort<TaskSort>,
        paging: Paging,
    ) -> Result<Option<ProjectTaskPage<Page<Task>>>, StoreError>;

    /// Lists the tasks of all projects of which the reader is a member.
    async fn list_visible(
        &self,
        reader: UserId,
        filter: &TaskFilter,
        sort: Sort<TaskSort>,
        paging: Paging,
    ) -> Result<VisibleTaskPage<Page<Task>>, StoreError>;

    /// Lists the tasks of a project by cursor; `None` if there is no such project.
    async fn list_in_project_by_cursor(
        &self,
        project: ProjectId,
        reader: UserId,
        filter: &TaskFilter,
        request: &CursorRequest,
    ) -> Result<Option<ProjectTaskPage<CursorPage>>, StoreError>;

    /// Lists the tasks of all projects of which the reader is a member, by cursor.
    async fn list_visible_by_cursor(
        &self,
        reader: UserId,
        filter: &TaskFilter,
        request: &CursorRequest,
    ) -> Result<VisibleTaskPage<CursorPage>, StoreError>;
}
