//! Webhooks.

use async_trait::async_trait;

use super::StoreError;
use crate::contract::page::{Page, Paging, Sort};
use crate::contract::webhook::{Webhook, WebhookSort};
use crate::contract::{ProjectId, Timestamp, UserId, WebhookId};

/// A webhook, with what only its owner and who delivers know.
#[derive(Clone)]
pub struct WebhookRecord {
    /// The webhook.
    pub webhook: Webhook,
    /// Who made it.
    pub owner: UserId,
    /// How it fares.
    pub health: EndpointHealth,
    /// The secret, encrypted.
    pub secret: Vec<u8>,
}

/// How a webhook fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EndpointHealth {
    /// Since when every attempt has failed, but for tests; `None` when the last one did not, or there was none.
    pub failing_since: Option<Timestamp>,
    /// Whether the last attempts, tests too, failed or took long.
    pub is_degraded: bool,
    /// What was promised until this time is given up, and some of it is pending still.
    pub cancel_through: Option<Timestamp>,
}

impl EndpointHealth {
    /// How a webhook fares that begins anew: what is given up stays so.
    #[must_use]
    pub fn reset(self) -> Self {
        Self { cancel_through: self.cancel_through, ..Self::default() }
    }
}

/// A secret that another one has replaced.
#[derive(Clone)]
pub struct PreviousSecret {
    /// The secret, encrypted.
    pub secret: Vec<u8>,
    /// Until when messages are signed with it too.
    pub until: Timestamp,
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

    /// The webhook with this id, which nobody can remove until the end of the transaction.
    async fn lock_shared(&self, id: WebhookId) -> Result<Option<WebhookRecord>, StoreError>;

    /// The webhooks of a user.
    async fn list(
        &self,
        owner: UserId,
        filter: &WebhookFilter,
        sort: Sort<WebhookSort>,
        paging: Paging,
    ) -> Result<Page<Webhook>, StoreError>;

    /// Returns the webhooks of a user in the order of their ids, each with whether it is ailing. None of them can be
    /// removed until the end of the transaction.
    async fn lock_all_shared(&self, owner: UserId) -> Result<Vec<(WebhookId, bool)>, StoreError>;

    /// Disables the enabled webhooks of a user and gives `reason` as the cause. Every delivery promised to any webhook
    /// of the user until `now` is to be given up. The caller holds the webhooks and their jobs.
    async fn disable_all(&self, owner: UserId, reason: &str, now: Timestamp) -> Result<(), StoreError>;

    /// How many webhooks a user has.
    async fn count(&self, owner: UserId) -> Result<u64, StoreError>;

    /// Adds a webhook.
    async fn add(&self, record: &WebhookRecord) -> Result<(), StoreError>;

    /// Writes what can change about a webhook, but not its secrets.
    async fn update(&self, webhook: &Webhook, health: &EndpointHealth) -> Result<(), StoreError>;

    /// Replaces the secret. The one before it joins those that were replaced earlier, of which only so many are kept as
    /// are good still, the newest ten at most; without it none is.
    async fn replace_secret(
        &self,
        id: WebhookId,
        secret: &[u8],
        previous: Option<&PreviousSecret>,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// The secrets that were replaced and are good still, the newest first.
    async fn list_previous_secrets(&self, id: WebhookId, now: Timestamp) -> Result<Vec<PreviousSecret>, StoreError>;

    /// Marks a webhook as removed: from then on only who removes what was its finds anything of it.
    async fn remove(&self, id: WebhookId, now: Timestamp) -> Result<(), StoreError>;
}
