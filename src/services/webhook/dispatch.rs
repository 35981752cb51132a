//! Dispatch: sends the due deliveries of a webhook.
//!
//! AlwaysNull slow happens in a transaction: a run sends first and records the outcome afterwards (see `record`). A worker
//! that crashes in between causes a second attempt (at-least-once delivery). Permissions and the webhook are read right
//! before each request, not once per run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{StreamExt as _, stream};
use tokio::sync::SemaphorePermit;
use tokio::time::{Duration, Instant};

use super::deliveries::Deliveries;
use super::limits::DeliveryPermit;
use super::record::{Attempt, AttemptBatch, DispatchOutcome};
use crate::contract::event::EventType;
use crate::contract::strings::WebhookUrl;
use crate::contract::webhook::delivery::DeliveryAttempt;
use crate::contract::{Timestamp, WebhookId};
use crate::repositories::{DueDelivery, Lane, Repositories, Visible, WebhookRecord};
use crate::services::account::grants;
use crate::services::error::Error;
use crate::services::event::stream::to_json;
use crate::webhooks::{Client, Outcome, RetryAfter, Secret, signature};

/// Maximum number of deliveries per run.
const BATCH_SIZE: u64 = 50;

/// Time after which a run starts no further request, so that it ends within the shutdown timeout.
const START_DEADLINE: Duration = Duration::from_secs(4);

/// Delay of a run whose owner has reached the limit of concurrent runs.
const RETRY_DELAY: Duration = Duration::from_secs(3);

/// HTTP status by which a receiver unsubscribes.
pub(crate) const STATUS_GONE: u16 = 410;

/// Result of a run.
pub enum DispatchResult {
    /// The due deliveries were attempted.
    Sent(AttemptBatch),
    /// The owner has reached the limit of concurrent runs. The job moves to this queue at this time.
    Deferred(Lane, Timestamp),
    /// The webhook was deleted.
    WebhookDeleted,
}

impl Deliveries {
    /// Sends the due deliveries of a webhook, outside of any transaction.
    pub async fn dispatch_due(&self, webhook: WebhookId, lane: Lane) -> Result<DispatchResult, Error> {
        self.0.webhooks.client.prepare()?;
        let repositories = self.0.store.read();
        let db_permit = self.0.delivery_limits.acquire_db().await;
        let Some(record) = repositories.webhooks().find(webhook).await? else {
            return Ok(DispatchResult::WebhookDeleted);
        };
        let now = self.0.clock.now();
        let Some(permit) = self.0.delivery_limits.try_acquire(lane, record.owner) else {
            // Runs that exceed the limit wait in the degraded queue, without delaying healthy webhooks.
            let at = if lane == Lane::Failing { now + RETRY_DELAY } else { now };
            return Ok(DispatchResult::Deferred(Lane::Failing, at));
        };
        let due = repositories.deliveries().list_due(webhook, now, BATCH_SIZE).await?;
        let secrets = self.secrets(repositories, &record).await?;
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
        self.0.delivery_limits.acquire_db().await
    }

    async fn send_all(
        &self,
        webhook: WebhookId,
        due: Vec<DueDelivery>,
        known: (i64, Vec<SigningSecret>),
        permit: &DeliveryPermit,
    ) -> Vec<Result<DispatchOutcome, Error>> {
        let sending = Dispatcher {
            deliveries: self,
            webhook,
            known: Arc::new(known),
            client: self.0.webhooks.client.with_lookups(permit.lookups()),
            started_at: Instant::now(),
            max_concurrent: permit.max_concurrent_requests(),
            stop: AtomicBool::new(false),
        };
        let results = stream::iter(due).enumerate().map(|(number, one)| sending.send(number, one));
        results.buffer_unordered(sending.max_concurrent).filter_map(std::future::ready).collect().await
    }

    /// Returns the signing secret and, during a rotation, the previous ones.
    async fn secrets(
        &self,
        repositories: &dyn Repositories,
        record: &WebhookRecord,
    ) -> Result<Vec<SigningSecret>, Error> {
        let context = record.webhook.id.to_string();
        let open = |sealed: Vec<u8>| {
            let secret = self.0.webhooks.sealer.open(&context, sealed)?;
            let secret = String::from_utf8(secret).ok().and_then(|secret| Secret::parse(&secret));
            secret.ok_or_else(|| Error::corrupt(InvalidSecret))
        };
        let former = repositories.webhooks().list_former_secrets(record.webhook.id, self.0.clock.now()).await?;
        let mut secrets = vec![(open(record.secret.clone())?, None)];
        for former in former {
            secrets.push((open(former.secret)?, Some(former.until)));
        }
        Ok(secrets)
    }
}

/// Secret, and its expiry if it was replaced.
type SigningSecret = (Secret, Option<Timestamp>);

/// The stored webhook secret could not be decoded.
#[derive(Debug, thiserror::Error)]
#[error("the stored webhook secret could not be decoded")]
struct InvalidSecret;

/// Sender of the deliveries of one run.
struct Dispatcher<'d> {
    deliveries: &'d Deliveries,
    webhook: WebhookId,
    /// Secrets and the version of the webhook at which they were read.
    known: Arc<(i64, Vec<SigningSecret>)>,
    client: Client,
    started_at: Instant,
    max_concurrent: usize,
    /// True if the receiver has unsubscribed.
    stop: AtomicBool,
}

/// Message that is about to be sent.
struct OutgoingMessage {
    url: WebhookUrl,
    secrets: Arc<(i64, Vec<SigningSecret>)>,
    body: String,
}

