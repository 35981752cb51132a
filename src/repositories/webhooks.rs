//! Webhooks.

use async_trait::async_trait;

use super::StoreError;
use crate::contract::list::{Page, Paging, Sort};
use crate::contract::webhook::{Webhook, WebhookSort};
use crate::contract::{ProjectId, Timestamp, UserId, WebhookId};

/// A webhook, with what only its owner and who delivers know.
#[derive(Clone)]
pub struct WebhookRecord {
    /// The webhook.
    pub webhook: Webhook,
    /// Who made it.
    pub owner: UserId,
    /// Since when every attempt has failed; `None` when the last one did not, or there was none.
    pub failing_since: Option<Timestamp>,
    /// The secret, encrypted.
    pub secret: Vec<u8>,
    /// The secret before it, encrypted, and until when it is good.
    pub previous_secret: Option<(Vec<u8>, Timestamp)>,
}

/// Which webhooks of a user; all conditions must hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct WebhookFilter {
    /// Those that are enabled, or those that are not.
    pub enabled: Option<bool>,
    /// Those of this one project.
    pub project: Option<ProjectId>,
}

/// Webhooks.
///
/// Locks are taken in this order: the job that delivers, the webhook, its deliveries. Who promises a delivery only
/// keeps the webhook from being removed, and comes to the job after that: whoever changes the webhook does not wait for
/// that, nor the other way round.
#[async_trait]
pub trait WebhookRepository: Send + Sync {
    /// The webhook with this id.
    async fn find(&self, id: WebhookId) -> Result<Option<WebhookRecord>, StoreError>;

    /// The webhook with this id, which nobody else can change until the end of the transaction.
    async fn lock(&self, id: WebhookId) -> Result<Option<WebhookRecord>, StoreError>;

    /// The webhook with this id, which nobody else can so much as refer to until the end of the transaction.
    async fn lock_for_removal(&self, id: WebhookId) -> Result<Option<WebhookRecord>, StoreError>;

    /// The webhook with this id, which nobody can remove until the end of the transaction.
    async fn hold(&self, id: WebhookId) -> Result<Option<WebhookRecord>, StoreError>;

    /// The webhooks of a user.
    async fn list(
        &self,
        owner: UserId,
        filter: &WebhookFilter,
        sort: Sort<WebhookSort>,
        paging: Paging,
    ) -> Result<Page<Webhook>, StoreError>;

    /// How many webhooks a user has.
    async fn count(&self, owner: UserId) -> Result<u64, StoreError>;

    /// Adds a webhook.
    async fn add(&self, record: &WebhookRecord) -> Result<(), StoreError>;

    /// Writes what can change about a webhook, but not its secrets.
    async fn update(&self, webhook: &Webhook, failing_since: Option<Timestamp>) -> Result<(), StoreError>;

    /// Replaces the secret, and keeps the one before it for a while, or not at all.
    async fn replace_secret(
        &self,
        id: WebhookId,
        secret: &[u8],
        previous: Option<(&[u8], Timestamp)>,
    ) -> Result<(), StoreError>;

    /// Removes a webhook for good, with its deliveries.
    async fn remove(&self, id: WebhookId) -> Result<(), StoreError>;
}
