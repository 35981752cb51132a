//! Webhooks: from an event to the receiver. A webhook is a cursor over the event feed.
//!
//! 1. `fan_out`: after events have committed, announces them to the subscribed webhooks, and enqueues their jobs
//!    (`queue`). Nothing is stored per event, and a change of a task does nothing for webhooks.
//! 2. `dispatch`: a worker leases the job and sends the next events and the due retries, outside of any transaction and
//!    within the `limits` of the owner and the host. The rest waits in the feed.
//! 3. `attempt`: checks that the owner may still see the event, signs the message and sends it once.
//! 4. `record`: in one transaction, moves the cursor and stores the attempts. A failed delivery gets a retry with
//!    backoff (`retry`); after the last one it is failed, which is the dead letter of a delivery: it stays in the log
//!    and can be redelivered.
//! 5. `health`: slow or failing endpoints are degraded, which moves their job to a queue of its own; after five days of
//!    failures the webhook is disabled and its pending deliveries are cancelled.
//!
//! `deliveries` has the log, redelivery, test events and the recovery of stalled jobs. This file manages the webhooks
//! themselves, which are visible only to the user who created them.

pub(crate) mod access;
pub(crate) mod attempt;
pub(crate) mod deliveries;
pub(crate) mod disabled_reason;
pub(crate) mod dispatch;
pub(crate) mod fan_out;
pub(crate) mod health;
pub(crate) mod limits;
pub(crate) mod queue;
pub(crate) mod record;
pub(crate) mod retry;

use std::sync::Arc;
use std::time::Duration;

use poem_openapi::types::MaybeUndefined;

use crate::contract::account::audit_entry::AuditEntryType;
use crate::contract::account::user::User;
use crate::contract::error::{DetailCode, ErrorLocation};
use crate::contract::event::WebhookEventName;
use crate::contract::page::{Page, Sort};
use crate::contract::strings::{EventName, WebhookSecret};
use crate::contract::webhook::{CreateWebhook, RotateSecret, UpdateWebhook, Webhook, WebhookQuery, WebhookWithSecret};
use crate::contract::{ProjectId, WebhookId};
use crate::repositories::{
    Credentials, EndpointHealth, FeedCursor, Job, PreviousSecret, ResourceRef, WebhookFilter, WebhookRecord,
    WebhookTarget,
};
use crate::services::idempotency::fresh;
use crate::services::mail_budget::{MailBudget, MailRecipient};
use crate::services::patch::merge;
use crate::services::{
    Caller, Error, NewAuditEntry, ReplayAccess, ServiceContext, UnitOfWork, WriteContext, WriteOutcome, lock_caller,
};
use crate::webhooks::SigningKey;
use access::{require_owner, require_project_access};
use queue::enqueue_delivery_jobs;
use record::cancel_pending;

/// Maximum number of webhooks per user.
const MAX_PER_USER: usize = 50;

/// Webhooks.
#[derive(Clone)]
pub struct Webhooks(pub(crate) Arc<ServiceContext>);

impl Webhooks {
    /// Lists the caller's webhooks.
    pub async fn list(&self, caller: Caller, query: &WebhookQuery) -> Result<Page<Webhook>, Error> {
        let repositories = self.0.store.read();
        if let Some(project) = query.project_id {
            require_project_access(repositories, caller, project, ErrorLocation::Query).await?;
        }
        let filter = WebhookFilter { enabled: query.enabled, project: query.project_id };
        let sort = Sort::new(query.sort, query.dir);
        Ok(repositories.webhooks().list(caller.user, &filter, sort, query.paging).await?)
    }

    /// Returns a webhook.
    pub async fn get(&self, caller: Caller, id: WebhookId) -> Result<Webhook, Error> {
        Ok(require_owner(self.0.store.read().webhooks().find(id).await?, caller)?.webhook)
    }