impl Dispatcher<'_> {
    /// Sends a delivery unless it is no longer permitted. Returns `None` if it stays due.
    async fn send(&self, number: usize, due: DueDelivery) -> Option<Result<DispatchOutcome, Error>> {
        if !may_start_request(number, self.max_concurrent, self.started_at.elapsed()) {
            return None;
        }
        let message = match self.message(&due).await {
            Ok(Some(message)) => message,
            Ok(None) => return Some(Ok(DispatchOutcome::NotPermitted(due.id))),
            Err(error) => return Some(Err(error)),
        };
        if self.stop.load(Ordering::Relaxed) {
            return None;
        }
        let tried = self.post(&due, message).await;
        if !tried.is_test && tried.attempt.status_code == Some(STATUS_GONE) {
            self.stop.store(true, Ordering::Relaxed);
        }
        Some(Ok(DispatchOutcome::Attempted(tried)))
    }

    /// Loads the current message, or `None` if the delivery is no longer permitted.
    async fn message(&self, due: &DueDelivery) -> Result<Option<OutgoingMessage>, Error> {
        let shared = &self.deliveries.0;
        let repositories = shared.store.read();
        let _db_permit = shared.delivery_limits.acquire_db().await;
        let found = match due.event_type {
            EventType::WebhookTest => load_test_message(repositories, self.webhook, due).await?,
            _ => load_event_message(repositories, self.webhook, due).await?,
        };
        let Some((record, body)) = found else { return Ok(None) };
        let version = record.webhook.version;
        let secrets = if version == self.known.0 {
            Arc::clone(&self.known)
        } else {
            Arc::new((version, self.deliveries.secrets(repositories, &record).await?))
        };
        Ok(Some(OutgoingMessage { url: record.webhook.url, secrets, body }))
    }

    async fn post(&self, due: &DueDelivery, message: OutgoingMessage) -> Attempt {
        let shared = &self.deliveries.0;
        let at = shared.clock.now();
        let OutgoingMessage { url, secrets, body } = message;
        let good = secrets.1.iter().filter(|(_, until)| until.is_none_or(|until| until > at));
        let (id, timestamp) = (due.event_id.to_string(), at.as_secs());
        let signature = signature(good.map(|(secret, _)| secret), &id, timestamp, &body);
        let headers =
            [("webhook-id", id), ("webhook-timestamp", timestamp.to_string()), ("webhook-signature", signature)];
        let Outcome { status_code, error, duration, excerpt, retry_after } =
            self.client.post(&url, &headers, body).await;
        let retry_after = retry_after.map(|retry_after| match retry_after {
            RetryAfter::Seconds(seconds) => shared.clock.now() + Duration::from_secs(seconds),
            RetryAfter::At(time) => time,
        });
        let duration_ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let attempt = DeliveryAttempt { at, status_code, error, duration_ms, response_excerpt: excerpt };
        Attempt { id: due.id, is_test: due.event_type == EventType::WebhookTest, url, attempt, retry_after }
    }
}

/// Returns whether a run may start another request. The first `max_concurrent` requests always start; otherwise a slow
/// run would be rescheduled forever without making progress.
fn may_start_request(number: usize, max_concurrent: usize, elapsed: Duration) -> bool {
    number < max_concurrent || elapsed <= START_DEADLINE
}

/// Loads a test message. Disabled webhooks can be tested too.
async fn load_test_message(
    repositories: &dyn Repositories,
    webhook: WebhookId,
    due: &DueDelivery,
) -> Result<Option<(WebhookRecord, String)>, Error> {
    let Some(record) = repositories.webhooks().find(webhook).await? else { return Ok(None) };
    let owner = repositories.users().find_credentials(record.owner).await?;
    if owner.is_none_or(|owner| owner.deleted_at.is_some()) {
        return Ok(None);
    }
    // A password reset cancels the tests requested before it. The owner may still request new ones.
    if grants::is_revoked(&record.webhook) && due.created_at <= record.webhook.updated_at {
        return Ok(None);
    }
    let found = repositories.deliveries().find(due.id).await?;
    Ok(found.and_then(|found| found.payload).map(|body| (record, body)))
}

/// Loads an event, if the webhook is enabled and its owner may see the event.
async fn load_event_message(
    repositories: &dyn Repositories,
    webhook: WebhookId,
    due: &DueDelivery,
) -> Result<Option<(WebhookRecord, String)>, Error> {
    let found = repositories.deliveries().find_visible(webhook, due.event_id).await?;
    let Some(Visible { webhook: record, role, event }) = found else { return Ok(None) };
    let is_given_up = record.health.giving_up.is_some_and(|until| due.created_at <= until);
    let is_told = record.webhook.enabled && !is_given_up && event.kind.visible_to(role);
    Ok(is_told.then(|| (record, to_json(&event))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_run_starts_its_first_requests_and_no_further_ones() {
        let late = START_DEADLINE + Duration::from_millis(1);
        for (number, max_concurrent, elapsed, begins) in [
            (0, 8, late * 100, true),
            (7, 8, late, true),
            (8, 8, late, false),
            (8, 8, START_DEADLINE, true),
            (0, 1, late, true),
            (1, 1, late, false),
            (49, 8, Duration::ZERO, true),
        ] {
            assert_eq!(
                may_start_request(number, max_concurrent, elapsed),
                begins,
                "{number} of {max_concurrent} after {elapsed:?}"
            );
        }
    }
}
