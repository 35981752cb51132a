//! Webhooks, which are visible only to the user who created them.

pub(crate) mod deliveries;
pub(crate) mod dispatch;
pub(crate) mod limits;
pub(crate) mod record;

use std::sync::Arc;
use std::time::Duration;

use poem_openapi::types::{MaybeUndefined, ToJSON as _};

use crate::contract::account::user::User;
use crate::contract::error::{DetailCode, ErrorLocation};
use crate::contract::event::previous::AlwaysNull;
use crate::contract::event::{EventType, WebhookEventName};
use crate::contract::page::{Page, Sort};
use crate::contract::strings::{EventName, WebhookSecret};
use crate::contract::webhook::delivery::Delivery;
use crate::contract::webhook::test_event::{WebhookMessage, WebhookTestEvent};
use crate::contract::webhook::{NewWebhook, RotateSecret, UpdateWebhook, Webhook, WebhookQuery, WebhookWithSecret};
use crate::contract::{EventId, ProjectId, WebhookId};
use crate::repositories::{DeliveryRecord, FormerSecret, Health, Job, Repositories, WebhookFilter, WebhookRecord};
use crate::services::error::Error;
use crate::services::patch::merge;
use crate::services::permissions::{Action, require};
use crate::services::unit_of_work::{ReplayAccess, UnitOfWork, WriteContext, lock_caller};
use crate::services::{Answer, Caller, ServiceContext};
use crate::webhooks::Secret;
use record::cancel_pending;

/// Maximum number of webhooks per user.
const MAX_PER_USER: u64 = 50;

/// Webhooks.
#[derive(Clone)]
pub struct Webhooks(Arc<ServiceContext>);

impl Webhooks {
    pub(crate) const fn new(shared: Arc<ServiceContext>) -> Self {
        Self(shared)
    }

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
    pub async fn create(&self, write: &WriteContext, new: NewWebhook) -> Result<Answer<WebhookWithSecret>, Error> {
        validate_event_names(&new.events)?;
        let unit = self.0.begin(write).await?;
        // Serializes concurrent requests, so that the count is exact.
        lock_caller(&*unit, write.caller).await?;
        if let Some(project) = new.project_id {
            require_project_access(&*unit, write.caller, project, ErrorLocation::Body).await?;
        }
        self.require_allowed(&new.url)?;
        if unit.webhooks().count(write.caller.user).await? >= MAX_PER_USER {
            return Err(Error::LimitReached(format!(
                "You already have {MAX_PER_USER} webhooks, which is the maximum. Delete one first."
            )));
        }
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
        let record = WebhookRecord { webhook, owner: write.caller.user, health: Health::default(), secret: sealed };
        unit.webhooks().add(&record).await?;
        let notice = Job::WebhookCreatedEmail { user: record.owner, webhook: record.webhook.id, at: now.0 };
        unit.jobs().enqueue(&notice, now, now).await?;
        unit.commit(
            Answer::made_once(&record.webhook, &issued(record.webhook.clone(), secret)),
            ReplayAccess::CallerOnly,
            Vec::new(),
        )
        .await
    }

    /// Updates a webhook.
    pub async fn update(
        &self,
        write: &WriteContext,
        id: WebhookId,
        patch: UpdateWebhook,
    ) -> Result<Answer<Webhook>, Error> {
        patch.events.as_deref().map(validate_event_names).transpose()?;
        let unit = self.0.begin(write).await?;
        lock_caller(&*unit, write.caller).await?;
        if patch.enabled == Some(false) {
            self.lock_delivery_job(&unit, write, id).await?;
        }
        let found = require_owner(unit.webhooks().lock(id).await?, write.caller)?;
        let (current, mut health) = (found.webhook, found.health);
        if let MaybeUndefined::Value(project) = patch.project_id
            && current.project_id != Some(project)
        {
            require_project_access(&*unit, write.caller, project, ErrorLocation::Body).await?;
        }
        if let Some(url) = patch.url.as_ref().filter(|url| **url != current.url) {
            self.require_allowed(url)?;
            health = health.anew();
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
            return Ok(Answer::found(&current));
        }
        if changed.enabled && !current.enabled {
            health = health.anew();
        }
        let now = self.0.clock.now();
        let changed = Webhook { version: current.version + 1, updated_at: now, ..changed };
        if !changed.enabled {
            health.giving_up = cancel_pending(&*unit, id, now).await?;
        }
        unit.webhooks().update(&changed, &health).await?;
        if changed.url != current.url {
            let notice = Job::WebhookCreatedEmail { user: found.owner, webhook: id, at: now.0 };
            unit.jobs().enqueue(&notice, now, now).await?;
        }
        unit.commit(Answer::found(&changed), ReplayAccess::CallerOnly, Vec::new()).await
    }

    /// Permanently deletes a webhook. Its job deletes the deliveries, which may be many.
    pub async fn delete(&self, write: &WriteContext, id: WebhookId) -> Result<Answer<()>, Error> {
        let unit = self.0.begin(write).await?;
        self.lock_delivery_job(&unit, write, id).await?;
        let found = require_owner(unit.webhooks().lock(id).await?, write.caller)?;
        write.check_if_match(&found.webhook)?;
        unit.webhooks().remove(id, self.0.clock.now()).await?;
        unit.commit(Answer::done(), ReplayAccess::CallerOnly, Vec::new()).await
    }

