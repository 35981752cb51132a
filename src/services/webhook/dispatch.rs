//! Dispatch: sends the due deliveries of a webhook.
//!
//! Nothing slow happens in a transaction: a run sends first and records the outcome afterwards (see `record`). A worker
//! that crashes in between causes a second attempt (at-least-once delivery).

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use futures_util::{StreamExt as _, stream};
use tokio::sync::SemaphorePermit;
use tokio::time::{Duration, Instant};
use tracing::Instrument as _;

use super::attempt::{AttemptBatch, DispatchOutcome, Dispatcher, SigningKeyWithExpiry, signing_secrets};
use super::deliveries::Deliveries;
use super::limits::DeliveryPermit;
use crate::contract::{Timestamp, WebhookId};
use crate::repositories::{DueDelivery, Queue};
use crate::services::error::Error;

const BATCH_SIZE: u64 = 50;

/// Delay of a run whose owner has reached the limit of concurrent runs.
const RETRY_DELAY: Duration = Duration::from_secs(3);

/// Result of a run.
pub enum DispatchResult {
    /// The due deliveries were attempted.
    Sent(AttemptBatch),
    /// The owner has reached the limit of runs. The job moves to this queue and time.
    Deferred(Queue, Timestamp),
    /// The webhook was deleted.
    WebhookDeleted,
}

impl Deliveries {
    /// Sends the due deliveries of a webhook, outside of any transaction.
    pub async fn dispatch_due(&self, webhook: WebhookId, queue: Queue) -> Result<DispatchResult, Error> {
        self.context.webhooks.client.ensure_ready()?;
        let repositories = self.context.store.read();
        let db_permit = self.limits.acquire_db().await;
        let Some(record) = repositories.webhooks().find(webhook).await? else {
            return Ok(DispatchResult::WebhookDeleted);
        };
        let now = self.context.clock.now();
        let Some(permit) = self.limits.try_acquire(queue, record.owner) else {
            // Runs that exceed the limit wait in the degraded queue, without delaying healthy webhooks.
            let at = if queue == Queue::WebhooksDegraded { now + RETRY_DELAY } else { now };
            return Ok(DispatchResult::Deferred(Queue::WebhooksDegraded, at));
        };
        let due = repositories.deliveries().list_due(webhook, now, BATCH_SIZE).await?;
        let secrets = signing_secrets(&self.context, repositories, &record).await?;
        drop(db_permit);
        let results = self.send_all(webhook, due, (record.webhook.version, secrets), &permit).await;
        let (mut sent, mut failure) = (Vec::new(), None);
        for result in results {
            match result {
                Ok(one) => sent.push(one),
                // One unreadable delivery does not block the others. The job fails after they are recorded.
                Err(error) => failure = Some(error),
            }
        }
        Ok(DispatchResult::Sent(AttemptBatch { webhook, sent, failure, _permit: permit }))
    }

    /// Acquires a permit for database access of a run.
    pub async fn acquire_db(&self) -> Option<SemaphorePermit<'_>> {
        self.limits.acquire_db().await
    }

    async fn send_all(
        &self,
        webhook: WebhookId,
        due: Vec<DueDelivery>,
        known: (i64, Vec<SigningKeyWithExpiry>),
        permit: &DeliveryPermit,
    ) -> Vec<Result<DispatchOutcome, Error>> {
        let dispatcher = Dispatcher {
            context: &self.context,
            limits: &self.limits,
            webhook,
            known: Arc::new(known),
            client: self.context.webhooks.client.clone(),
            started_at: Instant::now(),
            max_concurrent: permit.max_concurrent_requests(),
            has_unsubscribed: AtomicBool::new(false),
        };
        let results = stream::iter(due).enumerate().map(|(number, delivery)| {
            let span = tracing::error_span!("delivery", webhook.id = %webhook, delivery.id = %delivery.id);
            dispatcher.send(number, delivery).instrument(span)
        });
        results.buffer_unordered(dispatcher.max_concurrent).filter_map(std::future::ready).collect().await
    }
}
