//! Records the outcome of a dispatch run: marks each delivery as delivered, schedules its retry or fails it, moves the
//! cursor of the webhook, and updates the health of the endpoint.

use std::collections::HashMap;

use super::attempt::{Attempt, AttemptBatch, DispatchOutcome, is_success};
use super::deliveries::Deliveries;
use super::health::evaluate_health;
use super::queue::queue_for;
use super::retry::next_attempt_at;
use crate::contract::webhook::delivery::{Delivery, DeliveryStatus};
use crate::contract::{Timestamp, WebhookId};
use crate::repositories::{DeliveryRecord, DueDelivery, FeedCursor, Job, Queue, StoreError, Transaction};
use crate::services::error::Error;
use crate::services::mail_budget::{MailBudget, MailRecipient};

/// Maximum number of deliveries cancelled in one transaction.
const CANCEL_BATCH_SIZE: u64 = 1_000;

impl Deliveries {
    /// Records the attempts of a run, and moves the cursor of the webhook. Returns the queue and time of the next run.
    ///
    /// The webhook is locked, so that events and deliveries for it are either seen here or enqueue its job again.
    pub async fn record_attempts(
        &self,
        transaction: &dyn Transaction,
        batch: &AttemptBatch,
    ) -> Result<Option<(Queue, Timestamp)>, Error> {
        let now = self.context.clock.now();
        let Some(mut record) = transaction.webhooks().lock(batch.webhook).await? else {
            // Deleted in the meantime. The next run cleans up.
            return Ok(Some((Queue::Webhooks, now)));
        };
        self.store_outcomes(transaction, batch, record.cursor).await?;
        let before = (record.cursor, record.health);
        record.cursor.position = record.cursor.position.max(batch.position.unwrap_or_default());
        // An attempt at a previous URL says nothing about the current one.
        let attempts = batch.attempts().filter(|attempt| attempt.url == record.webhook.url);
        let (health, reason) = evaluate_health(record.health, attempts);
        record.health = health;
        let disable_reason = reason.filter(|_| record.webhook.enabled);
        if let Some(reason) = disable_reason {
            record.webhook.enabled = false;
            record.webhook.disabled_reason = Some(reason.to_owned());
            record.webhook.version += 1;
            record.webhook.updated_at = now;
            if let Some(owner) = transaction.users().find(record.owner).await? {
                let notice = Job::WebhookDisabledEmail { webhook: batch.webhook };
                let to = MailRecipient::owner(&owner, MailBudget::Owner);
                self.context.enqueue_mail(transaction, &notice, to, now).await?;
            }
            tracing::info!(webhook.id = %batch.webhook, reason, "webhook disabled");
        }
        if !record.webhook.enabled {
            record.health.cancel_through = Some(now);
        }
        if let Some(until) = record.health.cancel_through {
            record.health.cancel_through = cancel_pending(transaction, batch.webhook, until).await?;
        }
        if disable_reason.is_some() || (record.cursor, record.health) != before {
            transaction.webhooks().update(&record).await?;
        }
        let queue = queue_for(record.health.is_degraded);
        let has_backlog = record.webhook.enabled && record.cursor.has_backlog();
        if has_backlog || record.health.cancel_through.is_some() {
            return Ok(Some((queue, now)));
        }
        let next = transaction.deliveries().next_due(batch.webhook).await?;
        Ok(next.map(|next| (queue, next.max(now))))
    }

    /// Updates the stored deliveries of a run, and stores those of new events that were attempted or must wait.
    async fn store_outcomes(
        &self,
        transaction: &dyn Transaction,
        batch: &AttemptBatch,
        cursor: FeedCursor,
    ) -> Result<(), Error> {
        let (mut attempts, mut new) = (HashMap::new(), Vec::new());
        for outcome in &batch.sent {
            match outcome {
                // An event that was never attempted is skipped without a trace.
                DispatchOutcome::NotPermitted(due) if due.sequence.is_some() => {}
                DispatchOutcome::NotPermitted(due) => transaction.deliveries().mark_failed(due.id).await?,
                // The webhook has been disabled since then, which cancels events that were not attempted.
                DispatchOutcome::Postponed(due, _) if due.sequence.is_some_and(|at| at <= cursor.position) => {}
                DispatchOutcome::Postponed(due, at) => {
                    new.extend(due.sequence.map(|_| new_delivery(batch.webhook, due, *at)));
                }
                DispatchOutcome::Attempted(attempt) => match attempt.due.sequence {
                    Some(sequence) => {
                        let mut delivery = new_delivery(batch.webhook, &attempt.due, attempt.result.at);
                        // The webhook was disabled and enabled again during the attempt.
                        if sequence <= cursor.position {
                            delivery.status = DeliveryStatus::Failed;
                            delivery.next_attempt_at = None;
                        }
                        new.push(self.apply_attempt(delivery, attempt));
                    }
                    None => drop(attempts.insert(attempt.due.id, attempt)),
                },
            }
        }
        let new: Vec<_> = new.into_iter().map(|delivery| DeliveryRecord { delivery, payload: None }).collect();
        transaction.deliveries().add(&new).await?;
        // Read again: a delivery may have been cancelled or pruned in the meantime.
        let ids: Vec<_> = attempts.keys().copied().collect();
        for delivery in transaction.deliveries().list_by_ids(&ids).await? {
            if let Some(attempt) = attempts.get(&delivery.id) {
                transaction.deliveries().update(&self.apply_attempt(delivery, attempt)).await?;
            }
        }
        Ok(())
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

/// Creates the delivery of an event that was never stored.
fn new_delivery(webhook_id: WebhookId, due: &DueDelivery, at: Timestamp) -> Delivery {
    Delivery {
        id: due.id,
        webhook_id,
        event_id: due.event_id,
        event_type: due.event_type,
        status: DeliveryStatus::Pending,
        attempts: Vec::new(),
        next_attempt_at: Some(at),
        created_at: due.created_at,
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
