//! Delivery jobs: one per webhook, in the queue of healthy or of degraded webhooks.

use crate::contract::{Timestamp, WebhookId};
use crate::repositories::{Queue, StoreError, Transaction};

/// Enqueues the delivery jobs of webhooks, by id, each with whether the webhook is degraded. A running job runs again.
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
