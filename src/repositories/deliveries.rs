//! Deliveries of events to webhooks.

use async_trait::async_trait;

use super::{StoreError, WebhookRecord};
use crate::contract::event::{Event, EventType};
use crate::contract::page::{Page, Paging, Sort};
use crate::contract::project::Role;
use crate::contract::strings::EventName;
use crate::contract::webhook::delivery::{Delivery, DeliverySort, DeliveryStatus};
use crate::contract::{DeliveryId, EventId, ProjectId, Timestamp, WebhookId};

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

/// A delivery whose next attempt is due: as little as it takes to send it.
#[derive(Debug, Clone, Copy)]
pub struct DueDelivery {
    /// The delivery.
    pub id: DeliveryId,
    /// The event.
    pub event_id: EventId,
    /// What happened.
    pub event_type: EventType,
    /// When it was promised.
    pub created_at: Timestamp,
}

/// An event, and who may be told of it.
#[derive(Clone)]
pub struct DeliverableEvent {
    /// The webhook.
    pub webhook: WebhookRecord,
    /// What its owner is in the project of the event.
    pub role: Role,
    /// The event.
    pub event: Event,
}

/// A webhook that is told of what happens in a project.
#[derive(Debug, Clone)]
pub struct WebhookSubscription {
    /// The webhook.
    pub webhook: WebhookId,
    /// The types of events that it wants.
    pub events: Vec<EventName>,
    /// What its owner is in the project.
    pub role: Role,
    /// Whether its last attempts failed or took long.
    pub is_degraded: bool,
}

/// Deliveries of events to webhooks.
#[async_trait]
pub trait DeliveryRepository: Send + Sync {
    /// The webhooks that are told of what happens in a project, by their ids: those that are enabled, whose owner is a
    /// member of it with an account that is not in the trash. Nobody can remove them until the end of the transaction.
    async fn list_subscriptions(&self, project: ProjectId) -> Result<Vec<WebhookSubscription>, StoreError>;

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

    /// The deliveries of a webhook whose next attempt is due, some of them, the oldest first. Types of events that this
    /// program does not know are left to those that do: a newer version of it may run beside it.
    async fn list_due(&self, webhook: WebhookId, now: Timestamp, limit: u64) -> Result<Vec<DueDelivery>, StoreError>;

    /// A webhook with an event of a project in which its owner is a member, with an account that is not in the trash, by
    /// one look.
    async fn find_deliverable(
        &self,
        webhook: WebhookId,
        event: EventId,
    ) -> Result<Option<DeliverableEvent>, StoreError>;

    /// The deliveries with these ids, at most fifty, in any order.
    async fn list_by_ids(&self, ids: &[DeliveryId]) -> Result<Vec<Delivery>, StoreError>;

    /// When the next attempt of all deliveries of a webhook is due, of types that this program knows, if there is one.
    async fn next_due(&self, webhook: WebhookId) -> Result<Option<Timestamp>, StoreError>;

    /// Writes what became of a delivery.
    async fn update(&self, delivery: &Delivery) -> Result<(), StoreError>;

    /// Gives up one delivery, if it is pending.
    async fn mark_failed(&self, id: DeliveryId) -> Result<(), StoreError>;

    /// Gives up at most `limit` deliveries of a webhook that were promised until a time and are pending, but for tests,
    /// and says how many.
    async fn cancel_pending(&self, webhook: WebhookId, until: Timestamp, limit: u64) -> Result<u64, StoreError>;
}
