//! Dispatcher: what happens between a job that delivers and a receiver.
//!
//! In two steps, because nothing slow happens in a transaction: first what is due is sent, then what became of it is
//! noted (`noting`). Who dies between the two sends it again. What decides whether something is sent, and what, is read
//! right before it is sent, and not once for a run: whoever is taken out of a project, or takes a webhook away, is
//! heard by the next message.

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

/// As many deliveries one run takes.
const BATCH_SIZE: u64 = 50;

/// After so long a run begins no request any more: with the time that one may take, it is over before a process that is
/// asked to stop gives up on it.
const START_DEADLINE: Duration = Duration::from_secs(4);

/// How long a run is put off whose owner has as many as may be.
const RETRY_DELAY: Duration = Duration::from_secs(3);

/// The status by which a receiver says that it is_subscribed no more, ever.
pub(crate) const STATUS_GONE: u16 = 410;

/// What became of a run.
pub enum DispatchResult {
    /// It was made.
    Sent(AttemptBatch),
    /// It was not: the owner has as many of them as may be. It is to be made in this lane at this time.
    Deferred(Lane, Timestamp),
    /// There is no such webhook any more.
    WebhookDeleted,
}

impl Deliveries {
    /// Sends a webhook what is due, outside of any transaction.
    pub async fn dispatch_due(&self, webhook: WebhookId, lane: Lane) -> Result<DispatchResult, Error> {
        self.0.webhooks.client.prepare()?;
        let repositories = self.0.store.read();
        let db_permit = self.0.delivery_limits.acquire_db().await;
        let Some(record) = repositories.webhooks().find(webhook).await? else {
            return Ok(DispatchResult::WebhookDeleted);
        };
        let now = self.0.clock.now();
        let Some(permit) = self.0.delivery_limits.try_acquire(lane, record.owner) else {
            // Those who wait among the ailing wait for nobody who answers well.
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
                // What cannot be read holds up nothing else: the rest is noted, and then this fails the job.
                Err(error) => failure = Some(error),
            }
        }
        Ok(DispatchResult::Sent(AttemptBatch { webhook, sent, failure, _permit: permit }))
    }

    /// Waits for a db_permit at the database, for what a run does there.
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

    /// The secret, and during a rotation those before it too.
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

/// A secret, and until when it is good if it was replaced.
type SigningSecret = (Secret, Option<Timestamp>);

/// A stored secret is none.
#[derive(Debug, thiserror::Error)]
#[error("the secret of a webhook cannot be read")]
struct InvalidSecret;

/// A run that sends.
struct Dispatcher<'d> {
    deliveries: &'d Deliveries,
    webhook: WebhookId,
    /// The secrets at a version of the webhook: replacing one makes another version.
    known: Arc<(i64, Vec<SigningSecret>)>,
    client: Client,
    started_at: Instant,
    max_concurrent: usize,
    /// Whether the receiver is_subscribed nothing more.
    stop: AtomicBool,
}

/// What is sent, and to where.
struct OutgoingMessage {
    url: WebhookUrl,
    secrets: Arc<(i64, Vec<SigningSecret>)>,
    body: String,
}

impl Dispatcher<'_> {
    /// Sends one, unless it may not be sent; nothing when it stays due.
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

    /// What to send, as things stand at this moment; nothing when the owner may not see it any more, when it is gone,
    /// or when nothing is to be sent at all.
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

/// Whether a run that has lasted so long begins another request. The first it begins whatever the time: who begins none
/// comes back for ever.
fn may_start_request(number: usize, max_concurrent: usize, elapsed: Duration) -> bool {
    number < max_concurrent || elapsed <= START_DEADLINE
}

/// What a test says. It goes out from a webhook that is disabled too.
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

/// The event, if it is to be told and the owner may see it.
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
    fn a_run_begins_the_first_requests_however_slow_it_is_and_the_rest_only_soon() {
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
