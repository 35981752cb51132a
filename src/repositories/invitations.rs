//! Invitations into projects.

use async_trait::async_trait;

use super::StoreError;
use crate::contract::page::{Page, Paging, Sort};
use crate::contract::project::invitation::{Invitation, InvitationSort, InvitationStatus};
use crate::contract::{InvitationId, ProjectId, Timestamp, UserId};

/// Whose invitations to list.
#[derive(Debug, Clone, Copy)]
pub enum InvitationScope<'a> {
    /// All who are invited into this project.
    Project(ProjectId),
    /// Who has this address, which is in lower case; into projects that are not in the trash.
    Email(&'a str),
}

/// Invitations into projects. Whoever makes or answers one locks its project first.
///
/// At a time `now` that is past the end of an invitation it counts as expired, whether or not somebody has noted that.
#[async_trait]
pub trait InvitationRepository: Send + Sync {
    /// The invitation with this id, unless its project is in the trash.
    async fn find(&self, id: InvitationId, now: Timestamp) -> Result<Option<Invitation>, StoreError>;

    /// Invitations, all or those of which this became.
    async fn list(
        &self,
        scope: InvitationScope<'_>,
        status: Option<InvitationStatus>,
        now: Timestamp,
        sort: Sort<InvitationSort>,
        paging: Paging,
    ) -> Result<Page<Invitation>, StoreError>;

    /// How many invitations into a project are pending.
    async fn count_pending(&self, project: ProjectId, now: Timestamp) -> Result<u64, StoreError>;

    /// Adds an invitation; `false` when this address has one into the project that is pending.
    async fn add(&self, invitation: &Invitation) -> Result<bool, StoreError>;

    /// Notes what became of an invitation that is pending; `false` when it is not.
    async fn resolve(&self, id: InvitationId, status: InvitationStatus, now: Timestamp) -> Result<bool, StoreError>;

    /// Revokes the pending invitations that a user sent, into any project, and returns them as they are afterwards, in
    /// the order of their ids.
    async fn revoke_sent(&self, inviter: UserId, now: Timestamp) -> Result<Vec<Invitation>, StoreError>;

    /// Notes that at most `limit` invitations have expired, and says how many.
    async fn expire(&self, now: Timestamp, limit: u64) -> Result<u64, StoreError>;
}
