//! Deliveries: fan-out of events to webhooks, and the delivery log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{enqueue_immediate, require_owner};
use crate::contract::event::EventType;
use crate::contract::page::{Page, Sort};
use crate::contract::webhook::delivery::{Delivery, DeliveryQuery, DeliveryStatus};
use crate::contract::{DeliveryId, EventId, ProjectId, Timestamp, WebhookId};
use crate::repositories::{DeliveryFilter, DeliveryRecord, Lane, NewEvent, Receiver, StoreError, Transaction};
use crate::services::error::Error;
use crate::services::unit_of_work::{WriteContext, lock_caller};
use crate::services::{Answer, Caller, ServiceContext};

/// Time after which due deliveries without progress count as stalled.
const STALLED_AFTER: Duration = Duration::from_hours(1);

/// Maximum number of webhooks examined by one statement.
const SCAN_BATCH_SIZE: u64 = 500;

/// Webhook deliveries.
#[derive(Clone)]
pub struct Deliveries(pub(crate) Arc<ServiceContext>);

impl Deliveries {
    pub(crate) const fn new(shared: Arc<ServiceContext>) -> Self {
        Self(shared)
    }

    /// Lists the deliveries of one of the caller's webhooks.
    pub async fn list(
        &self,
        caller: Caller,
        webhook: WebhookId,
        query: &DeliveryQuery,
    ) -> Result<Page<Delivery>, Error> {
        require_owner(self.0.store.read().webhooks().find(webhook).await?, caller)?;
        let filter = DeliveryFilter { status: query.status, kind: query.event_type };
        let sort = Sort::new(query.sort, query.dir);
        let repositories = self.0.read_unindexed(caller.user).await?;
        Ok(repositories.deliveries().list(webhook, &filter, sort, query.paging).await?)
    }

    /// Creates a new delivery of the same event.
    pub async fn redeliver(
        &self,
        write: &WriteContext,
        webhook: WebhookId,
        id: DeliveryId,
    ) -> Result<Answer<Delivery>, Error> {
        let unit = self.0.begin(write).await?;
        lock_caller(&*unit, write.caller).await?;
        let found = require_owner(unit.webhooks().hold(webhook).await?, write.caller)?;
        let old = unit.deliveries().find(id).await?.filter(|old| old.delivery.webhook_id == webhook);
        let DeliveryRecord { delivery, payload } = old.ok_or(Error::NotFound("delivery"))?;
        enqueue_immediate(&self.0, unit, &found, delivery.event_id, delivery.event_type, payload).await
    }

    /// Enqueues the jobs of webhooks whose deliveries are stalled: a job may be dead, or an operator may have deleted
    /// it. Returns the webhook after which the scan continues.
    pub async fn requeue_stalled(&self, beyond: Option<WebhookId>) -> Result<Option<WebhookId>, Error> {
        let now = self.0.clock.now();
        let upkeep = self.0.store.read().upkeep();
        let stranded = upkeep.list_stranded(beyond, now - STALLED_AFTER, SCAN_BATCH_SIZE).await?;
        if !stranded.webhooks.is_empty() {
            let transaction = self.0.store.begin().await?;
            enqueue_delivery_jobs(&*transaction, stranded.webhooks, now).await?;
            transaction.commit().await?;
        }
        Ok(stranded.next)
    }
}

impl ServiceContext {
    /// Creates deliveries of events to all subscribed webhooks, in the transaction of the events.
    ///
    /// Lock order, everywhere: webhooks, their jobs, the feed. Projects without webhooks cost one query.
    pub(crate) async fn fan_out(
        &self,
        transaction: &dyn Transaction,
        events: &[NewEvent],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.fan_out_except(transaction, events, &BTreeMap::new(), now).await
    }

    /// Creates deliveries to all subscribed webhooks except `others`, and enqueues the jobs of `others` too. The value
    /// of `others` is true if the webhook is degraded. All jobs are locked in one pass.
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
        let (mut deliveries, mut woken) = (Vec::new(), others.clone());
        for (project, events) in by_project {
            let mut receivers = transaction.deliveries().list_receivers(project).await?;
            receivers.retain(|receiver| !others.contains_key(&receiver.webhook));
            for event in events {
                for receiver in receivers.iter().filter(|receiver| is_subscribed(receiver, event.kind)) {
                    let due = self.webhooks.schedule.after(0, now).unwrap_or(now);
                    let delivery = new_delivery(receiver.webhook, event.id, event.kind, now, due);
                    deliveries.push(DeliveryRecord { delivery, payload: None });
                    woken.insert(receiver.webhook, receiver.is_ailing);
                }
            }
        }
        if woken.is_empty() {
            return Ok(());
        }
        transaction.deliveries().add(&deliveries).await?;
        // In the order of their IDs, which is the lock order.
        enqueue_delivery_jobs(transaction, woken, now).await
    }
}

