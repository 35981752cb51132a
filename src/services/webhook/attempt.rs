//! One delivery attempt: loads the current message, signs it and sends it.
//!
//! Permissions and the webhook are read right before each request, not once per run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use poem_openapi::types::ToJSON as _;
use tokio::time::{Duration, Instant};

use super::disabled_reason::is_revoked;
use super::limits::{DeliveryLimits, DeliveryPermit};
use super::retry::next_attempt_at;
use crate::contract::event::EventType;
use crate::contract::strings::WebhookUrl;
use crate::contract::webhook::delivery::DeliveryAttempt;
use crate::contract::{Timestamp, WebhookId};
use crate::repositories::{DeliverableEvent, DueDelivery, Repositories, WebhookRecord};
use crate::services::{Error, ServiceContext};
use crate::telemetry;
use crate::webhooks::{Client, Outcome, RetryAfter, SigningKey, signature};

/// HTTP status by which a receiver unsubscribes.
pub(crate) const STATUS_GONE: u16 = 410;

/// Time after which a run starts no further request, so that it ends in time.
const START_DEADLINE: Duration = Duration::from_secs(4);

/// Attempts of one run. It holds the permit of the run.
pub struct AttemptBatch {
    pub(crate) webhook: WebhookId,
    /// Sequence number to which the cursor of the webhook moves.
    pub(crate) position: Option<i64>,
    pub(crate) sent: Vec<DispatchOutcome>,
    pub(crate) failure: Option<Error>,
    pub(crate) _permit: DeliveryPermit,
}

pub(crate) enum DispatchOutcome {
    /// The delivery is no longer permitted.
    NotPermitted(DueDelivery),
    /// The delivery waits until a time without having been attempted.
    Postponed(DueDelivery, Timestamp),
    Attempted(Attempt),
}

pub(crate) struct Attempt {
    pub(crate) due: DueDelivery,
    pub(crate) url: WebhookUrl,
    pub(crate) result: DeliveryAttempt,
    pub(crate) retry_after: Option<Timestamp>,
}

impl Attempt {
    pub(crate) fn is_test(&self) -> bool {
        self.due.event_type == EventType::WebhookTest
    }
}

impl AttemptBatch {
    /// Returns the attempts.
    pub(crate) fn attempts(&self) -> impl Iterator<Item = &Attempt> {
        self.sent.iter().filter_map(|outcome| match outcome {
            DispatchOutcome::Attempted(attempt) => Some(attempt),
            DispatchOutcome::NotPermitted(_) | DispatchOutcome::Postponed(..) => None,
        })
    }

    /// Takes the error that kept a due delivery from being sent.
    pub const fn take_failure(&mut self) -> Option<Error> {
        self.failure.take()
    }
}

/// Signing key, and its expiry if it was replaced.
pub(crate) type SigningKeyWithExpiry = (SigningKey, Option<Timestamp>);

/// The stored webhook secret could not be decoded.
#[derive(Debug, thiserror::Error)]
#[error("the stored webhook secret could not be decoded")]
struct InvalidSecret;

/// Sender of the deliveries of one run.
pub(crate) struct Dispatcher<'d> {
    pub(crate) context: &'d ServiceContext,
    pub(crate) limits: &'d DeliveryLimits,
    pub(crate) webhook: WebhookId,
    /// Secrets and the version of the webhook at which they were read.
    pub(crate) known: Arc<(i64, Vec<SigningKeyWithExpiry>)>,
    pub(crate) client: Client,
    pub(crate) started_at: Instant,
    pub(crate) max_concurrent: usize,
    /// True if the receiver has unsubscribed.
    pub(crate) has_unsubscribed: AtomicBool,
}

struct OutgoingMessage {
    url: WebhookUrl,
    secrets: Arc<(i64, Vec<SigningKeyWithExpiry>)>,
    body: String,
}

