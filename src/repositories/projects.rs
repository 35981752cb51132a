//! Projects.

use async_trait::async_trait;

use super::error::StoreError;
use crate::contract::page::{Page, Paging, Sort};
use crate::contract::project::{Project, ProjectSort, Role};
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
}

/// Projects, including soft-deleted ones, each with the role of the reader.
#[async_trait]
pub trait ProjectRepository: Send + Sync {
    /// Finds a project by id.
    async fn find(&self, id: ProjectId, reader: UserId) -> Result<Option<Project>, StoreError>;

    /// Finds and locks a project.
    async fn lock(&self, id: ProjectId, reader: UserId) -> Result<Option<LockedProject>, StoreError>;

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

    /// Adds to the task counts, and replaces the greatest order key.
    async fn adjust_task_counts(
        &self,
        id: ProjectId,
        total: i64,
        done: i64,
        last_position: Option<&str>,
    ) -> Result<(), StoreError>;

    /// Recalculates the completion percentage from the task counts.
    async fn recalculate_completion(&self, id: ProjectId) -> Result<(), StoreError>;

    /// Finds the role of a user in a project.
    async fn find_role(&self, id: ProjectId, user: UserId) -> Result<Option<Role>, StoreError>;
}
