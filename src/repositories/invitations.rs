//! Invitations into projects.

use async_trait::async_trait;

use super::error::StoreError;
use crate::contract::page::{Page, Paging, Sort};
use crate::contract::project::invitation::{Invitation, InvitationSort, InvitationStatus};
use crate::contract::{InvitationId, ProjectId, Timestamp, UserId};

/// Scope of a list of invitations.
#[derive(Debug, Clone, Copy)]
pub enum InvitationScope<'a> {
    /// Invitations into a project.
    Project(ProjectId),
    /// Invitations of a lower-case address, into projects that are not soft-deleted.
    Email(&'a str),
}

/// Invitations into projects.
///
/// A writer locks the project first. An invitation counts as expired from its end on, even while its stored status is
/// still pending.
#[async_trait]
pub trait InvitationRepository: Send + Sync {
    /// Finds an invitation by id, unless its project is soft-deleted.
    async fn find(&self, id: InvitationId, now: Timestamp) -> Result<Option<Invitation>, StoreError>;

    /// Lists invitations, optionally only those with a status.
    async fn list(
        &self,
        scope: InvitationScope<'_>,
        status: Option<InvitationStatus>,
        now: Timestamp,
        sort: Sort<InvitationSort>,
        paging: Paging,
    ) -> Result<Page<Invitation>, StoreError>;

    /// Counts the pending invitations into a project.
    async fn count_pending(&self, project: ProjectId, now: Timestamp) -> Result<u64, StoreError>;

    /// Adds an invitation; `false` if the address has a pending one into the project.
    async fn add(&self, invitation: &Invitation) -> Result<bool, StoreError>;

    /// Sets the final status of a pending invitation; `false` if it is not pending.
    async fn resolve(&self, id: InvitationId, status: InvitationStatus, now: Timestamp) -> Result<bool, StoreError>;

    /// Revokes the pending invitations sent by a user, and returns them by id.
    async fn revoke_sent(&self, inviter: UserId, now: Timestamp) -> Result<Vec<Invitation>, StoreError>;

    /// Marks at most `limit` overdue invitations as expired, and returns their number.
    async fn expire(&self, now: Timestamp, limit: u64) -> Result<u64, StoreError>;
}
