//! Projects.

use async_trait::async_trait;

use super::error::StoreError;
use super::portion::Portion;
use crate::contract::page::{Page, Paging, Sort};
use crate::contract::project::{Project, ProjectSort, Role, TaskCounts};
use crate::contract::{ProjectId, Timestamp, UserId};

/// Conditions on projects, all of which must hold.
#[derive(Debug, Clone, Default)]
pub struct ProjectFilter {
    /// Archived or active.
    pub archived: Option<bool>,
    /// Role of the reader.
    pub role: Option<Role>,
    /// Search terms, all of which occur in the name or the description.
    pub terms: Vec<String>,
    /// Soft-deleted after this time; `None` for projects that are not deleted.
    pub deleted_since: Option<Timestamp>,
}

/// A project that is locked, with its tasks, until the end of the transaction.
#[derive(Debug, Clone)]
pub struct LockedProject {
    /// The project, with the role of the reader.
    pub project: Project,
    /// The greatest order key assigned in it; empty if the project has no task.
    pub last_position: String,
    /// Bytes of text stored in all projects of the owner.
    pub owner_bytes: i64,
}

/// Completion of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Completion {
    /// Counts of the tasks.
    pub task_counts: TaskCounts,
    /// Percentage, which may lag behind the counts.
    pub percentage: i64,
}

impl Completion {
    /// Returns whether the percentage is wrong after a change of the counts.
    #[must_use]
    pub fn is_outdated_by(&self, delta: CounterDelta) -> bool {
        let TaskCounts { total, done } = self.task_counts;
        let after = TaskCounts { total: total + delta.total, done: done + delta.done };
        after.completion_percentage() != self.percentage
    }
}

impl From<&Project> for Completion {
    fn from(project: &Project) -> Self {
        Self { task_counts: project.task_counts, percentage: project.completion_percentage }
    }
}

/// Change of the counters of a project.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CounterDelta {
    /// Number of tasks that are not deleted.
    pub total: i64,
    /// Number of those that are done.
    pub done: i64,
    /// Bytes of stored text, including the trash.
    pub bytes: i64,
}

/// Projects that a user owns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OwnedProjects {
    /// Number of projects that are not deleted.
    pub active: u64,
    /// Number of all projects, including soft-deleted ones.
    pub total: u64,
    /// Bytes of text stored in all of them.
    pub bytes: i64,
}

/// A project before and after a change.
#[derive(Debug, Clone)]
pub struct ChangedProject {
    /// The project before the change.
    pub before: Project,
    /// The project after the change.
    pub after: Project,
}

/// Projects, including soft-deleted ones, each with the role of the reader.
#[async_trait]
pub trait ProjectRepository: Send + Sync {
    /// Finds a project by id.
    async fn find(&self, id: ProjectId, reader: UserId) -> Result<Option<Project>, StoreError>;

    /// Finds and locks a project.
    async fn lock(&self, id: ProjectId, reader: UserId) -> Result<Option<LockedProject>, StoreError>;

    /// Finds and locks a project, and the membership of a writer if there is one, in as few round trips as possible.
    async fn lock_with_membership(&self, id: ProjectId, writer: UserId) -> Result<Option<LockedProject>, StoreError>;

    /// Lists the projects of which the reader is a member.
    async fn list(
        &self,
        reader: UserId,
        filter: &ProjectFilter,
        sort: Sort<ProjectSort>,
        paging: Paging,
    ) -> Result<Page<Project>, StoreError>;

    /// Adds a project, with its owner as a member.
    async fn add(&self, project: &Project) -> Result<(), StoreError>;

    /// Updates the mutable fields of a project, except its task counts.
    async fn update(&self, project: &Project) -> Result<(), StoreError>;

    /// Adds to the counters, and replaces the greatest order key.
    async fn adjust_counters(
        &self,
        id: ProjectId,
        delta: CounterDelta,
        last_position: Option<&str>,
    ) -> Result<(), StoreError>;

    /// Counts the projects of an owner and the text in them.
    async fn count_owned(&self, owner: UserId) -> Result<OwnedProjects, StoreError>;

    /// Returns the bytes of text stored in a project.
    async fn stored_bytes(&self, id: ProjectId) -> Result<i64, StoreError>;

    /// Returns the number of tasks of a project that are not deleted.
    async fn count_tasks(&self, id: ProjectId) -> Result<i64, StoreError>;

    /// Soft-deletes at most `limit` active projects of an owner, at the time at which the account was deleted.
    ///
    /// The caller has locked the account. The projects are without a role.
    async fn delete_with_owner(
        &self,
        owner: UserId,
        deleted_at: Timestamp,
        now: Timestamp,
        limit: u64,
    ) -> Result<Portion<ChangedProject>, StoreError>;

    /// Restores at most `limit` projects that were soft-deleted with their owner, in the same way.
    async fn restore_with_owner(
        &self,
        owner: UserId,
        now: Timestamp,
        limit: u64,
    ) -> Result<Portion<ChangedProject>, StoreError>;

    /// Recalculates the completion percentage from the task counts.
    async fn recalculate_completion(&self, id: ProjectId) -> Result<(), StoreError>;

    /// Finds the role of a user in a project.
    async fn find_role(&self, id: ProjectId, user: UserId) -> Result<Option<Role>, StoreError>;
}
