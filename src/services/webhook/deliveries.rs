//! Deliveries: the delivery log, manual redelivery, test events, and recovery of stalled deliveries.

use std::sync::Arc;
use std::time::Duration;

use poem_openapi::types::ToJSON as _;
use tokio::sync::Mutex;

use super::access::require_owner;
use super::limits::DeliveryLimits;
use super::queue::enqueue_delivery_jobs;

use crate::contract::event::EventType;
use crate::contract::event::previous::AlwaysNull;
use crate::contract::page::{Page, Sort};
use crate::contract::webhook::delivery::{Delivery, DeliveryQuery, DeliveryStatus};
use crate::contract::webhook::test_event::{WebhookMessage, WebhookTestEvent};
use crate::contract::{DeliveryId, EventId, WebhookId};
use crate::repositories::{DeliveryFilter, DeliveryRecord, WebhookRecord};
use crate::services::idempotency::fresh;
use crate::services::{
    Caller, Error, ReplayAccess, ServiceContext, UnitOfWork, WriteContext, WriteOutcome, lock_caller,
};

/// Time after which due deliveries without progress count as stalled.
const STALLED_AFTER: Duration = Duration::from_hours(1);

/// Maximum number of webhooks examined by one statement.
const SCAN_BATCH_SIZE: u64 = 500;

/// Webhook deliveries.
#[derive(Clone)]
pub struct Deliveries {
    pub(crate) context: Arc<ServiceContext>,
    pub(crate) limits: Arc<DeliveryLimits>,
    /// Sequence number through which this process has announced events to webhooks.
    pub(crate) fan_out_position: Arc<Mutex<i64>>,
}

impl Deliveries {
    pub(crate) fn new(context: Arc<ServiceContext>) -> Self {
        let limits = Arc::new(DeliveryLimits::new(context.webhooks.rates));
        Self { context, limits, fan_out_position: Arc::default() }
    }

    /// Lists the deliveries of one of the caller's webhooks.
    pub async fn list(
        &self,
        caller: Caller,
        webhook: WebhookId,
        query: &DeliveryQuery,
    ) -> Result<Page<Delivery>, Error> {
        require_owner(self.context.store.read().webhooks().find(webhook).await?, caller)?;
        let filter = DeliveryFilter { status: query.status, kind: query.event_type };
        let sort = Sort::new(query.sort, query.dir);
        let repositories = self.context.read_unindexed(caller.user).await?;
        Ok(repositories.deliveries().list(webhook, &filter, sort, query.paging).await?)
    }

    /// Creates a new delivery of the same event.
    pub async fn redeliver(
        &self,
        write: &WriteContext,
        webhook: WebhookId,
        id: DeliveryId,
    ) -> Result<WriteOutcome<Delivery>, Error> {
        let unit = fresh!(self.context.begin(write).await?);
        lock_caller(&*unit, write.caller).await?;
        let found = require_owner(unit.webhooks().lock(webhook).await?, write.caller)?;
        let old = unit.deliveries().find(id).await?.filter(|old| old.delivery.webhook_id == webhook);
        let DeliveryRecord { delivery, payload } = old.ok_or(Error::NotFound("delivery"))?;
        enqueue_immediate(&self.context, unit, &found, delivery.event_id, delivery.event_type, payload).await
    }

    /// Sends a test event, even if the webhook is disabled.
    pub async fn test(&self, write: &WriteContext, id: WebhookId) -> Result<WriteOutcome<Delivery>, Error> {
        let unit = fresh!(self.context.begin(write).await?);
        lock_caller(&*unit, write.caller).await?;
        let found = require_owner(unit.webhooks().lock(id).await?, write.caller)?;
        let event = WebhookTestEvent {
            id: EventId::generate(),
            sequence: None,
            project_id: found.webhook.project_id,
            actor_id: Some(write.caller.user),
            occurred_at: self.context.clock.now(),
            data: found.webhook.clone(),
            previous: AlwaysNull,
            request_id: write.request.request_id.clone(),
        };
        let (event_id, payload) = (event.id, WebhookMessage::WebhookTest(event).to_json_string());
        enqueue_immediate(&self.context, unit, &found, event_id, EventType::WebhookTest, Some(payload)).await
    }

    /// Enqueues the jobs of webhooks whose deliveries are stalled.
    /// A job may be dead, or an operator may have deleted it. Returns the webhook after which the scan continues.
    pub async fn requeue_stalled(&self, after: Option<WebhookId>) -> Result<Option<WebhookId>, Error> {
        let now = self.context.clock.now();
        let maintenance = self.context.store.read().webhook_maintenance();
        let stalled = maintenance.list_stalled_webhooks(after, now - STALLED_AFTER, SCAN_BATCH_SIZE).await?;
        if !stalled.webhooks.is_empty() {
            let transaction = self.context.store.begin().await?;
            enqueue_delivery_jobs(&*transaction, stalled.webhooks, now).await?;
            transaction.commit().await?;
        }
        Ok(stalled.next)
    }
}

/// Creates a delivery that is due immediately.
async fn enqueue_immediate(
    context: &ServiceContext,
    unit: UnitOfWork<'_>,
    webhook: &WebhookRecord,
    event_id: EventId,
    event_type: EventType,
    payload: Option<String>,
) -> Result<WriteOutcome<Delivery>, Error> {
    let now = context.clock.now();
    let delivery = Delivery {
        id: DeliveryId::generate(),
        webhook_id: webhook.webhook.id,
        event_id,
        event_type,
        status: DeliveryStatus::Pending,
        attempts: Vec::new(),
        next_attempt_at: Some(now),
        created_at: now,
    };
    let record = DeliveryRecord { delivery, payload };
    unit.deliveries().add(std::slice::from_ref(&record)).await?;
    enqueue_delivery_jobs(&*unit, [(webhook.webhook.id, webhook.health.is_degraded)], now).await?;
    unit.commit(WriteOutcome::accepted(&record.delivery), ReplayAccess::CallerOnly).await
}
