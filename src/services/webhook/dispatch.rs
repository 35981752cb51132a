//! Dispatch: a run of the job of a webhook, which sends what is due.
//!
//! Due are stored deliveries (retries, redeliveries, tests) and the events after the cursor of the webhook.
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
use crate::contract::event::EventType;
use crate::contract::page::Direction;
use crate::contract::{DeliveryId, Timestamp, WebhookId};
use crate::repositories::{
    DueDelivery, EventFilter, EventHeader, EventRange, Queue, Repositories, StoreError, WebhookRecord,
};
use crate::services::error::Error;
use crate::telemetry;

/// Maximum number of deliveries of a run.
const BATCH_SIZE: usize = 50;

/// Delay of a degraded run whose owner or host has reached the limit of concurrent runs or requests.
const RETRY_DELAY: Duration = Duration::from_secs(3);

/// Result of a run.
pub enum DispatchResult {
    /// The due deliveries were attempted.
    Sent(AttemptBatch),
    /// A limit was reached. The job moves to this queue and time.
    Deferred(Queue, Timestamp),
    /// The webhook was deleted.
    WebhookDeleted,
}

/// Error for events of a type that only a newer version can send.
#[derive(Debug, thiserror::Error)]
#[error("the next event has a type that this version does not know")]
struct UnknownEventType;

/// Deliveries of a run: stored ones, then those of new events in the order of the feed.
struct Agenda {
    due: Vec<DueDelivery>,
    /// Sequence number through which no events remain once all are sent.
    end: Option<i64>,
}

impl Deliveries {
    /// Sends what is due for a webhook, outside of any transaction.
    pub async fn dispatch_due(&self, webhook: WebhookId, queue: Queue) -> Result<DispatchResult, Error> {
        self.context.webhooks.client.ensure_ready()?;
        let repositories = self.context.store.read();
        let db_permit = self.limits.acquire_db().await;
        let Some(record) = repositories.webhooks().find(webhook).await? else {
            return Ok(DispatchResult::WebhookDeleted);
        };
        let now = self.context.clock.now();
        // Runs that exceed a limit wait in the degraded queue, without delaying healthy webhooks.
        let later = if queue == Queue::WebhooksDegraded { now + RETRY_DELAY } else { now };
        let busy = DispatchResult::Deferred(Queue::WebhooksDegraded, later);
        let Some(run) = self.limits.try_acquire(queue, record.owner) else { return Ok(busy) };
        let agenda = agenda(repositories, &record, now, self.limits.max_per_run(BATCH_SIZE)).await?;
        let count = agenda.due.len();
        if count == 0 {
            return Ok(DispatchResult::Sent(conclude(webhook, agenda, Vec::new(), now, run)));
        }
        let secrets = signing_secrets(&self.context, repositories, &record).await?;
        drop(db_permit);
        let host = self.context.webhooks.client.host(&record.webhook.url);
        let Some(requests) = self.limits.acquire_requests(queue, &host, count).await else { return Ok(busy) };
        if let Err(at) = self.limits.take_turn(webhook, record.owner, host, count, self.context.clock.now()) {
            return Ok(DispatchResult::Deferred(queue, at));
        }
        let known = (record.webhook.version, secrets);
        let results = self.send_all(webhook, &agenda.due, known, requests.num_permits()).await;
        Ok(DispatchResult::Sent(conclude(webhook, agenda, results, now, run)))
    }

