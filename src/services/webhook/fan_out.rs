//! Fan-out: creates the deliveries of an event, one per subscribed webhook, and enqueues the jobs that send them.
//!
//! For the lock order, see `WebhookRepository`.

use std::collections::BTreeMap;

use super::retry::next_attempt_at;
use crate::contract::event::EventType;
use crate::contract::webhook::delivery::{Delivery, DeliveryStatus};
use crate::contract::{DeliveryId, EventId, ProjectId, Timestamp, WebhookId};
use crate::repositories::{DeliveryRecord, NewEvent, Queue, StoreError, Transaction, WebhookSubscription};
use crate::services::context::ServiceContext;

impl ServiceContext {
    /// Creates deliveries to all subscribed webhooks, in the events' transaction.
    pub(crate) async fn fan_out(
        &self,
        transaction: &dyn Transaction,
        events: &[NewEvent],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.fan_out_except(transaction, events, &BTreeMap::new(), now).await
    }

    /// Creates deliveries to all subscribed webhooks except `others`.
    /// Enqueues the jobs of `others` too, each with whether it is degraded. All jobs are locked in one pass.
    pub(crate) async fn fan_out_except(
        &self,
        transaction: &dyn Transaction,
        events: &[NewEvent],
        others: &BTreeMap<WebhookId, bool>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut by_project: BTreeMap<ProjectId, Vec<&NewEvent>> = BTreeMap::new();
        for event in events {
            by_project.entry(event.project_id).or_default().push(event);
        }
        let (mut deliveries, mut jobs) = (Vec::new(), others.clone());
        for (project, events) in by_project {
            let mut subscriptions = transaction.deliveries().list_subscriptions(project).await?;
            subscriptions.retain(|subscription| !others.contains_key(&subscription.webhook));
            for event in events {
                for subscription in subscriptions.iter().filter(|subscription| is_subscribed(subscription, event.kind))
                {
                    let due = next_attempt_at(&self.webhooks.retry_delays, 0, now, None).unwrap_or(now);
                    let delivery = new_delivery(subscription.webhook, event.id, event.kind, now, due);
                    deliveries.push(DeliveryRecord { delivery, payload: None });
                    jobs.insert(subscription.webhook, subscription.is_degraded);
                }
            }
        }
        if jobs.is_empty() {
            return Ok(());
        }
        transaction.deliveries().add(&deliveries).await?;
        // In the order of their IDs, which is the lock order.
        enqueue_delivery_jobs(transaction, jobs, now).await
    }
}

fn is_subscribed(subscription: &WebhookSubscription, kind: EventType) -> bool {
    let is_named = subscription.events.iter().any(|name| matches!(&**name, "*") || **name == *kind.as_str());
    is_named && kind.visible_to(subscription.role)
}

/// Enqueues delivery jobs, each with whether the webhook is degraded.
/// A running job runs again.
pub(crate) async fn enqueue_delivery_jobs(
    transaction: &dyn Transaction,
    webhooks: impl IntoIterator<Item = (WebhookId, bool)>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let jobs: Vec<_> = webhooks.into_iter().map(|(webhook, is_degraded)| (webhook, queue_for(is_degraded))).collect();
    transaction.jobs().enqueue_deliveries(&jobs, now).await?;
    Ok(())
}

/// Returns the queue of a webhook. Degraded ones are separate, as they take long.
pub(crate) const fn queue_for(is_degraded: bool) -> Queue {
    if is_degraded { Queue::WebhooksDegraded } else { Queue::Webhooks }
}

pub(crate) fn new_delivery(
    webhook_id: WebhookId,
    event_id: EventId,
    event_type: EventType,
    now: Timestamp,
    due: Timestamp,
) -> Delivery {
    Delivery {
        id: DeliveryId::generate(),
        webhook_id,
        event_id,
        event_type,
        status: DeliveryStatus::Pending,
        attempts: Vec::new(),
        next_attempt_at: Some(due),
        created_at: now,
    }
}
