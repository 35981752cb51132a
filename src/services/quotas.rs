//! Quotas: limits on what one user may store.
//!
//! The counters of a project change under its lock, so the number of tasks is exact. The text of a user is the sum over
//! all own projects: on PostgreSQL, concurrent writes in several of them may exceed its limit by one write each.

use super::error::Error;
use crate::contract::project::Project;
use crate::contract::{TaskId, UserId};
use crate::repositories::{OwnedProjects, Repositories};

/// Quotas; 0 for no limit.
#[derive(Debug, Clone, Copy)]
pub struct Quotas {
    /// Maximum number of projects that a user owns, and of further ones in the trash.
    pub projects_per_user: u64,
    /// Maximum number of tasks in a project, without the trash.
    pub tasks_per_project: u64,
    /// Maximum number of comments on a task.
    pub comments_per_task: u64,
    /// Maximum number of bytes of text in the projects that a user owns, including the trash.
    pub stored_bytes_per_user: u64,
}

impl Quotas {
    /// Refuses a new project of the caller.
    pub(crate) async fn require_new_project(
        &self,
        repositories: &dyn Repositories,
        owner: UserId,
        bytes: i64,
    ) -> Result<(), Error> {
        let projects = repositories.projects().count_owned(owner).await?;
        self.check_active(projects, "You already have")?;
        // Each write adds up the text of all projects, so the trash is limited too.
        let max = self.projects_per_user;
        reject(is_reached(max.saturating_mul(2), projects.total), || {
            format!(
                "Your projects and your trash together hold {} projects, which is the maximum. Projects leave the trash \
                 some time after their deletion.",
                max.saturating_mul(2)
            )
        })?;
        self.check_text(projects.bytes, bytes)
    }

    /// Refuses to restore a project of the caller.
    pub(crate) async fn require_restored_project(
        &self,
        repositories: &dyn Repositories,
        owner: UserId,
    ) -> Result<(), Error> {
        self.check_active(repositories.projects().count_owned(owner).await?, "You already have")
    }

    /// Refuses the transfer of a project, which counts for its new owner.
    pub(crate) async fn require_transferred_project(
        &self,
        repositories: &dyn Repositories,
        new_owner: UserId,
        project: &Project,
    ) -> Result<(), Error> {
        let owned = repositories.projects().count_owned(new_owner).await?;
        self.check_active(owned, "The new owner already has")?;
        self.check_text(owned.bytes, repositories.projects().stored_bytes(project.id).await?)
    }

    /// Refuses tasks beyond the maximum of a locked project, whose number of tasks was `before`.
    pub(crate) fn require_tasks(&self, before: i64, added: i64) -> Result<(), Error> {
        let max = self.tasks_per_project;
        let after = u64::try_from(before + added).unwrap_or_default();
        reject(added > 0 && max > 0 && after > max, || {
            format!("The project can have at most {max} tasks. Delete one first.")
        })
    }

    /// Refuses another comment on a task of a locked project.
    pub(crate) async fn require_comment(&self, repositories: &dyn Repositories, task: TaskId) -> Result<(), Error> {
        let max = self.comments_per_task;
        let is_full = max > 0 && repositories.comments().count(task, max).await? >= max;
        reject(is_full, || format!("The task already has {max} comments, which is the maximum. Delete one first."))
    }

    /// Refuses more text in the projects of an owner.
    pub(crate) async fn require_text(
        &self,
        repositories: &dyn Repositories,
        owner: UserId,
        bytes: i64,
    ) -> Result<(), Error> {
        if bytes <= 0 || self.stored_bytes_per_user == 0 {
            return Ok(());
        }
        self.check_text(repositories.projects().count_owned(owner).await?.bytes, bytes)
    }

    fn check_active(&self, owned: OwnedProjects, who: &str) -> Result<(), Error> {
        let max = self.projects_per_user;
        reject(is_reached(max, owned.active), || {
            let projects = if max == 1 { "project" } else { "projects" };
            format!("{who} {max} {projects}, which is the maximum. Delete one first.")
        })
    }

    /// Refuses more text in the projects of an owner, which contained `before` bytes.
    pub(crate) fn check_text(&self, before: i64, added: i64) -> Result<(), Error> {
        let max = self.stored_bytes_per_user;
        let after = u64::try_from(before.saturating_add(added)).unwrap_or_default();
        reject(added > 0 && max > 0 && after > max, || {
            format!(
                "All text in the projects of this owner can have at most {max} bytes. Shorten or delete text first; the \
                 trash counts until it is emptied."
            )
        })
    }
}

const fn is_reached(max: u64, count: u64) -> bool {
    max > 0 && count >= max
}

fn reject(is_exceeded: bool, message: impl FnOnce() -> String) -> Result<(), Error> {
    if is_exceeded { Err(Error::LimitReached(message())) } else { Ok(()) }
}
