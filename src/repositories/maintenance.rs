//! Removing for good. Everything here works in small portions, so that no transaction is long.

use async_trait::async_trait;

use super::StoreError;
use crate::contract::task::Task;
use crate::contract::task::comment::Comment;
use crate::contract::{ProjectId, Timestamp, UserId, WebhookId};

/// What is thrown away when it has served its purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prunable {
    /// Idempotency keys that were claimed before a time.
    IdempotencyKeys,
    /// Refresh tokens that expired before a time.
    RefreshTokens,
    /// Sessions that were ended before a time, with their refresh tokens.
    EndedSessions,
    /// Sessions that expired before a time, with their refresh tokens.
    ExpiredSessions,
    /// Tokens that were sent by mail and expired before a time.
    MailTokens,
    /// API tokens that were revoked before a time.
    RevokedApiTokens,
    /// API tokens that expired before a time.
    ExpiredApiTokens,
    /// Secrets of webhooks that were replaced, and good until a time.
    FormerSecrets,
    /// Deliveries that were made before a time and are not pending.
    Deliveries,
    /// Jobs that were done before a time.
    DoneJobs,
    /// Events that happened before a time.
    Events,
}

impl Prunable {
    /// Everything.
    pub const ALL: [Self; 11] = [
        Self::IdempotencyKeys,
        Self::RefreshTokens,
        Self::EndedSessions,
        Self::ExpiredSessions,
        Self::MailTokens,
        Self::RevokedApiTokens,
        Self::ExpiredApiTokens,
        Self::FormerSecrets,
        Self::Deliveries,
        Self::DoneJobs,
        Self::Events,
    ];
}

/// What changes when a user is taken out of a project: each as it was and as it is.
#[derive(Debug, Clone, Default)]
pub struct AnonymizedContent {
    /// The tasks that the user made or was assigned to.
    pub tasks: Vec<(Task, Task)>,
    /// The comments that the user wrote.
    pub comments: Vec<(Comment, Comment)>,
}

/// Some webhooks, and which of them wait in vain.
#[derive(Debug, Clone, Default)]
pub struct StalledWebhooks {
    /// Those with something due that nobody has done, and whether they ail.
    pub webhooks: Vec<(WebhookId, bool)>,
    /// After which to go on; `None` when there are no more.
    pub next: Option<WebhookId>,
}

/// Removing for good.
#[async_trait]
pub trait MaintenanceRepository: Send + Sync {
    /// Throws away at most `limit` pieces from before a time, and says how many.
    async fn prune(&self, what: Prunable, before: Timestamp, limit: u64) -> Result<u64, StoreError>;

    /// Removes at most `limit` tasks that were deleted before a time, and says how many.
    async fn purge_tasks(&self, before: Timestamp, limit: u64) -> Result<u64, StoreError>;

    /// The projects that were deleted before a time, some of them.
    async fn list_expired_projects(&self, before: Timestamp, limit: u64) -> Result<Vec<ProjectId>, StoreError>;

    /// Removes at most `limit` tasks of a project, and says how many.
    async fn purge_project_tasks(&self, project: ProjectId, limit: u64) -> Result<u64, StoreError>;

    /// The webhooks of a user, those that were removed too.
    async fn list_user_webhooks(&self, user: UserId) -> Result<Vec<WebhookId>, StoreError>;

    /// The webhooks for a project, those that were removed too.
    async fn list_project_webhooks(&self, project: ProjectId) -> Result<Vec<WebhookId>, StoreError>;

    /// Removes at most `limit` deliveries of a webhook, and says how many.
    async fn purge_webhook_deliveries(&self, webhook: WebhookId, limit: u64) -> Result<u64, StoreError>;

    /// Removes what is left of a webhook that was removed.
    async fn purge_webhook(&self, id: WebhookId) -> Result<(), StoreError>;

    /// Looks through `limit` webhooks for those that had a delivery due before a time, or were removed before it, and
    /// have it still.
    async fn list_stalled_webhooks(
        &self,
        beyond: Option<WebhookId>,
        before: Timestamp,
        limit: u64,
    ) -> Result<StalledWebhooks, StoreError>;

    /// Removes a project, with whatever is in it.
    async fn purge_project(&self, project: ProjectId) -> Result<(), StoreError>;

    /// The accounts that were deleted before a time, some of them.
    async fn list_expired_users(&self, before: Timestamp, limit: u64) -> Result<Vec<UserId>, StoreError>;

    /// The projects that a user owns.
    async fn list_owned_projects(&self, user: UserId) -> Result<Vec<ProjectId>, StoreError>;

    /// The projects of others in which a user is a member, has a task, or made one.
    async fn list_foreign_projects(&self, user: UserId) -> Result<Vec<ProjectId>, StoreError>;

    /// Takes a user out of a project of somebody else: what the user made there stays, made by nobody.
    ///
    /// Nobody else may change the project meanwhile. Says what has changed.
    async fn anonymize_member(
        &self,
        user: UserId,
        project: ProjectId,
        now: Timestamp,
    ) -> Result<AnonymizedContent, StoreError>;

    /// Removes at most `limit` events of a project, and says how many.
    async fn purge_project_events(&self, project: ProjectId, limit: u64) -> Result<u64, StoreError>;

    /// Takes a user out of the events in the `limit` places beyond a place, and gives the last of these places; `None`
    /// at the end of the feed. What was told of the user as a member, or of invitations to the user's address, is
    /// removed; elsewhere nobody is named instead.
    async fn anonymize_events(&self, user: UserId, beyond: i64, limit: i64) -> Result<Option<i64>, StoreError>;

    /// Removes an account, with all that is only its own.
    async fn purge_user(&self, user: UserId) -> Result<(), StoreError>;
}
