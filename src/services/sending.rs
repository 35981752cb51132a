//! Sending: what happens between a job that delivers and a receiver.
//!
//! In two steps, because nothing slow happens in a transaction: first all that is due is sent, then what became of it
//! is noted. Who dies between the two sends it again.

use futures_util::{StreamExt as _, stream};
use poem_openapi::types::ToJSON as _;
use tokio::time::{Duration, Instant};

use super::deliveries::{Deliveries, lane};
use super::error::Error;
use crate::contract::delivery::{Delivery, DeliveryAttempt, DeliveryStatus};
use crate::contract::event::EventType;
use crate::contract::project::Role;
use crate::contract::webhook::Webhook;
use crate::contract::{ProjectId, Timestamp, WebhookId};
use crate::repositories::{DeliveryRecord, Job, Lane, Repositories, Transaction, WebhookRecord};
use crate::webhooks::{Outcome, RetryAfter, Secret, signature};

/// As many deliveries one run takes.
const AT_ONCE: u64 = 50;

/// As many requests one receiver gets at once.
const REQUESTS_AT_ONCE: usize = 8;

/// After so long a run begins no request any more: with the time that one may take, it is over before a process that is
/// asked to stop gives up on it.
const BEGUN_WITHIN: Duration = Duration::from_secs(4);

/// After so long of nothing but failure a webhook is disabled.
const PATIENCE: Duration = Duration::from_hours(5 * 24);

/// The status by which a receiver says that it wants no more, ever.
const GONE: u16 = 410;

const WAS_GONE: &str = "The receiver answered with the status 410: it wants no more events.";
const KEPT_FAILING: &str = "Every attempt has failed for five days.";

/// What one run has sent, in the order in which it became known.
pub struct Round {
    webhook: WebhookId,
    results: Vec<Sent>,
}

enum Sent {
    /// It must not be sent any more.
    Forbidden(Delivery),
    Tried(Delivery, DeliveryAttempt, Option<Timestamp>),
}

impl Deliveries {
    /// Sends a webhook what is due, outside of any transaction.
    pub async fn send_due(&self, webhook: WebhookId) -> Result<Round, Error> {
        let begin = Instant::now();
        let repositories = self.0.store.read();
        let Some(record) = repositories.webhooks().find(webhook).await? else {
            return Ok(Round { webhook, results: Vec::new() });
        };
        let due = repositories.deliveries().list_due(webhook, self.0.clock.now(), AT_ONCE).await?;
        let memberships = repositories.events().memberships(record.owner).await?;
        let secrets = self.secrets(&record)?;
        let mut messages = Vec::new();
        for one in due {
            let body = body(repositories, &record.webhook, memberships.as_deref(), &one).await?;
            messages.push((one.delivery, body));
        }
        let (record, secrets) = (&record, &secrets);
        let results = stream::iter(messages).map(|(delivery, body)| async move {
            let Some(body) = body else { return Some(Sent::Forbidden(delivery)) };
            // What is not begun stays due.
            if begin.elapsed() > BEGUN_WITHIN {
                return None;
            }
            Some(self.send(record, secrets, delivery, body).await)
        });
        let results = results.buffer_unordered(REQUESTS_AT_ONCE).filter_map(std::future::ready).collect().await;
        Ok(Round { webhook, results })
    }

    /// Notes what became of what was sent, and says when and where to go on. Whoever calls holds the job of the
    /// webhook, so that what is promised from now on waits until it has ended, or is seen here.
    pub async fn note(&self, transaction: &dyn Transaction, round: Round) -> Result<Option<(Lane, Timestamp)>, Error> {
        let Some(record) = transaction.webhooks().lock(round.webhook).await? else { return Ok(None) };
        let (mut failing_since, mut reason) = (record.failing_since, None);
        for result in round.results {
            let delivery = match result {
                Sent::Forbidden(delivery) => failed(delivery),
                Sent::Tried(delivery, attempt, wish) => {
                    let is_test = delivery.event_type == EventType::WebhookTest;
                    if is_success(&attempt) {
                        failing_since = None;
                    } else if !is_test {
                        let since = *failing_since.get_or_insert(attempt.at);
                        if attempt.status_code == Some(GONE) {
                            reason = Some(WAS_GONE);
                        } else if since <= attempt.at.minus(PATIENCE) {
                            reason = Some(reason.unwrap_or(KEPT_FAILING));
                        }
                    }
                    self.attempted(delivery, attempt, wish)
                }
            };
            transaction.deliveries().update(&delivery).await?;
        }
        let now = self.0.clock.now();
        let mut webhook = record.webhook;
        let disabling = reason.filter(|_| webhook.enabled);
        if let Some(reason) = disabling {
            webhook.enabled = false;
            webhook.disabled_reason = Some(reason.to_owned());
            webhook.version += 1;
            webhook.updated_at = now;
            transaction.jobs().enqueue(&Job::WebhookDisabledEmail { webhook: webhook.id }, now, now).await?;
            tracing::info!(webhook.id = %webhook.id, reason, "a webhook is disabled");
        }
        if disabling.is_some() || failing_since != record.failing_since {
            transaction.webhooks().update(&webhook, failing_since).await?;
        }
        if !webhook.enabled {
            transaction.deliveries().give_up(webhook.id).await?;
        }
        let next = transaction.deliveries().next_due(webhook.id).await?;
        Ok(next.map(|next| (lane(failing_since.is_some()), next.max(now))))
    }

