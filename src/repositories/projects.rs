//! Projects.

use async_trait::async_trait;

use super::StoreError;
use crate::contract::page::{Page, Paging, Sort};
use crate::contract::project::{Project, ProjectSort, Role};
use crate::contract::{ProjectId, Timestamp, UserId};

/// Which projects to list; all conditions must hold.
#[derive(Debug, Clone, Default)]
pub struct ProjectFilter {
    /// Archived ones, or those that are not.
    pub archived: Option<bool>,
    /// Those in which the reader has this role.
    pub role: Option<Role>,
    /// Those whose name or description has all of these words.
    pub terms: Vec<String>,
    /// Those that were deleted after this time, instead of those that were not.
    pub deleted_since: Option<Timestamp>,
}

/// A project that nobody else can change until the end of the transaction, and nobody can add a task to.
#[derive(Debug, Clone)]
pub struct LockedProject {
    /// The project, with the role of the one who locked it.
    pub project: Project,
    /// The greatest order key that was given out in it; empty when there was none.
    pub last_position: String,
}

/// Projects.
///
/// Projects in the trash are found too: `deleted_at` tells. `role` is that of the reader, `None` for a stranger.
#[async_trait]
pub trait ProjectRepository: Send + Sync {
    /// The project with this id.
    async fn find(&self, id: ProjectId, reader: UserId) -> Result<Option<Project>, StoreError>;

    /// The project with this id, locked until the end of the transaction.
    async fn lock(&self, id: ProjectId, reader: UserId) -> Result<Option<LockedProject>, StoreError>;

    /// The projects of which the reader is a member.
    async fn list(
        &self,
        reader: UserId,
        filter: &ProjectFilter,
        sort: Sort<ProjectSort>,
        paging: Paging,
    ) -> Result<Page<Project>, StoreError>;

    /// Adds a project, and its owner as a member.
    async fn add(&self, project: &Project) -> Result<(), StoreError>;

    /// Writes what can change about a project, but not its counts.
    async fn update(&self, project: &Project) -> Result<(), StoreError>;

    /// Adds to the counts of tasks, and moves the greatest order key.
    async fn adjust_task_counts(
        &self,
        id: ProjectId,
        total: i64,
        done: i64,
        last_position: Option<&str>,
    ) -> Result<(), StoreError>;

    /// Computes how much of a project is done from its counts.
    async fn recalculate_completion(&self, id: ProjectId) -> Result<(), StoreError>;

    /// The role of a user in a project.
    async fn find_role(&self, id: ProjectId, user: UserId) -> Result<Option<Role>, StoreError>;
}