fn is_subscribed(receiver: &Receiver, kind: EventType) -> bool {
    let named = receiver.events.iter().any(|name| matches!(&**name, "*") || **name == *kind.as_str());
    named && kind.visible_to(receiver.role)
}

/// Enqueues the delivery jobs of webhooks, each with whether it is degraded. A running job runs again.
pub(crate) async fn enqueue_delivery_jobs(
    transaction: &dyn Transaction,
    webhooks: impl IntoIterator<Item = (WebhookId, bool)>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let jobs: Vec<_> = webhooks.into_iter().map(|(webhook, is_ailing)| (webhook, queue_for(is_ailing))).collect();
    transaction.jobs().enqueue_deliveries(&jobs, now).await?;
    Ok(())
}

/// Returns the queue of a webhook. Degraded webhooks have their own, because their requests take long.
pub(crate) const fn queue_for(is_ailing: bool) -> Lane {
    if is_ailing { Lane::Failing } else { Lane::Webhooks }
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

/// Delays between delivery attempts.
#[derive(Debug, Clone)]
pub struct RetrySchedule(Arc<[Duration]>);

/// Maximum delay that a receiver can request by `Retry-After`.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);

impl RetrySchedule {
    /// Creates a schedule from the delay before each attempt.
    #[must_use]
    pub fn new(pauses: &[Duration]) -> Self {
        Self(pauses.into())
    }

    /// Returns the time of the next attempt, or `None` after the last one.
    pub(crate) fn after(&self, attempts: usize, now: Timestamp) -> Option<Timestamp> {
        let pause = *self.0.get(attempts)?;
        // Jitter of up to 10 %, so that deliveries that failed together are not retried together.
        let mut chance = [0; 2];
        // Without randomness, there is no jitter.
        let _ = getrandom::fill(&mut chance);
        Some(now + (pause + pause / 10 / 65_536 * u32::from(u16::from_le_bytes(chance))))
    }

    /// Returns the time of the next attempt, no earlier than `Retry-After` requests.
    pub(crate) fn next_attempt_after(
        &self,
        attempts: usize,
        now: Timestamp,
        retry_after: Option<Timestamp>,
    ) -> Option<Timestamp> {
        let due = self.after(attempts, now)?;
        Some(retry_after.map_or(due, |retry_after| due.max(retry_after.min(now + MAX_RETRY_AFTER))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(seconds: &[u64]) -> RetrySchedule {
        RetrySchedule::new(&seconds.iter().map(|seconds| Duration::from_secs(*seconds)).collect::<Vec<_>>())
    }

    #[test]
    fn an_attempt_is_never_early_and_at_most_a_tenth_late() {
        let (now, schedule) = (Timestamp(1_000), schedule(&[0, 5, 300]));
        assert_eq!(schedule.after(0, now), Some(now));
        for (attempts, pause) in [(1, 5_000), (2, 300_000)] {
            let due: Vec<i64> = (0..200).map(|_| schedule.after(attempts, now).unwrap().0 - now.0).collect();
            assert!(due.iter().all(|due| (pause..=pause + pause / 10).contains(due)), "{due:?}");
            assert!(due.iter().max().unwrap() - due.iter().min().unwrap() > pause / 20, "{due:?}");
        }
        assert_eq!(schedule.after(3, now), None);
    }

    #[test]
    fn retry_after_delays_an_attempt_by_at_most_a_day_and_never_advances_it() {
        let (now, schedule) = (Timestamp(1_000), schedule(&[0, 100]));
        let after = |retry_after: i64| schedule.next_attempt_after(1, now, Some(Timestamp(retry_after))).unwrap().0;
        assert!((101_000..=111_000).contains(&after(0)));
        assert!((101_000..=111_000).contains(&after(50_000)));
        assert_eq!(after(500_000), 500_000);
        assert_eq!(after(i64::MAX), 1_000 + 86_400_000);
        assert_eq!(schedule.next_attempt_after(2, now, Some(Timestamp(500_000))), None);
    }
}