    /// Acquires a permit for database access of a run.
    pub async fn acquire_db(&self) -> Option<SemaphorePermit<'_>> {
        self.limits.acquire_db().await
    }

    /// Sends deliveries, and returns their outcomes in the same order; `None` for those that were not started.
    async fn send_all(
        &self,
        webhook: WebhookId,
        due: &[DueDelivery],
        known: (i64, Vec<SigningKeyWithExpiry>),
        max_concurrent: usize,
    ) -> Vec<Option<Result<DispatchOutcome, Error>>> {
        let dispatcher = &Dispatcher {
            context: &self.context,
            limits: &self.limits,
            webhook,
            known: Arc::new(known),
            client: self.context.webhooks.client.clone(),
            started_at: Instant::now(),
            max_concurrent,
            has_unsubscribed: AtomicBool::new(false),
        };
        let sending = stream::iter(due.iter().copied().enumerate()).map(|(number, delivery)| {
            let span = tracing::error_span!("delivery", webhook.id = %webhook, delivery.id = %delivery.id);
            let trace = telemetry::delivery_span(delivery.id);
            async move { (number, dispatcher.send(number, delivery).instrument(trace).instrument(span).await) }
        });
        let mut results: Vec<_> = sending.buffer_unordered(max_concurrent).collect().await;
        results.sort_by_key(|(number, _)| *number);
        results.into_iter().map(|(_, result)| result).collect()
    }
}

/// Loads what is due for a webhook, at most `limit` deliveries.
async fn agenda(
    repositories: &dyn Repositories,
    record: &WebhookRecord,
    now: Timestamp,
    limit: usize,
) -> Result<Agenda, Error> {
    let (webhook, cursor) = (&record.webhook, record.cursor);
    let reads_events = webhook.enabled && cursor.has_backlog();
    // Retries leave room for new events.
    let stored = if reads_events { limit.div_ceil(2) } else { limit };
    let mut due = repositories.deliveries().list_due(webhook.id, now, stored as u64).await?;
    if !reads_events {
        return Ok(Agenda { due, end: None });
    }
    let limit = limit - due.len();
    let events = list_events(repositories, record, limit as u64).await?;
    let is_last = events.len() < limit;
    let mut end = is_last.then_some(cursor.pending_through);
    for event in events {
        let Some(event_type) = event.kind else {
            if due.is_empty() {
                return Err(Error::corrupt(UnknownEventType));
            }
            end = None;
            break;
        };
        let (id, sequence) = (DeliveryId::generate(), Some(event.sequence));
        due.push(DueDelivery { id, event_id: event.id, event_type, created_at: now, sequence });
    }
    Ok(Agenda { due, end })
}

/// Lists the next events of a webhook that its owner may see.
async fn list_events(
    repositories: &dyn Repositories,
    record: &WebhookRecord,
    limit: u64,
) -> Result<Vec<EventHeader>, StoreError> {
    let names = &record.webhook.events;
    let is_all = names.iter().any(|name| &**name == "*");
    let kinds: Vec<_> = names.iter().filter_map(|name| EventType::parse(name)).collect();
    if kinds.is_empty() && !is_all {
        return Ok(Vec::new());
    }
    let filter = EventFilter { project: record.webhook.project_id, kinds: if is_all { Vec::new() } else { kinds } };
    let range = EventRange { after: Some(record.cursor.position), direction: Direction::Asc, limit };
    repositories.events().list_headers(record.owner, &filter, range).await
}

/// Sums up a run. The cursor moves to the last event that was started; what failed before it gets a stored delivery.
fn conclude(
    webhook: WebhookId,
    agenda: Agenda,
    results: Vec<Option<Result<DispatchOutcome, Error>>>,
    now: Timestamp,
    permit: DeliveryPermit,
) -> AttemptBatch {
    let started = results.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    let is_complete = started == agenda.due.len();
    let last_sequence = agenda.due.iter().take(started).filter_map(|due| due.sequence).max();
    let position = if is_complete { last_sequence.max(agenda.end) } else { last_sequence };
    let mut failure = None;
    let outcomes = agenda.due.into_iter().zip(results).take(started).map(|(due, result)| match result {
        Some(Ok(outcome)) => outcome,
        // One unreadable event does not block the others. The job fails after they are recorded.
        Some(Err(error)) => {
            failure = Some(error);
            DispatchOutcome::Postponed(due, now)
        }
        None => DispatchOutcome::Postponed(due, now),
    });
    let sent = outcomes.collect();
    AttemptBatch { webhook, position, sent, failure, _permit: permit }
}