    /// Creates a webhook. The response contains its secret.
    pub async fn create(
        &self,
        write: &WriteContext,
        new: CreateWebhook,
    ) -> Result<WriteOutcome<WebhookWithSecret>, Error> {
        validate_event_names(&new.events)?;
        let unit = fresh!(self.0.begin(write).await?);
        // Serializes concurrent requests, so that the count is exact.
        let user = lock_caller(&*unit, write.caller).await?;
        if let Some(project) = new.project_id {
            require_project_access(&*unit, write.caller, project, ErrorLocation::Body).await?;
        }
        self.require_allowed(&new.url)?;
        let targets = unit.webhooks().list_targets(write.caller.user).await?;
        if targets.len() >= MAX_PER_USER {
            return Err(Error::LimitReached(format!(
                "You already have {MAX_PER_USER} webhooks, which is the maximum. Delete one first."
            )));
        }
        self.require_new_target(&targets, &new.url, new.project_id)?;
        let now = self.0.clock.now();
        let webhook = Webhook {
            id: WebhookId::generate(),
            url: new.url,
            project_id: new.project_id,
            events: event_names(&new.events),
            description: new.description,
            enabled: new.enabled,
            disabled_reason: None,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        let (sealed, secret) = self.new_secret(webhook.id)?;
        let record = WebhookRecord {
            webhook,
            owner: write.caller.user,
            api_token: write.caller.api_token(),
            health: EndpointHealth::default(),
            cursor: end_of_feed(&unit).await?,
            secret: sealed,
        };
        unit.webhooks().add(&record).await?;
        let created = NewAuditEntry::by_caller(AuditEntryType::WebhookCreated, write).target(record.webhook.id.0);
        self.0.audit(&*unit, created, now).await?;
        let notice = Job::WebhookCreatedEmail { user: record.owner, webhook: record.webhook.id, at: now.0 };
        self.0.enqueue_mail(&*unit, &notice, MailRecipient::owner(&user, MailBudget::Owner), now).await?;
        unit.commit(
            WriteOutcome::with_secret(&record.webhook, &WebhookWithSecret { webhook: record.webhook.clone(), secret })
                .created(ResourceRef::Webhook(record.webhook.id)),
            ReplayAccess::CallerOnly,
        )
        .await
    }

    /// Updates a webhook.
    pub async fn update(
        &self,
        write: &WriteContext,
        id: WebhookId,
        patch: UpdateWebhook,
    ) -> Result<WriteOutcome<Webhook>, Error> {
        patch.events.as_deref().map(validate_event_names).transpose()?;
        let unit = fresh!(self.0.begin(write).await?);
        let user = lock_caller(&*unit, write.caller).await?;
        let mut record = require_owner(unit.webhooks().lock(id).await?, write.caller)?;
        let current = record.webhook.clone();
        if let MaybeUndefined::Value(project) = patch.project_id
            && current.project_id != Some(project)
        {
            require_project_access(&*unit, write.caller, project, ErrorLocation::Body).await?;
        }
        if let Some(url) = patch.url.as_ref().filter(|url| **url != current.url) {
            self.require_allowed(url)?;
            record.health = record.health.reset();
        }
        write.check_if_match(&current)?;
        let enabled = patch.enabled.unwrap_or(current.enabled);
        let changed = Webhook {
            url: patch.url.unwrap_or_else(|| current.url.clone()),
            project_id: merge(patch.project_id, current.project_id.as_ref()),
            events: patch.events.as_deref().map_or_else(|| current.events.clone(), event_names),
            description: merge(patch.description, current.description.as_ref()),
            disabled_reason: current.disabled_reason.clone().filter(|_| !enabled),
            enabled,
            ..current.clone()
        };
        if changed == current {
            return unit.unchanged(WriteOutcome::current(&current)).await;
        }
        if (&changed.url, changed.project_id) != (&current.url, current.project_id) {
            let mut targets = unit.webhooks().list_targets(write.caller.user).await?;
            targets.retain(|(other, ..)| *other != id);
            self.require_new_target(&targets, &changed.url, changed.project_id)?;
        }
        if changed.enabled && !current.enabled {
            record.health = record.health.reset();
            record.cursor = end_of_feed(&unit).await?;
        }
        let now = self.0.clock.now();
        record.webhook = Webhook { version: current.version + 1, updated_at: now, ..changed };
        if !record.webhook.enabled {
            record.health.cancel_through = cancel_pending(&*unit, id, now).await?;
        }
        if record.webhook.url != current.url || record.webhook.enabled && !current.enabled {
            // The webhook ends with the token that last decided that it sends, and where to.
            record.api_token = write.caller.api_token();
        }
        unit.webhooks().update(&record).await?;
        let updated = NewAuditEntry::by_caller(AuditEntryType::WebhookUpdated, write).target(id.0);
        self.0.audit(&*unit, updated, now).await?;
        if record.health.cancel_through.is_some() {
            enqueue_delivery_jobs(&*unit, [(id, record.health.is_degraded)], now).await?;
        }
        if record.webhook.url != current.url {
            let notice = Job::WebhookCreatedEmail { user: record.owner, webhook: id, at: now.0 };
            self.0.enqueue_mail(&*unit, &notice, MailRecipient::owner(&user, MailBudget::Owner), now).await?;
        }
        unit.commit(WriteOutcome::current(&record.webhook), ReplayAccess::CallerOnly).await
    }

    /// Permanently deletes a webhook. Its job deletes the deliveries.
    pub async fn delete(&self, write: &WriteContext, id: WebhookId) -> Result<WriteOutcome<()>, Error> {
        let unit = fresh!(self.0.begin(write).await?);
        let found = require_owner(unit.webhooks().lock(id).await?, write.caller)?;
        write.check_if_match(&found.webhook)?;
        let now = self.0.clock.now();
        unit.webhooks().remove(id, now).await?;
        let deleted = NewAuditEntry::by_caller(AuditEntryType::WebhookDeleted, write).target(id.0);
        self.0.audit(&*unit, deleted, now).await?;
        enqueue_delivery_jobs(&*unit, [(id, found.health.is_degraded)], now).await?;
        unit.commit(WriteOutcome::done(), ReplayAccess::CallerOnly).await
    }

    /// Replaces the secret. The response contains the new one.
    pub async fn rotate_secret(
        &self,
        write: &WriteContext,
        id: WebhookId,
        rotation: Option<RotateSecret>,
    ) -> Result<WriteOutcome<WebhookWithSecret>, Error> {
        let unit = fresh!(self.0.begin(write).await?);
        lock_caller(&*unit, write.caller).await?;
        let mut record = require_owner(unit.webhooks().lock(id).await?, write.caller)?;
        let (sealed, secret) = self.new_secret(id)?;
        let overlap = rotation.unwrap_or_default().overlap_seconds;
        let now = self.0.clock.now();
        let until = now + Duration::from_secs(overlap.into());
        // If the response is lost, the client rotates again; earlier secrets must stay valid too.
        let former = (overlap > 0).then(|| PreviousSecret { secret: record.secret.clone(), until });
        unit.webhooks().replace_secret(id, &sealed, former.as_ref(), now).await?;
        record.webhook.version += 1;
        record.webhook.updated_at = now;
        unit.webhooks().update(&record).await?;
        let rotated = NewAuditEntry::by_caller(AuditEntryType::WebhookSecretRotated, write).target(id.0);
        self.0.audit(&*unit, rotated, now).await?;
        unit.commit(
            WriteOutcome::with_secret(&record.webhook, &WebhookWithSecret { webhook: record.webhook.clone(), secret }),
            ReplayAccess::CallerOnly,
        )
        .await
    }

    /// Returns the recipient of the notice that a webhook was disabled, if it still is.
    pub async fn disabled_notice(&self, id: WebhookId) -> Result<Option<(User, Webhook)>, Error> {
        let repositories = self.0.store.read();
        let found = repositories.webhooks().find(id).await?;
        let Some(found) = found.filter(|found| found.webhook.disabled_reason.is_some()) else { return Ok(None) };
        let owner = repositories.users().find_credentials(found.owner).await?;
        let owner = owner.filter(Credentials::is_active);
        Ok(owner.map(|owner| (owner.user, found.webhook)))
    }

    /// Generates a secret and returns it encrypted and in plain text.
    fn new_secret(&self, id: WebhookId) -> Result<(Vec<u8>, WebhookSecret), Error> {
        let secret = SigningKey::generate().map_err(|error| Error::Token(Box::new(error)))?.encode();
        let sealed = self.0.webhooks.sealer.seal(&id.to_string(), secret.as_bytes())?;
        Ok((sealed, WebhookSecret::new_unchecked(secret)))
    }

    /// Refuses a second webhook for a URL and a project, which would send every message twice.
    fn require_new_target(&self, others: &[WebhookTarget], url: &str, project: Option<ProjectId>) -> Result<(), Error> {
        let client = &self.0.webhooks.client;
        if others.iter().any(|(_, other, of)| *of == project && client.is_same_url(other, url)) {
            return Err(Error::LimitReached(
                "You already have a webhook with this URL and project, which is the maximum. Change or delete it."
                    .to_owned(),
            ));
        }
        Ok(())
    }

    fn require_allowed(&self, url: &str) -> Result<(), Error> {
        self.0.webhooks.client.check(url).map_err(|forbidden| Error::WebhookUrlForbidden(forbidden.to_string()))
    }
}

/// Returns the cursor of a webhook that sends later events only.
///
/// Events that are committing now get greater sequence numbers (see `EventRepository`), so none is missed.
async fn end_of_feed(unit: &UnitOfWork<'_>) -> Result<FeedCursor, Error> {
    Ok(FeedCursor::at(unit.events().bounds().await?.end))
}

fn event_names(events: &[WebhookEventName]) -> Vec<EventName> {
    events.iter().map(|name| EventName::new_unchecked(name.as_str())).collect()
}

/// Refuses `*` together with other names.
fn validate_event_names(events: &[WebhookEventName]) -> Result<(), Error> {
    if events.len() > 1 && events.contains(&WebhookEventName::All) {
        let message = "events must not combine * with other event types.".to_owned();
        return Err(Error::invalid("events", DetailCode::Conflict, message));
    }
    Ok(())
}