    async fn send(&self, record: &WebhookRecord, secrets: &[Secret], delivery: Delivery, body: String) -> Sent {
        let at = self.0.clock.now();
        let (id, timestamp) = (delivery.event_id.to_string(), at.seconds());
        let signature = signature(secrets, &id, timestamp, &body);
        let headers =
            [("webhook-id", id), ("webhook-timestamp", timestamp.to_string()), ("webhook-signature", signature)];
        let Outcome { status_code, error, duration, excerpt, retry_after } =
            self.0.webhooks.client.post(&record.webhook.url, &headers, body).await;
        let wish = retry_after.map(|wish| match wish {
            RetryAfter::Seconds(seconds) => self.0.clock.now().plus(Duration::from_secs(seconds)),
            RetryAfter::At(time) => time,
        });
        let duration_ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let attempt = DeliveryAttempt { at, status_code, error, duration_ms, response_excerpt: excerpt };
        Sent::Tried(delivery, attempt, wish)
    }

    /// What a delivery is after one more attempt.
    fn attempted(&self, mut delivery: Delivery, attempt: DeliveryAttempt, wish: Option<Timestamp>) -> Delivery {
        let is_success = is_success(&attempt);
        delivery.attempts.push(attempt);
        if is_success {
            return Delivery { status: DeliveryStatus::Delivered, next_attempt_at: None, ..delivery };
        }
        let next = self.0.webhooks.schedule.after_wish(delivery.attempts.len(), self.0.clock.now(), wish);
        match next {
            Some(next) => Delivery { next_attempt_at: Some(next), ..delivery },
            None => failed(delivery),
        }
    }

    /// The secret, and during a rotation the one before it too.
    fn secrets(&self, record: &WebhookRecord) -> Result<Vec<Secret>, Error> {
        let now = self.0.clock.now();
        let previous = record.previous_secret.as_ref().filter(|(_, until)| *until > now).map(|(secret, _)| secret);
        let sealed = std::iter::once(&record.secret).chain(previous);
        let context = record.webhook.id.to_string();
        sealed
            .map(|sealed| {
                let secret = self.0.webhooks.sealer.open(&context, sealed.clone())?;
                let secret = String::from_utf8(secret).ok().and_then(|secret| Secret::parse(&secret));
                secret.ok_or_else(|| Error::unreadable(Unreadable))
            })
            .collect()
    }
}

/// A stored secret is none.
#[derive(Debug, thiserror::Error)]
#[error("the secret of a webhook cannot be read")]
struct Unreadable;

fn failed(delivery: Delivery) -> Delivery {
    Delivery { status: DeliveryStatus::Failed, next_attempt_at: None, ..delivery }
}

/// As the client says: what is no success says why.
fn is_success(attempt: &DeliveryAttempt) -> bool {
    attempt.error.is_none() && attempt.status_code.is_some_and(|status| (200..300).contains(&status))
}

/// What to send; nothing when the owner may not see it any more, when it is gone, or when nothing is to be sent at all.
async fn body(
    repositories: &dyn Repositories,
    webhook: &Webhook,
    memberships: Option<&[(ProjectId, Role)]>,
    one: &DeliveryRecord,
) -> Result<Option<String>, Error> {
    let Some(memberships) = memberships else { return Ok(None) };
    if let Some(payload) = &one.payload {
        return Ok(Some(payload.clone()));
    }
    if !webhook.enabled {
        return Ok(None);
    }
    let event = repositories.events().find(one.delivery.event_id).await?;
    let event = event.filter(|event| {
        memberships.iter().any(|(project, role)| *project == event.project_id && event.kind.is_for(*role))
    });
    Ok(event.map(|event| event.to_json_string()))
}
