//! Permanent removal of what has expired, in small batches.

use async_trait::async_trait;
use strum::VariantArray;

use super::error::StoreError;
use crate::contract::task::Task;
use crate::contract::task::comment::Comment;
use crate::contract::{ProjectId, Timestamp, UserId};

/// Rows that are pruned by age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, VariantArray)]
pub enum Prunable {
    /// Idempotency keys, by the time of their claim.
    IdempotencyKeys,
    /// Refresh tokens, by their expiry.
    RefreshTokens,
    /// Revoked sessions with their refresh tokens, by the time of the revocation.
    EndedSessions,
    /// Sessions with their refresh tokens, by their expiry.
    ExpiredSessions,
    /// Tokens sent by e-mail, by their expiry.
    EmailTokens,
    /// Revoked API tokens, by the time of the revocation.
    RevokedApiTokens,
    /// API tokens, by their expiry.
    ExpiredApiTokens,
    /// Replaced webhook secrets, by the end of their validity.
    PreviousSecrets,
    /// Deliveries that are not pending, by the time of their creation.
    Deliveries,
    /// Completed jobs, by the time of their completion.
    CompletedJobs,
    /// Events, by the time at which they happened.
    Events,
    /// Entries of the audit log, by the time at which they happened first.
    AuditEntries,
    /// Usage counters, by the end of their window.
    Counters,
    /// Shared buckets of rate limits, by the time at which they are full.
    RateLimits,
    /// Networks of logins, by the time of the last login.
    KnownAddresses,
    /// Tickets for event streams, by their expiry.
    StreamTickets,
    /// Long texts, by the time of their last use.
    LongTexts,
}

/// Content that was anonymized, each before and after the change.
#[derive(Debug, Clone, Default)]
pub struct AnonymizedContent {
    /// Tasks that the user created or was assigned to.
    pub tasks: Vec<(Task, Task)>,
    /// Comments of the user.
    pub comments: Vec<(Comment, Comment)>,
    /// True if content remains to be anonymized.
    pub has_more: bool,
}

/// Pruning by age, and purging of deleted resources.
#[async_trait]
pub trait MaintenanceRepository: Send + Sync {
    /// Prunes at most `limit` rows older than `before`, and returns their number.
    async fn prune(&self, what: Prunable, before: Timestamp, limit: u64) -> Result<u64, StoreError>;

    /// Purges at most `limit` tasks deleted before a time, or comments on such tasks, and returns their number.
    ///
    /// One call purges tasks of one project, which it locks. Returns 0 when no such task is left.
    async fn purge_tasks(&self, before: Timestamp, limit: u64) -> Result<u64, StoreError>;

    /// Purges at most `limit` tasks of a project, or comments on them, and returns their number.
    async fn purge_project_tasks(&self, project: ProjectId, limit: u64) -> Result<u64, StoreError>;

    /// Purges at most `limit` events and long texts of a project, and returns their number.
    async fn purge_project_events(&self, project: ProjectId, limit: u64) -> Result<u64, StoreError>;

    /// Purges at most `limit` entries of the audit log of an account, and the account from as many in the logs of others.
    /// Returns the number of changes.
    async fn purge_audit_log(&self, user: UserId, limit: u64) -> Result<u64, StoreError>;

    /// Purges a project with everything in it.
    async fn purge_project(&self, project: ProjectId) -> Result<(), StoreError>;

    /// Purges an account with everything that belongs only to it, and removes it as the actor of other audit logs.
    async fn purge_user(&self, user: UserId) -> Result<(), StoreError>;

    /// Lists at most `limit` projects that were deleted before a time.
    async fn list_expired_projects(&self, before: Timestamp, limit: u64) -> Result<Vec<ProjectId>, StoreError>;

    /// Lists at most `limit` accounts that were deleted before a time.
    async fn list_expired_users(&self, before: Timestamp, limit: u64) -> Result<Vec<UserId>, StoreError>;

    /// Lists the projects that a user owns.
    async fn list_owned_projects(&self, user: UserId) -> Result<Vec<ProjectId>, StoreError>;

    /// Lists other owners' projects whose members, tasks or comments name a user.
    async fn list_foreign_projects(&self, user: UserId) -> Result<Vec<ProjectId>, StoreError>;

    /// Removes a user from at most `limit` tasks and comments of another owner's project, whose content is kept.
    ///
    /// Locks the project. The membership is removed with the last portion.
    async fn anonymize_member(
        &self,
        user: UserId,
        project: ProjectId,
        now: Timestamp,
        limit: u64,
    ) -> Result<AnonymizedContent, StoreError>;

    /// Removes a user from the `limit` events after a sequence number.
    ///
    /// Events about the user as a member, and about invitations to the user's address, are removed; in other events the
    /// user is replaced by null. Returns the last sequence number covered, `None` at the end of the feed.
    async fn anonymize_events(&self, user: UserId, after: i64, limit: i64) -> Result<Option<i64>, StoreError>;
}
