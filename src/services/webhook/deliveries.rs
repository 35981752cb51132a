//! Deliveries: which webhooks are told of an event, and the log that their owners read. How they are sent is in
//! `sending`.

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

/// After so long what is due and not done is looked after.
const STALLED_AFTER: Duration = Duration::from_hours(1);

/// As many webhooks are looked at by one statement for that.
const SCAN_BATCH_SIZE: u64 = 500;

/// Deliveries.
#[derive(Clone)]
pub struct Deliveries(pub(crate) Arc<ServiceContext>);

impl Deliveries {
    pub(crate) const fn new(shared: Arc<ServiceContext>) -> Self {
        Self(shared)
    }

    /// The deliveries of a webhook of the caller.
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

    /// Delivers the event of a delivery once more, as a delivery of its own.
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

    /// Promises the jobs anew of webhooks that have had something to do for long: a job may die of what has passed
    /// since, or be lost by the hand of an operator, and nothing is to wait for ever. Looks at some of the webhooks, and
    /// says beyond which to go on.
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
    /// Promises the deliveries of events, in the transaction that makes them and right before they are appended:
    /// webhooks are locked first, then their jobs, then the feed, by everybody who locks more than one of them.
    ///
    /// Where nobody listens to a project it costs one look.
    pub(crate) async fn fan_out(
        &self,
        transaction: &dyn Transaction,
        events: &[NewEvent],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.fan_out_except(transaction, events, &BTreeMap::new(), now).await
    }

    /// Promises the deliveries of events to all webhooks except `others`, and enqueues the jobs of `others` too, each
    /// with whether it is ailing. The jobs of both are locked in one pass.
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
        // In the order of their ids, as everybody locks several.
        enqueue_delivery_jobs(transaction, woken, now).await
    }
}

fn is_subscribed(receiver: &Receiver, kind: EventType) -> bool {
    let named = receiver.events.iter().any(|name| matches!(&**name, "*") || **name == *kind.as_str());
    named && kind.visible_to(receiver.role)
}

/// Has the jobs of webhooks run, or look again before their end. With each webhook goes whether it is ailing.
pub(crate) async fn enqueue_delivery_jobs(
    transaction: &dyn Transaction,
    webhooks: impl IntoIterator<Item = (WebhookId, bool)>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let jobs: Vec<_> = webhooks.into_iter().map(|(webhook, is_ailing)| (webhook, queue_for(is_ailing))).collect();
    transaction.jobs().enqueue_deliveries(&jobs, now).await?;
    Ok(())
}

/// Which workers deliver to a webhook: those that do not answer well or soon are kept apart, because they take long.
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

/// When deliveries are apply_attempt.
#[derive(Debug, Clone)]
pub struct RetrySchedule(Arc<[Duration]>);

/// A receiver may put the next attempt off, but not for ever.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);

impl RetrySchedule {
    /// The pauses before each attempt.
    #[must_use]
    pub fn new(pauses: &[Duration]) -> Self {
        Self(pauses.into())
    }

    /// When to attempt it again after so many attempts; `None`: not at all.
    pub(crate) fn after(&self, attempts: usize, now: Timestamp) -> Option<Timestamp> {
        let pause = *self.0.get(attempts)?;
        // Up to a tenth later, so that what failed together does not come back together.
        let mut chance = [0; 2];
        // Without chance it does come back together, which is not worth a failure.
        let _ = getrandom::fill(&mut chance);
        Some(now + pause + pause / 10 / 65_536 * u32::from(u16::from_le_bytes(chance)))
    }

    /// The same when the receiver wishes for a time.
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
    fn a_receiver_may_put_an_attempt_off_for_a_day_and_not_bring_it_forward() {
        let (now, schedule) = (Timestamp(1_000), schedule(&[0, 100]));
        let after = |retry_after: i64| schedule.next_attempt_after(1, now, Some(Timestamp(retry_after))).unwrap().0;
        assert!((101_000..=111_000).contains(&after(0)));
        assert!((101_000..=111_000).contains(&after(50_000)));
        assert_eq!(after(500_000), 500_000);
        assert_eq!(after(i64::MAX), 1_000 + 86_400_000);
        assert_eq!(schedule.next_attempt_after(2, now, Some(Timestamp(500_000))), None);
    }
}
