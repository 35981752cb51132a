//! Webhooks.

use async_trait::async_trait;

use super::error::StoreError;
use crate::contract::page::{Page, Paging, Sort};
use crate::contract::project::Role;
use crate::contract::strings::{EventName, WebhookUrl};
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
    /// Position in the event feed.
    pub cursor: FeedCursor,
    /// Encrypted secret.
    pub secret: Vec<u8>,
}

/// Position of a webhook in the event feed, in sequence numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FeedCursor {
    /// Number through which all events were handled.
    pub position: i64,
    /// Number through which events may be waiting; not after `position` if there are none.
    pub pending_through: i64,
}

impl FeedCursor {
    /// Returns a cursor without a backlog.
    #[must_use]
    pub const fn at(position: i64) -> Self {
        Self { position, pending_through: position }
    }

    /// Returns whether events may be waiting.
    #[must_use]
    pub const fn has_backlog(self) -> bool {
        self.position < self.pending_through
    }
}

/// A webhook that is subscribed to the events of a project.
#[derive(Debug, Clone)]
pub struct WebhookSubscription {
    /// Id of the webhook.
    pub webhook: WebhookId,
    /// The project.
    pub project: ProjectId,
    /// Event types that it subscribes to.
    pub events: Vec<EventName>,
    /// Role of its owner in the project.
    pub role: Role,
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

/// A webhook, its URL and its project.
pub type WebhookTarget = (WebhookId, WebhookUrl, Option<ProjectId>);

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
/// Lock order: the webhooks by id, their delivery jobs by id, the deliveries. A transaction that adds work for a webhook,
/// or records attempts, locks the webhook first. Changes of projects and tasks do not lock webhooks.
#[async_trait]
pub trait WebhookRepository: Send + Sync {
    /// Finds a webhook by id.
    async fn find(&self, id: WebhookId) -> Result<Option<WebhookRecord>, StoreError>;

    /// Finds and locks a webhook.
    async fn lock(&self, id: WebhookId) -> Result<Option<WebhookRecord>, StoreError>;

    /// Lists the webhooks of a user.
    async fn list(
        &self,
        owner: UserId,
        filter: &WebhookFilter,
        sort: Sort<WebhookSort>,
        paging: Paging,
    ) -> Result<Page<Webhook>, StoreError>;

    /// Locks the webhooks of a user, and lists them by id, each with whether it is degraded. With an API token, only those
    /// tied to it.
    async fn lock_all(
        &self,
        owner: UserId,
        api_token: Option<ApiTokenId>,
    ) -> Result<Vec<(WebhookId, bool)>, StoreError>;

    /// Disables the webhooks of a user, and cancels the deliveries created by `now`. With an API token, only those tied
    /// to it.
    ///
    /// The caller has locked the webhooks.
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

    /// Lists the URLs and projects of the webhooks of a user.
    async fn list_targets(&self, owner: UserId) -> Result<Vec<WebhookTarget>, StoreError>;

    /// Adds a webhook.
    async fn add(&self, record: &WebhookRecord) -> Result<(), StoreError>;

    /// Updates the mutable fields of a webhook, except its secrets. The caller has locked it.
    async fn update(&self, record: &WebhookRecord) -> Result<(), StoreError>;

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

    /// Lists the enabled webhooks subscribed to projects, whose owners are members with active accounts.
    async fn list_subscriptions(&self, projects: &[ProjectId]) -> Result<Vec<WebhookSubscription>, StoreError>;

    /// Announces the events after `after` and through `through` to webhooks, the ids in order, if they are enabled.
    ///
    /// A webhook without a backlog skips what is before. Returns those that had none, each with whether it is degraded.
    async fn announce(
        &self,
        webhooks: &[WebhookId],
        after: i64,
        through: i64,
    ) -> Result<Vec<(WebhookId, bool)>, StoreError>;

    /// Returns the sequence number through which events were announced.
    async fn announced_through(&self) -> Result<i64, StoreError>;

    /// Records through which sequence number events were announced.
    async fn set_announced_through(&self, sequence: i64) -> Result<(), StoreError>;
}
