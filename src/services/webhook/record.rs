//! Records the outcome of a dispatch run: marks each delivery as delivered, schedules its retry or fails it, and
//! updates the health of the endpoint.

use std::collections::HashMap;
use std::time::Duration;

use super::deliveries::{Deliveries, queue_for};
use super::dispatch::STATUS_GONE;
use super::limits::DeliveryPermit;
use crate::contract::strings::WebhookUrl;
use crate::contract::webhook::delivery::{Delivery, DeliveryAttempt, DeliveryStatus};
use crate::contract::{DeliveryId, Timestamp, WebhookId};
use crate::repositories::{Health, Job, Lane, StoreError, Transaction};
use crate::services::error::Error;

/// Duration of uninterrupted failure after which a webhook is disabled.
const DISABLE_AFTER: Duration = Duration::from_hours(5 * 24);

/// Response time from which a webhook counts as degraded, in milliseconds. Shorter than the body timeout, so that
/// endless responses count too.
const DEGRADED_LATENCY_MS: i64 = 1_000;

/// Maximum number of deliveries cancelled in one transaction.
const CANCEL_BATCH_SIZE: u64 = 1_000;

const REASON_GONE: &str = "The receiver responded with status 410 (Gone).";
const REASON_FAILING: &str = "All attempts have failed for five days.";

/// Attempts of one run. It holds the permit of the run.
pub struct AttemptBatch {
    pub(crate) webhook: WebhookId,
    pub(crate) sent: Vec<DispatchOutcome>,
    pub(crate) failure: Option<Error>,
    pub(crate) _permit: DeliveryPermit,
}

pub(crate) enum DispatchOutcome {
    /// The delivery is no longer permitted.
    NotPermitted(DeliveryId),
    Attempted(Attempt),
}

/// Attempt to deliver a message.
pub(crate) struct Attempt {
    pub(crate) id: DeliveryId,
    pub(crate) is_test: bool,
    pub(crate) url: WebhookUrl,
    pub(crate) attempt: DeliveryAttempt,
    pub(crate) retry_after: Option<Timestamp>,
}

impl AttemptBatch {
    /// Takes the error that kept a due delivery from being sent.
    pub const fn take_failure(&mut self) -> Option<Error> {
        self.failure.take()
    }
}

impl Deliveries {
    /// Records the attempts of a run. Returns the queue and time of the next run.
    ///
    /// The caller holds the lock of the delivery job, so that deliveries created from now on wait for this transaction
    /// or are visible to it.
    pub async fn record_attempts(
        &self,
        transaction: &dyn Transaction,
        batch: &AttemptBatch,
    ) -> Result<Option<(Lane, Timestamp)>, Error> {
        let now = self.0.clock.now();
        let Some(record) = transaction.webhooks().lock(batch.webhook).await? else {
            // Deleted in the meantime. The next run cleans up.
            return Ok(Some((Lane::Webhooks, now)));
        };
        let mut tried = HashMap::new();
        for one in &batch.sent {
            match one {
                DispatchOutcome::NotPermitted(id) => transaction.deliveries().fail(*id).await?,
                DispatchOutcome::Attempted(one) => drop(tried.insert(one.id, one)),
            }
        }
        // Read again: a delivery may have been cancelled or pruned in the meantime.
        let ids: Vec<_> = tried.keys().copied().collect();
        for found in transaction.deliveries().list_these(&ids).await? {
            if let Some(tried) = tried.get(&found.id) {
                transaction.deliveries().update(&self.apply_attempt(found, tried)).await?;
            }
        }
        let mut webhook = record.webhook;
        // An attempt at a previous URL says nothing about the current one.
        let tried = batch.sent.iter().filter_map(|one| match one {
            DispatchOutcome::Attempted(tried) if tried.url == webhook.url => Some(tried),
            DispatchOutcome::Attempted(_) | DispatchOutcome::NotPermitted(_) => None,
        });
        let (mut health, reason) = evaluate_health(record.health, tried);
        let disabling = reason.filter(|_| webhook.enabled);
        if let Some(reason) = disabling {
            webhook.enabled = false;
            webhook.disabled_reason = Some(reason.to_owned());
            webhook.version += 1;
            webhook.updated_at = now;
            transaction.jobs().enqueue(&Job::WebhookDisabledEmail { webhook: webhook.id }, now, now).await?;
            tracing::info!(webhook.id = %webhook.id, reason, "webhook disabled");
        }
        if !webhook.enabled {
            health.giving_up = Some(now);
        }
        if let Some(until) = health.giving_up {
            health.giving_up = cancel_pending(transaction, webhook.id, until).await?;
        }
        if disabling.is_some() || health != record.health {
            transaction.webhooks().update(&webhook, &health).await?;
        }
        if health.giving_up.is_some() {
            return Ok(Some((queue_for(health.is_ailing), now)));
        }
        let next = transaction.deliveries().next_due(webhook.id).await?;
        Ok(next.map(|next| (queue_for(health.is_ailing), next.max(now))))
    }

    /// Returns a delivery after an attempt.
    fn apply_attempt(&self, mut delivery: Delivery, tried: &Attempt) -> Delivery {
        delivery.attempts.push(tried.attempt.clone());
        if is_success(&tried.attempt) {
            return Delivery { status: DeliveryStatus::Delivered, next_attempt_at: None, ..delivery };
        }
        // A delivery that was cancelled during the attempt stays so.
        if delivery.status != DeliveryStatus::Pending {
            return delivery;
        }
        let next =
            self.0.webhooks.schedule.next_attempt_after(delivery.attempts.len(), self.0.clock.now(), tried.retry_after);
        match next {
            Some(next) => Delivery { next_attempt_at: Some(next), ..delivery },
            None => Delivery { status: DeliveryStatus::Failed, next_attempt_at: None, ..delivery },
        }
    }
}

