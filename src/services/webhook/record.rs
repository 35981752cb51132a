//! Records the outcome of a dispatch run: marks each delivery as delivered, schedules its retry or fails it, and
//! updates the health of the endpoint.

use std::collections::HashMap;

use super::attempt::{Attempt, AttemptBatch, DispatchOutcome, is_success};
use super::deliveries::Deliveries;
use super::fan_out::queue_for;
use super::health::evaluate_health;
use super::retry::next_attempt_at;
use crate::contract::webhook::delivery::{Delivery, DeliveryStatus};
use crate::contract::{Timestamp, WebhookId};
use crate::repositories::{Job, Queue, StoreError, Transaction};
use crate::services::error::Error;
use crate::services::mail_budget::{MailBudget, MailRecipient};

/// Maximum number of deliveries cancelled in one transaction.
const CANCEL_BATCH_SIZE: u64 = 1_000;

impl Deliveries {
    /// Records the attempts of a run. Returns the queue and time of the next run.
    ///
    /// The caller holds the lock of the delivery job, so that deliveries created from now on wait for this transaction
    /// or are visible to it.
    pub async fn record_attempts(
        &self,
        transaction: &dyn Transaction,
        batch: &AttemptBatch,
    ) -> Result<Option<(Queue, Timestamp)>, Error> {
        let now = self.context.clock.now();
        let Some(record) = transaction.webhooks().lock(batch.webhook).await? else {
            // Deleted in the meantime. The next run cleans up.
            return Ok(Some((Queue::Webhooks, now)));
        };
        let mut attempts = HashMap::new();
        for outcome in &batch.sent {
            match outcome {
                DispatchOutcome::NotPermitted(id) => transaction.deliveries().mark_failed(*id).await?,
                DispatchOutcome::Attempted(attempt) => drop(attempts.insert(attempt.id, attempt)),
            }
        }
        // Read again: a delivery may have been cancelled or pruned in the meantime.
        let ids: Vec<_> = attempts.keys().copied().collect();
        for delivery in transaction.deliveries().list_by_ids(&ids).await? {
            if let Some(attempt) = attempts.get(&delivery.id) {
                transaction.deliveries().update(&self.apply_attempt(delivery, attempt)).await?;
            }
        }
        let mut webhook = record.webhook;
        // An attempt at a previous URL says nothing about the current one.
        let attempts = batch.sent.iter().filter_map(|outcome| match outcome {
            DispatchOutcome::Attempted(attempt) if attempt.url == webhook.url => Some(attempt),
            DispatchOutcome::Attempted(_) | DispatchOutcome::NotPermitted(_) => None,
        });
        let (mut health, reason) = evaluate_health(record.health, attempts);
        let disable_reason = reason.filter(|_| webhook.enabled);
        if let Some(reason) = disable_reason {
            webhook.enabled = false;
            webhook.disabled_reason = Some(reason.to_owned());
            webhook.version += 1;
            webhook.updated_at = now;
            if let Some(owner) = transaction.users().find(record.owner).await? {
                let notice = Job::WebhookDisabledEmail { webhook: webhook.id };
                let to = MailRecipient::owner(&owner, MailBudget::Owner);
                self.context.enqueue_mail(transaction, &notice, to, now).await?;
            }
            tracing::info!(webhook.id = %webhook.id, reason, "webhook disabled");
        }
        if !webhook.enabled {
            health.cancel_through = Some(now);
        }
        if let Some(until) = health.cancel_through {
            health.cancel_through = cancel_pending(transaction, webhook.id, until).await?;
        }
        if disable_reason.is_some() || health != record.health {
            transaction.webhooks().update(&webhook, &health).await?;
        }
        if health.cancel_through.is_some() {
            return Ok(Some((queue_for(health.is_degraded), now)));
        }
        let next = transaction.deliveries().next_due(webhook.id).await?;
        Ok(next.map(|next| (queue_for(health.is_degraded), next.max(now))))
    }

    /// Returns a delivery after an attempt.
    fn apply_attempt(&self, mut delivery: Delivery, attempt: &Attempt) -> Delivery {
        delivery.attempts.push(attempt.result.clone());
        if is_success(&attempt.result) {
            return Delivery { status: DeliveryStatus::Delivered, next_attempt_at: None, ..delivery };
        }
        // A delivery that was cancelled during the attempt stays so.
        if delivery.status != DeliveryStatus::Pending {
            return delivery;
        }
        let next = next_attempt_at(
            &self.context.webhooks.retry_delays,
            delivery.attempts.len(),
            self.context.clock.now(),
            attempt.retry_after,
        );
        match next {
            Some(next) => Delivery { next_attempt_at: Some(next), ..delivery },
            None => Delivery { status: DeliveryStatus::Failed, next_attempt_at: None, ..delivery },
        }
    }
}

/// Cancels a batch of deliveries created up to a time.
/// Returns that time if there are more, which the job of the webhook cancels. Until then, a list may show cancelled
/// deliveries as pending; dispatch checks the time before it sends.
pub(crate) async fn cancel_pending(
    transaction: &dyn Transaction,
    webhook: WebhookId,
    until: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let cancelled = transaction.deliveries().cancel_pending(webhook, until, CANCEL_BATCH_SIZE).await?;
    Ok((cancelled >= CANCEL_BATCH_SIZE).then_some(until))
}
