//! Fan-out: announces new events to webhooks, after the events have committed.
//!
//! A webhook is a cursor over the feed. An announcement raises the sequence number up to which it must read, and
//! enqueues its job. The job finds the events; nothing is stored per event. The position of the fan-out itself is stored
//! with the announcements, so a restart repeats at most a batch, which changes nothing.

use std::collections::BTreeSet;

use super::deliveries::Deliveries;
use super::queue::enqueue_delivery_jobs;
use crate::contract::WebhookId;
use crate::contract::event::EventType;
use crate::repositories::{EventHeader, StoreError, Transaction, WebhookSubscription};
use crate::services::Error;

/// Maximum number of events per round.
const BATCH_SIZE: u64 = 500;

/// Maximum number of announcements in one transaction.
const MAX_PER_TRANSACTION: usize = 500;

/// Number of events without a subscription after which the position is stored all the same.
const STORE_INTERVAL: i64 = 5_000;

impl Deliveries {
    /// Announces the events since the last call. Returns whether there may be more events.
    pub async fn fan_out(&self) -> Result<bool, Error> {
        let repositories = self.context.store.read();
        let mut position = self.fan_out_position.lock().await;
        let stored = repositories.webhooks().announced_through().await?;
        let after = stored.max(*position);
        let events = repositories.events().tail_headers(after, BATCH_SIZE).await?;
        let Some(through) = events.last().map(|event| event.sequence) else { return Ok(false) };
        let webhooks = self.subscribed_webhooks(&events).await?;
        let (rest, last) = webhooks.split_at(webhooks.len().saturating_sub(MAX_PER_TRANSACTION));
        for chunk in rest.chunks(MAX_PER_TRANSACTION) {
            let transaction = self.context.store.begin().await?;
            self.announce(&*transaction, chunk, after, through).await?;
            transaction.commit().await?;
        }
        if !last.is_empty() || through - stored >= STORE_INTERVAL {
            let transaction = self.context.store.begin().await?;
            self.announce(&*transaction, last, after, through).await?;
            transaction.webhooks().set_announced_through(through).await?;
            transaction.commit().await?;
        }
        *position = through;
        Ok(events.len() as u64 == BATCH_SIZE)
    }

    /// Announces events to webhooks, and enqueues the jobs of those that had nothing to send.
    async fn announce(
        &self,
        transaction: &dyn Transaction,
        webhooks: &[WebhookId],
        after: i64,
        through: i64,
    ) -> Result<(), StoreError> {
        let idle = transaction.webhooks().announce(webhooks, after, through).await?;
        enqueue_delivery_jobs(transaction, idle, self.context.clock.now()).await
    }

    /// Lists the webhooks that are subscribed to one of the events, by id, which is the lock order.
    async fn subscribed_webhooks(&self, events: &[EventHeader]) -> Result<Vec<WebhookId>, Error> {
        let projects: BTreeSet<_> = events.iter().map(|event| event.project).collect();
        let projects: Vec<_> = projects.into_iter().collect();
        let subscriptions = self.context.store.read().webhooks().list_subscriptions(&projects).await?;
        let is_subscribed = |subscription: &WebhookSubscription| {
            let mut of_project = events.iter().filter(|event| event.project == subscription.project);
            of_project.any(|event| is_subscribed(subscription, event.kind))
        };
        let webhooks: BTreeSet<_> =
            subscriptions.iter().filter(|one| is_subscribed(one)).map(|subscription| subscription.webhook).collect();
        Ok(webhooks.into_iter().collect())
    }
}

/// Returns whether a webhook is subscribed to a type of events; `None` is a type that a newer version has added.
fn is_subscribed(subscription: &WebhookSubscription, kind: Option<EventType>) -> bool {
    subscription.events.iter().any(|name| &**name == "*" || kind.is_some_and(|kind| **name == *kind.as_str()))
        && kind.is_none_or(|kind| kind.visible_to(subscription.role))
}
