//! Webhooks.

use async_trait::async_trait;

use super::error::StoreError;
use crate::contract::page::{Page, Paging, Sort};
use crate::contract::webhook::{Webhook, WebhookSort};
use crate::contract::{ApiTokenId, ProjectId, Timestamp, UserId, WebhookId};

/// A webhook, with what the API does not show.
#[derive(Clone)]
pub struct WebhookRecord {
    /// The webhook.
    pub webhook: Webhook,
    /// Owner of the webhook.
    pub owner: UserId,
    /// API token that created or enabled the webhook, or changed its URL, last.
    pub api_token: Option<ApiTokenId>,
    /// Health of the endpoint.
    pub health: EndpointHealth,
    /// Encrypted secret.
    pub secret: Vec<u8>,
}

/// Health of a webhook's endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EndpointHealth {
    /// Start of the current series of failed attempts, not counting tests.
    pub failing_since: Option<Timestamp>,
    /// True if the last attempts, including tests, failed or were slow.
    pub is_degraded: bool,
    /// Deliveries created up to this time are being cancelled.
    pub cancel_through: Option<Timestamp>,
}

impl EndpointHealth {
    /// Resets the failure counters. Pending cancellations are kept.
    #[must_use]
    pub fn reset(self) -> Self {
        Self { cancel_through: self.cancel_through, ..Self::default() }
    }
}

/// A replaced secret.
#[derive(Clone)]
pub struct PreviousSecret {
    /// Encrypted secret.
    pub secret: Vec<u8>,
    /// Time until which messages are also signed with it.
    pub until: Timestamp,
}

/// Conditions on the webhooks of a user, all of which must hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct WebhookFilter {
    /// Enabled or disabled.
    pub enabled: Option<bool>,
    /// Only for this project.
    pub project: Option<ProjectId>,
}

/// Webhooks.
///
/// Lock order: the delivery job, the webhook, its deliveries. Creating a delivery takes only the shared lock of the
/// webhook before the job, which does not conflict with a writer of the webhook.
#[async_trait]
pub trait WebhookRepository: Send + Sync {
    /// Finds a webhook by id.
    async fn find(&self, id: WebhookId) -> Result<Option<WebhookRecord>, StoreError>;

    /// Finds and locks a webhook.
    async fn lock(&self, id: WebhookId) -> Result<Option<WebhookRecord>, StoreError>;

    /// Finds a webhook, and keeps its row from being purged until the end of the transaction.
    async fn lock_shared(&self, id: WebhookId) -> Result<Option<WebhookRecord>, StoreError>;

    /// Lists the webhooks of a user.
    async fn list(
        &self,
        owner: UserId,
        filter: &WebhookFilter,
        sort: Sort<WebhookSort>,
        paging: Paging,
    ) -> Result<Page<Webhook>, StoreError>;

    /// Lists the webhooks of a user by id, each with whether it is degraded. With an API token, only those tied to it.
    ///
    /// Keeps their rows from being purged until the end of the transaction.
    async fn lock_all_shared(
        &self,
        owner: UserId,
        api_token: Option<ApiTokenId>,
    ) -> Result<Vec<(WebhookId, bool)>, StoreError>;

    /// Disables the webhooks of a user, and cancels the deliveries created by `now`. With an API token, only those tied
    /// to it.
    ///
    /// The caller holds the webhooks and their jobs.
    async fn disable_all(
        &self,
        owner: UserId,
        api_token: Option<ApiTokenId>,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Lists at most `limit` API tokens that have expired but still have an enabled webhook, each with its owner.
    async fn list_expired_api_tokens(
        &self,
        now: Timestamp,
        limit: u64,
    ) -> Result<Vec<(UserId, ApiTokenId)>, StoreError>;

    /// Ties a webhook to an API token, or to none.
    async fn set_api_token(&self, id: WebhookId, api_token: Option<ApiTokenId>) -> Result<(), StoreError>;

    /// Counts the webhooks of a user.
    async fn count(&self, owner: UserId) -> Result<u64, StoreError>;

    /// Adds a webhook.
    async fn add(&self, record: &WebhookRecord) -> Result<(), StoreError>;

    /// Updates the mutable fields of a webhook, except its secrets.
    async fn update(&self, webhook: &Webhook, health: &EndpointHealth) -> Result<(), StoreError>;

    /// Replaces the secret.
    ///
    /// With `previous`, the replaced secrets that are still valid are kept, at most the 10 newest; without it, none.
    async fn replace_secret(
        &self,
        id: WebhookId,
        secret: &[u8],
        previous: Option<&PreviousSecret>,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Lists the replaced secrets that are still valid, the newest first.
    async fn list_previous_secrets(&self, id: WebhookId, now: Timestamp) -> Result<Vec<PreviousSecret>, StoreError>;

    /// Marks a webhook as removed. It is hidden from then on, and purged later.
    async fn remove(&self, id: WebhookId, now: Timestamp) -> Result<(), StoreError>;
}
