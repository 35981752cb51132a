//! Members of projects.

use async_trait::async_trait;

use super::error::StoreError;
use super::portion::Portion;
use crate::contract::page::{Page, Paging, Sort};
use crate::contract::project::Role;
use crate::contract::project::member::{Member, MemberSort};
use crate::contract::{ProjectId, Timestamp, UserId};

/// Members of projects. A writer locks the project first.
///
/// Members whose account is soft-deleted are neither listed nor found until the account is restored.
#[async_trait]
pub trait MemberRepository: Send + Sync {
    /// Lists the members of a project, optionally only those with a role.
    async fn list(
        &self,
        project: ProjectId,
        role: Option<Role>,
        sort: Sort<MemberSort>,
        paging: Paging,
    ) -> Result<Page<Member>, StoreError>;

    /// Finds a member of a project.
    async fn find(&self, project: ProjectId, user: UserId) -> Result<Option<Member>, StoreError>;

    /// Finds a member, unless the soft-deletion of the account was already published in the project.
    async fn find_published(&self, project: ProjectId, user: UserId) -> Result<Option<Member>, StoreError>;

    /// Hides or shows at most `limit` memberships of a user in other owners' projects, and returns these.
    ///
    /// A membership is hidden when the soft-deletion of the account is published in the project. The caller has locked
    /// the account.
    async fn set_hidden(
        &self,
        user: UserId,
        is_hidden: bool,
        limit: u64,
    ) -> Result<Portion<(ProjectId, Member)>, StoreError>;

    /// Returns whether a lower-case address is that of a member, even a deleted one.
    async fn has_email(&self, project: ProjectId, email: &str) -> Result<bool, StoreError>;

    /// Counts the members of a project, including those whose account is soft-deleted.
    async fn count(&self, project: ProjectId) -> Result<u64, StoreError>;

    /// Adds a member; `false` if the user is one already.
    async fn add(&self, project: ProjectId, user: UserId, role: Role, now: Timestamp) -> Result<bool, StoreError>;

    /// Changes the role of a member.
    async fn set_role(&self, project: ProjectId, user: UserId, role: Role) -> Result<(), StoreError>;

    /// Removes a member.
    async fn remove(&self, project: ProjectId, user: UserId) -> Result<(), StoreError>;
}