impl Dispatcher<'_> {
    /// Sends a delivery if it is still permitted. Returns `None` if it stays due.
    pub(crate) async fn send(&self, number: usize, due: DueDelivery) -> Option<Result<DispatchOutcome, Error>> {
        if !may_start_request(number, self.max_concurrent, self.started_at.elapsed()) {
            return None;
        }
        if let Some(at) = self.first_attempt_at(&due) {
            return Some(Ok(DispatchOutcome::Postponed(due, at)));
        }
        let message = match self.message(&due).await {
            Ok(Some(message)) => message,
            Ok(None) => return Some(Ok(DispatchOutcome::NotPermitted(due))),
            Err(error) => return Some(Err(error)),
        };
        if self.has_unsubscribed.load(Ordering::Relaxed) {
            return None;
        }
        let attempt = self.post(due, message).await;
        if !attempt.is_test() && attempt.result.status_code == Some(STATUS_GONE) {
            self.has_unsubscribed.store(true, Ordering::Relaxed);
        }
        Some(Ok(DispatchOutcome::Attempted(attempt)))
    }

    /// Returns the time of the first attempt at a new event, if it has a delay.
    fn first_attempt_at(&self, due: &DueDelivery) -> Option<Timestamp> {
        let (delays, now) = (&self.context.webhooks.retry_delays, due.created_at);
        due.sequence.and_then(|_| next_attempt_at(delays, 0, now, None)).filter(|at| *at > now)
    }

    /// Loads the current message, or `None` if the delivery is no longer permitted.
    async fn message(&self, due: &DueDelivery) -> Result<Option<OutgoingMessage>, Error> {
        let repositories = self.context.store.read();
        let _db_permit = self.limits.acquire_db().await;
        let found = match due.event_type {
            EventType::WebhookTest => load_test_message(repositories, self.webhook, due).await?,
            _ => load_event_message(repositories, self.webhook, due).await?,
        };
        let Some((record, body)) = found else { return Ok(None) };
        let version = record.webhook.version;
        let secrets = if version == self.known.0 {
            Arc::clone(&self.known)
        } else {
            Arc::new((version, signing_secrets(self.context, repositories, &record).await?))
        };
        Ok(Some(OutgoingMessage { url: record.webhook.url, secrets, body }))
    }

    async fn post(&self, due: DueDelivery, message: OutgoingMessage) -> Attempt {
        let at = self.context.clock.now();
        let OutgoingMessage { url, secrets, body } = message;
        let good = secrets.1.iter().filter(|(_, until)| until.is_none_or(|until| until > at));
        let (id, timestamp) = (due.event_id.to_string(), at.as_secs());
        let signature = signature(good.map(|(secret, _)| secret), &id, timestamp, &body);
        let headers =
            [("webhook-id", id), ("webhook-timestamp", timestamp.to_string()), ("webhook-signature", signature)];
        let Outcome { status_code, error, duration, excerpt, retry_after } =
            self.client.post(&url, &headers, body).await;
        let retry_after = retry_after.map(|retry_after| match retry_after {
            RetryAfter::Seconds(seconds) => self.context.clock.now() + Duration::from_secs(seconds),
            RetryAfter::At(time) => time,
        });
        let kind = match status_code {
            _ if crate::webhooks::is_success(status_code, error.as_deref()) => "delivered",
            Some(_) => "rejected",
            None => "unreachable",
        };
        telemetry::record_delivery_attempt(kind, duration);
        let duration_ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        tracing::debug!(http.status = status_code, error = error.as_deref(), duration_ms, "delivery attempted");
        let result = DeliveryAttempt { at, status_code, error, duration_ms, response_excerpt: excerpt };
        Attempt { due, url, result, retry_after }
    }
}

/// Returns whether a run may start another request.
/// The first `max_concurrent` requests always start; otherwise a slow run would be rescheduled forever without making
/// progress.
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
    if owner.is_none_or(|owner| !owner.is_active()) {
        return Ok(None);
    }
    // A password reset cancels the tests requested before it. The owner may still request new ones.
    if is_revoked(&record.webhook) && due.created_at <= record.webhook.updated_at {
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
    let found = repositories.deliveries().find_deliverable(webhook, due.event_id).await?;
    let Some(DeliverableEvent { webhook: record, role, event }) = found else { return Ok(None) };
    let cancelled_through = record.health.cancel_through.filter(|_| due.sequence.is_none());
    let is_cancelled = cancelled_through.is_some_and(|until| due.created_at <= until);
    let is_permitted = record.webhook.enabled && !is_cancelled && event.kind.visible_to(role);
    Ok(is_permitted.then(|| (record, event.to_json_string())))
}

/// Returns the signing secret and, during a rotation, the previous ones.
pub(crate) async fn signing_secrets(
    context: &ServiceContext,
    repositories: &dyn Repositories,
    record: &WebhookRecord,
) -> Result<Vec<SigningKeyWithExpiry>, Error> {
    let aad = record.webhook.id.to_string();
    let open = |sealed: Vec<u8>| {
        let secret = context.webhooks.sealer.open(&aad, sealed)?;
        let secret = String::from_utf8(secret).ok().and_then(|secret| SigningKey::parse(&secret));
        secret.ok_or_else(|| Error::corrupt(InvalidSecret))
    };
    let former = repositories.webhooks().list_previous_secrets(record.webhook.id, context.clock.now()).await?;
    let mut secrets = vec![(open(record.secret.clone())?, None)];
    for former in former {
        secrets.push((open(former.secret)?, Some(former.until)));
    }
    Ok(secrets)
}

pub(crate) fn is_success(attempt: &DeliveryAttempt) -> bool {
    crate::webhooks::is_success(attempt.status_code, attempt.error.as_deref())
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
