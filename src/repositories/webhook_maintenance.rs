//! Permanent removal of webhooks, and recovery of stalled ones.

use async_trait::async_trait;

use super::error::StoreError;
use super::webhooks::WebhookRecord;
use crate::contract::{ProjectId, Timestamp, UserId, WebhookId};

/// The stalled webhooks in one batch of webhooks.
#[derive(Debug, Clone, Default)]
pub struct StalledWebhooks {
    /// Ids of the stalled webhooks, each with whether it is degraded.
    pub webhooks: Vec<(WebhookId, bool)>,
    /// Start of the next batch; `None` if this was the last one.
    pub next: Option<WebhookId>,
}

/// Purging and recovery of webhooks, including removed ones.
#[async_trait]
pub trait WebhookMaintenanceRepository: Send + Sync {
    /// Lists at most `limit` webhooks that were not removed, of a user or of all, the newest first.
    async fn list_all(
        &self,
        owner: Option<UserId>,
        enabled: Option<bool>,
        limit: u64,
    ) -> Result<Vec<WebhookRecord>, StoreError>;

    /// Lists the webhooks of a user.
    async fn list_user_webhooks(&self, user: UserId) -> Result<Vec<WebhookId>, StoreError>;

    /// Lists the webhooks for a project.
    async fn list_project_webhooks(&self, project: ProjectId) -> Result<Vec<WebhookId>, StoreError>;

    /// Purges at most `limit` deliveries of a webhook, and returns their number.
    async fn purge_webhook_deliveries(&self, webhook: WebhookId, limit: u64) -> Result<u64, StoreError>;

    /// Purges a removed webhook.
    async fn purge_webhook(&self, id: WebhookId) -> Result<(), StoreError>;

    /// Searches the next `limit` webhooks for stalled ones.
    ///
    /// A webhook is stalled if it has a backlog, or had a due delivery or was removed before a time.
    async fn list_stalled_webhooks(
        &self,
        after: Option<WebhookId>,
        before: Timestamp,
        limit: u64,
    ) -> Result<StalledWebhooks, StoreError>;
}
