//! Deliveries of events to webhooks.

use async_trait::async_trait;

use super::error::StoreError;
use super::webhooks::WebhookRecord;
use crate::contract::event::{Event, EventType};
use crate::contract::page::{Page, Paging, Sort};
use crate::contract::project::Role;
use crate::contract::webhook::delivery::{Delivery, DeliverySort, DeliveryStatus};
use crate::contract::{DeliveryId, EventId, Timestamp, WebhookId};

/// A delivery, with its payload if it is a test event.
#[derive(Debug, Clone)]
pub struct DeliveryRecord {
    /// The delivery.
    pub delivery: Delivery,
    /// Payload of a test event; `None` for an event of the feed.
    pub payload: Option<String>,
}

/// Conditions on the deliveries of a webhook, all of which must hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct DeliveryFilter {
    /// Status of the delivery.
    pub status: Option<DeliveryStatus>,
    /// Type of its event.
    pub kind: Option<EventType>,
}

/// A delivery whose next attempt is due, without its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueDelivery {
    /// Id of the delivery.
    pub id: DeliveryId,
    /// Id of the event.
    pub event_id: EventId,
    /// Type of the event.
    pub event_type: EventType,
    /// Time at which the delivery was created.
    pub created_at: Timestamp,
    /// Sequence number of an event that was never attempted; the delivery is not stored yet.
    pub sequence: Option<i64>,
}

/// An event, with what is needed to decide whether a webhook may receive it.
#[derive(Clone)]
pub struct DeliverableEvent {
    /// The webhook.
    pub webhook: WebhookRecord,
    /// Role of its owner in the project of the event.
    pub role: Role,
    /// The event.
    pub event: Event,
}

/// Deliveries of events to webhooks.
#[async_trait]
pub trait DeliveryRepository: Send + Sync {
    /// Adds deliveries.
    async fn add(&self, deliveries: &[DeliveryRecord]) -> Result<(), StoreError>;

    /// Lists the deliveries of a webhook.
    async fn list(
        &self,
        webhook: WebhookId,
        filter: &DeliveryFilter,
        sort: Sort<DeliverySort>,
        paging: Paging,
    ) -> Result<Page<Delivery>, StoreError>;

    /// Finds a delivery by id.
    async fn find(&self, id: DeliveryId) -> Result<Option<DeliveryRecord>, StoreError>;

    /// Lists at most `limit` deliveries of a webhook that are due, the oldest first.
    ///
    /// Event types that this version does not know are skipped: a newer version may be running beside it.
    async fn list_due(&self, webhook: WebhookId, now: Timestamp, limit: u64) -> Result<Vec<DueDelivery>, StoreError>;

    /// Finds a webhook with an event that its owner, as an active member, may see.
    async fn find_deliverable(
        &self,
        webhook: WebhookId,
        event: EventId,
    ) -> Result<Option<DeliverableEvent>, StoreError>;

    /// Lists the deliveries with these ids, at most 50, in any order.
    async fn list_by_ids(&self, ids: &[DeliveryId]) -> Result<Vec<Delivery>, StoreError>;

    /// Returns the time of the next attempt to deliver a known event type.
    async fn next_due(&self, webhook: WebhookId) -> Result<Option<Timestamp>, StoreError>;

    /// Updates the outcome of a delivery.
    async fn update(&self, delivery: &Delivery) -> Result<(), StoreError>;

    /// Marks a pending delivery as failed.
    async fn mark_failed(&self, id: DeliveryId) -> Result<(), StoreError>;

    /// Cancels at most `limit` pending deliveries, except tests, created by `until`.
    async fn cancel_pending(&self, webhook: WebhookId, until: Timestamp, limit: u64) -> Result<u64, StoreError>;
}