    /// Replaces the secret. The response contains the new one.
    pub async fn rotate_secret(
        &self,
        write: &WriteContext,
        id: WebhookId,
        rotation: Option<RotateSecret>,
    ) -> Result<Answer<WebhookWithSecret>, Error> {
        let unit = self.0.begin(write).await?;
        lock_caller(&*unit, write.caller).await?;
        let found = require_owner(unit.webhooks().lock(id).await?, write.caller)?;
        let (sealed, secret) = self.new_secret(id)?;
        let overlap = rotation.unwrap_or_default().overlap_seconds;
        let now = self.0.clock.now();
        let until = now + Duration::from_secs(overlap.into());
        // If the response is lost, the client rotates again; earlier secrets must stay valid too.
        let former = (overlap > 0).then_some(FormerSecret { secret: found.secret, until });
        unit.webhooks().replace_secret(id, &sealed, former.as_ref(), now).await?;
        let webhook = Webhook { version: found.webhook.version + 1, updated_at: now, ..found.webhook };
        unit.webhooks().update(&webhook, &found.health).await?;
        unit.commit(
            Answer::shown_once(&webhook, &issued(webhook.clone(), secret)),
            ReplayAccess::CallerOnly,
            Vec::new(),
        )
        .await
    }

    /// Sends a test event, even if the webhook is disabled.
    pub async fn test(&self, write: &WriteContext, id: WebhookId) -> Result<Answer<Delivery>, Error> {
        let unit = self.0.begin(write).await?;
        lock_caller(&*unit, write.caller).await?;
        let found = require_owner(unit.webhooks().hold(id).await?, write.caller)?;
        let event = WebhookTestEvent {
            id: EventId::generate(),
            sequence: AlwaysNull,
            project_id: found.webhook.project_id,
            actor_id: Some(write.caller.user),
            occurred_at: self.0.clock.now(),
            data: found.webhook.clone(),
            previous: AlwaysNull,
            request_id: write.request_id.clone(),
        };
        let (event_id, payload) = (event.id, WebhookMessage::WebhookTest(event).to_json_string());
        enqueue_immediate(&self.0, unit, &found, event_id, EventType::WebhookTest, Some(payload)).await
    }

    /// Returns the recipient of the notice that a webhook was disabled, or `None` if the webhook was enabled again or
    /// deleted.
    pub async fn disabled_notice(&self, id: WebhookId) -> Result<Option<(User, Webhook)>, Error> {
        let repositories = self.0.store.read();
        let found = repositories.webhooks().find(id).await?;
        let Some(found) = found.filter(|found| found.webhook.disabled_reason.is_some()) else { return Ok(None) };
        let owner = repositories.users().find_credentials(found.owner).await?;
        let owner = owner.filter(|owner| owner.deleted_at.is_none());
        Ok(owner.map(|owner| (owner.user, found.webhook)))
    }

    /// Locks and enqueues the delivery job, which completes the work of this transaction. The job is locked before the
    /// webhook, as everywhere.
    async fn lock_delivery_job(&self, unit: &UnitOfWork<'_>, write: &WriteContext, id: WebhookId) -> Result<(), Error> {
        let found = require_owner(unit.webhooks().hold(id).await?, write.caller)?;
        Ok(deliveries::enqueue_delivery_jobs(&**unit, [(id, found.health.is_ailing)], self.0.clock.now()).await?)
    }

    /// Generates a secret and returns it encrypted and in plain text.
    fn new_secret(&self, id: WebhookId) -> Result<(Vec<u8>, WebhookSecret), Error> {
        let secret = Secret::generate().map_err(|error| Error::Token(Box::new(error)))?.reveal();
        let sealed = self.0.webhooks.sealer.seal(&id.to_string(), secret.as_bytes())?;
        Ok((sealed, WebhookSecret::new_unchecked(secret)))
    }

    fn require_allowed(&self, url: &str) -> Result<(), Error> {
        self.0.webhooks.client.check(url).map_err(|forbidden| Error::WebhookUrlForbidden(forbidden.to_string()))
    }
}

/// Creates a delivery that is due immediately.
pub(crate) async fn enqueue_immediate(
    shared: &ServiceContext,
    unit: UnitOfWork<'_>,
    webhook: &WebhookRecord,
    event_id: EventId,
    event_type: EventType,
    payload: Option<String>,
) -> Result<Answer<Delivery>, Error> {
    let now = shared.clock.now();
    let delivery = deliveries::new_delivery(webhook.webhook.id, event_id, event_type, now, now);
    let record = DeliveryRecord { delivery, payload };
    unit.deliveries().add(std::slice::from_ref(&record)).await?;
    deliveries::enqueue_delivery_jobs(&*unit, [(webhook.webhook.id, webhook.health.is_ailing)], now).await?;
    unit.commit(Answer::accepted(&record.delivery), ReplayAccess::CallerOnly, Vec::new()).await
}

/// Checks that a webhook exists and belongs to the caller.
pub(crate) fn require_owner(found: Option<WebhookRecord>, caller: Caller) -> Result<WebhookRecord, Error> {
    let found = found.ok_or(Error::NotFound("webhook"))?;
    if found.owner == caller.user { Ok(found) } else { Err(Error::NotOwner) }
}

fn issued(webhook: Webhook, secret: WebhookSecret) -> WebhookWithSecret {
    WebhookWithSecret { webhook, secret }
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

/// Checks that the caller may read a project that is named in the request.
async fn require_project_access(
    repositories: &dyn Repositories,
    caller: Caller,
    id: ProjectId,
    place: ErrorLocation,
) -> Result<(), Error> {
    let project = repositories.projects().find(id, caller.user).await?.filter(|project| project.deleted_at.is_none());
    let project = project.ok_or_else(|| Error::reference(place, "project_id", "must refer to an existing project."))?;
    require(project.role, Action::Read)
}
