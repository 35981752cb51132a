//! The people in projects.

use async_trait::async_trait;

use super::StoreError;
use crate::contract::page::{Page, Paging, Sort};
use crate::contract::project::Role;
use crate::contract::project::member::{Member, MemberSort};
use crate::contract::{ProjectId, Timestamp, UserId};

/// The people in projects. Whoever changes them locks the project first.
///
/// Those whose account is in the trash are neither listed nor found; they are there again when they come back.
#[async_trait]
pub trait MemberRepository: Send + Sync {
    /// The members of a project, all or those who have this role.
    async fn list(
        &self,
        project: ProjectId,
        role: Option<Role>,
        sort: Sort<MemberSort>,
        paging: Paging,
    ) -> Result<Page<Member>, StoreError>;

    /// One member of a project.
    async fn find(&self, project: ProjectId, user: UserId) -> Result<Option<Member>, StoreError>;

    /// The memberships of a user in the projects of others.
    async fn list_non_owner_memberships(&self, user: UserId) -> Result<Vec<(ProjectId, Member)>, StoreError>;

    /// Whether who has this address, which is in lower case, is a member, be it with an account in the trash.
    async fn has_email(&self, project: ProjectId, email: &str) -> Result<bool, StoreError>;

    /// How many members a project has, those with an account in the trash too.
    async fn count(&self, project: ProjectId) -> Result<u64, StoreError>;

    /// Makes a user a member; `false` when the user is one.
    async fn add(&self, project: ProjectId, user: UserId, role: Role, now: Timestamp) -> Result<bool, StoreError>;

    /// Gives a member another role.
    async fn set_role(&self, project: ProjectId, user: UserId, role: Role) -> Result<(), StoreError>;

    /// Takes a member out of a project.
    async fn remove(&self, project: ProjectId, user: UserId) -> Result<(), StoreError>;
}
