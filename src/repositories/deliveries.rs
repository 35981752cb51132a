//! Deliveries of events to webhooks.

use async_trait::async_trait;

use super::StoreError;
use crate::contract::delivery::{Delivery, DeliverySort, DeliveryStatus};
use crate::contract::event::EventType;
use crate::contract::list::{Page, Paging, Sort};
use crate::contract::project::Role;
use crate::contract::text::EventName;
use crate::contract::{DeliveryId, ProjectId, Timestamp, WebhookId};

/// A delivery, with what is sent where that is no event of the feed.
#[derive(Debug, Clone)]
pub struct DeliveryRecord {
    /// The delivery.
    pub delivery: Delivery,
    /// What is sent; `None` when it is the event with its id.
    pub payload: Option<String>,
}

/// Which deliveries of a webhook; all conditions must hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct DeliveryFilter {
    /// Those with this status.
    pub status: Option<DeliveryStatus>,
    /// Those of events of this type.
    pub kind: Option<EventType>,
}

/// A webhook that is told of what happens in a project.
#[derive(Debug, Clone)]
pub struct Receiver {
    /// The webhook.
    pub webhook: WebhookId,
    /// The types of events that it wants.
    pub events: Vec<EventName>,
    /// What its owner is in the project.
    pub role: Role,
    /// Whether its last attempt failed.
    pub is_failing: bool,
}

/// Deliveries of events to webhooks.
#[async_trait]
pub trait DeliveryRepository: Send + Sync {
    /// The webhooks that are told of what happens in a project, by their ids: those that are enabled, whose owner is a
    /// member of it with an account that is not in the trash. Nobody can remove them until the end of the transaction.
    async fn list_receivers(&self, project: ProjectId) -> Result<Vec<Receiver>, StoreError>;

    /// Adds deliveries.
    async fn add(&self, deliveries: &[DeliveryRecord]) -> Result<(), StoreError>;

    /// The deliveries of a webhook.
    async fn list(
        &self,
        webhook: WebhookId,
        filter: &DeliveryFilter,
        sort: Sort<DeliverySort>,
        paging: Paging,
    ) -> Result<Page<Delivery>, StoreError>;

    /// The delivery with this id.
    async fn find(&self, id: DeliveryId) -> Result<Option<DeliveryRecord>, StoreError>;

    /// The deliveries of a webhook whose next attempt is due, some of them, the oldest first.
    async fn list_due(&self, webhook: WebhookId, now: Timestamp, limit: u64)
    -> Result<Vec<DeliveryRecord>, StoreError>;

    /// When the next attempt of all deliveries of a webhook is due, if there is one.
    async fn next_due(&self, webhook: WebhookId) -> Result<Option<Timestamp>, StoreError>;

    /// Writes what became of a delivery.
    async fn update(&self, delivery: &Delivery) -> Result<(), StoreError>;

    /// Gives up the deliveries of a webhook that are pending, but for tests.
    async fn give_up(&self, webhook: WebhookId) -> Result<(), StoreError>;
}