/// Cancels a batch of deliveries created up to a time. Returns that time if there are more.
///
/// The job of the webhook cancels the rest. Until then, a list may show cancelled deliveries as pending; dispatch
/// checks the time before it sends.
pub(crate) async fn cancel_pending(
    transaction: &dyn Transaction,
    webhook: WebhookId,
    until: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let given_up = transaction.deliveries().give_up(webhook, until, CANCEL_BATCH_SIZE).await?;
    Ok((given_up >= CANCEL_BATCH_SIZE).then_some(until))
}

/// Evaluates the health of an endpoint. Returns the reason to disable it, if there is one.
///
/// Requests are concurrent, so attempts are ordered by the time at which they were sent: a success ends the failures
/// before it.
fn evaluate_health<'t>(health: Health, tried: impl Iterator<Item = &'t Attempt>) -> (Health, Option<&'static str>) {
    let mut tried: Vec<&Attempt> = tried.collect();
    tried.sort_by_key(|one| (one.attempt.at, is_success(&one.attempt)));
    let is_ailing = match tried.as_slice() {
        [] => health.is_ailing,
        some => some.iter().any(|one| !is_success(&one.attempt) || one.attempt.duration_ms >= DEGRADED_LATENCY_MS),
    };
    let (mut failing_since, mut last_failure, mut is_gone) = (health.failing_since, None, false);
    for one in tried {
        if is_success(&one.attempt) {
            (failing_since, last_failure) = (None, None);
        } else if !one.is_test {
            // Failed tests do not count towards disabling.
            failing_since.get_or_insert(one.attempt.at);
            last_failure = Some(one.attempt.at);
            is_gone |= one.attempt.status_code == Some(STATUS_GONE);
        }
    }
    let has_kept_failing = failing_since.zip(last_failure).is_some_and(|(since, last)| since <= last - DISABLE_AFTER);
    let reason = if is_gone { Some(REASON_GONE) } else { has_kept_failing.then_some(REASON_FAILING) };
    (Health { failing_since, is_ailing, ..health }, reason)
}

fn is_success(attempt: &DeliveryAttempt) -> bool {
    crate::webhooks::is_success(attempt.status_code, attempt.error.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn tried(at: i64, status: u16) -> Attempt {
        Attempt {
            id: DeliveryId::generate(),
            is_test: false,
            url: WebhookUrl::new_unchecked("https://example.com/"),
            attempt: DeliveryAttempt {
                at: Timestamp(at),
                status_code: Some(status),
                error: None,
                duration_ms: 80,
                response_excerpt: None,
            },
            retry_after: None,
        }
    }

    fn failing(since: i64) -> Health {
        Health { failing_since: Some(Timestamp(since)), is_ailing: true, giving_up: None }
    }

    #[test]
    fn a_success_ends_the_failures_sent_before_it_in_the_same_run() {
        for late in [0, 1, 49] {
            // The failure is the last to be reported, and neither the first nor the last to be sent.
            let mut batch: Vec<_> =
                (0..50).filter(|number| *number != late).map(|at| tried(6 * DAY + at, 200)).collect();
            batch.push(tried(6 * DAY + late, 503));
            let (health, reason) = evaluate_health(failing(0), batch.iter());
            assert_eq!(reason, None, "{late}");
            let since = (late == 49).then_some(Timestamp(6 * DAY + late));
            assert_eq!((health.failing_since, health.is_ailing), (since, true), "{late}");
        }
        // Of two attempts at the same time, the successful one counts.
        let (health, reason) = evaluate_health(failing(0), [tried(6 * DAY, 200), tried(6 * DAY, 503)].iter());
        assert_eq!((health.failing_since, reason), (None, None));
    }

    #[test]
    fn a_webhook_is_disabled_after_five_days_of_failures() {
        for (at, is_over) in [(5 * DAY - 1, false), (5 * DAY, true), (6 * DAY, true)] {
            let (health, reason) = evaluate_health(failing(0), [tried(at, 503)].iter());
            assert_eq!((health.failing_since, reason.is_some()), (Some(Timestamp(0)), is_over), "{at}");
        }
        assert_eq!(evaluate_health(failing(0), std::iter::empty()), (failing(0), None), "no attempts");
        let gone = [tried(6 * DAY, 410), tried(6 * DAY + 1, 200)];
        assert_eq!(evaluate_health(failing(0), gone.iter()).1, Some(REASON_GONE), "a later success does not matter");
        assert_eq!(evaluate_health(Health::default(), gone[..1].iter()).1, Some(REASON_GONE));
    }

    #[test]
    fn a_failed_test_only_degrades_and_a_successful_one_ends_the_failures() {
        let test = |status| Attempt { is_test: true, ..tried(6 * DAY, status) };
        for before in [failing(0), Health::default()] {
            for (status, since, is_ailing) in
                [(410, before.failing_since, true), (503, before.failing_since, true), (200, None, false)]
            {
                let (health, reason) = evaluate_health(before, [test(status)].iter());
                assert_eq!((health.failing_since, reason), (since, None), "{status}");
                assert_eq!(health.is_ailing, is_ailing, "{status}");
            }
        }
    }

    #[test]
    fn a_slow_receiver_is_degraded_but_not_failing() {
        for (duration_ms, is_ailing) in [(0, false), (999, false), (1_000, true), (15_000, true)] {
            let mut late = tried(7, 200);
            late.attempt.duration_ms = duration_ms;
            let (health, reason) = evaluate_health(Health::default(), [tried(6, 200), late].iter());
            assert_eq!((health.failing_since, health.is_ailing, reason), (None, is_ailing, None), "{duration_ms}");
        }
    }
}
