//! Webhooks.

use async_trait::async_trait;
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::LockType;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait as _,
    Select,
};

use super::entities::webhook::{ActiveModel, Column, Entity, Model};
use super::{SeaRepositories, order};
use crate::contract::list::{Page, Paging, Sort};
use crate::contract::text::{EventName, WebhookDescription, WebhookUrl};
use crate::contract::webhook::{Webhook, WebhookSort};
use crate::contract::{ProjectId, Timestamp, UserId, WebhookId};
use crate::repositories::{StoreError, WebhookFilter, WebhookRecord, WebhookRepository};

fn webhook(row: Model) -> Webhook {
    Webhook {
        id: WebhookId(row.id),
        url: WebhookUrl::trusted(row.url),
        project_id: row.project_id.map(ProjectId),
        events: event_names(&row.events),
        description: row.description.map(WebhookDescription::trusted),
        enabled: row.enabled,
        disabled_reason: row.disabled_reason,
        version: row.version,
        created_at: Timestamp(row.created_at),
        updated_at: Timestamp(row.updated_at),
    }
}

fn record(mut row: Model) -> WebhookRecord {
    WebhookRecord {
        owner: UserId(row.user_id),
        failing_since: row.failing_since.map(Timestamp),
        secret: std::mem::take(&mut row.secret),
        previous_secret: row.previous_secret.take().zip(row.previous_until.map(Timestamp)),
        webhook: webhook(row),
    }
}

/// Reads the types of events as they are stored: with a comma on both sides of each.
pub(super) fn event_names(stored: &str) -> Vec<EventName> {
    stored.split(',').filter(|name| !name.is_empty()).map(EventName::trusted).collect()
}

fn stored_names(names: &[EventName]) -> String {
    names.iter().fold(String::from(","), |text, name| text + name + ",")
}

/// What can change about a webhook.
fn changes(webhook: &Webhook, failing_since: Option<Timestamp>) -> ActiveModel {
    ActiveModel {
        id: NotSet,
        user_id: NotSet,
        secret: NotSet,
        previous_secret: NotSet,
        previous_until: NotSet,
        created_at: NotSet,
        project_id: Set(webhook.project_id.map(|project| project.0)),
        url: Set(webhook.url.to_string()),
        events: Set(stored_names(&webhook.events)),
        description: Set(webhook.description.as_deref().map(str::to_owned)),
        enabled: Set(webhook.enabled),
        disabled_reason: Set(webhook.disabled_reason.clone()),
        failing_since: Set(failing_since.map(|time| time.0)),
        version: Set(webhook.version),
        updated_at: Set(webhook.updated_at.0),
    }
}

fn of_owner(owner: UserId) -> Select<Entity> {
    Entity::find().filter(Column::UserId.eq(owner.0))
}

impl<C: ConnectionTrait> SeaRepositories<C> {
    async fn find_webhook(&self, id: WebhookId, lock: Option<LockType>) -> Result<Option<WebhookRecord>, StoreError> {
        let found = Entity::find_by_id(id.0).apply_if(lock, QuerySelect::lock).one(&self.0).await?;
        Ok(found.map(record))
    }
}

#[async_trait]
impl<C: ConnectionTrait + Send + Sync> WebhookRepository for SeaRepositories<C> {
    async fn find(&self, id: WebhookId) -> Result<Option<WebhookRecord>, StoreError> {
        self.find_webhook(id, None).await
    }

    async fn lock(&self, id: WebhookId) -> Result<Option<WebhookRecord>, StoreError> {
        self.find_webhook(id, Some(LockType::NoKeyUpdate)).await
    }

    async fn lock_for_removal(&self, id: WebhookId) -> Result<Option<WebhookRecord>, StoreError> {
        self.find_webhook(id, Some(LockType::Update)).await
    }

    async fn hold(&self, id: WebhookId) -> Result<Option<WebhookRecord>, StoreError> {
        self.find_webhook(id, Some(LockType::KeyShare)).await
    }

    async fn list(
        &self,
        owner: UserId,
        filter: &WebhookFilter,
        sort: Sort<WebhookSort>,
        paging: Paging,
    ) -> Result<Page<Webhook>, StoreError> {
        let matching = of_owner(owner)
            .apply_if(filter.enabled, |query, enabled| query.filter(Column::Enabled.eq(enabled)))
            .apply_if(filter.project, |query, project| query.filter(Column::ProjectId.eq(project.0)));
        let total = matching.clone().count(&self.0).await?;
        let column = match sort.field {
            WebhookSort::CreatedAt => Column::CreatedAt,
        };
        let rows = matching
            .order_by(column, order(sort.direction))
            .order_by(Column::Id, order(sort.direction))
            .offset(paging.skipped())
            .limit(u64::from(paging.limit))
            .all(&self.0)
            .await?;
        Ok(Page { items: rows.into_iter().map(webhook).collect(), total })
    }

    async fn count(&self, owner: UserId) -> Result<u64, StoreError> {
        Ok(of_owner(owner).count(&self.0).await?)
    }

    async fn add(&self, record: &WebhookRecord) -> Result<(), StoreError> {
        let previous = record.previous_secret.clone();
        let new = ActiveModel {
            id: Set(record.webhook.id.0),
            user_id: Set(record.owner.0),
            secret: Set(record.secret.clone()),
            previous_until: Set(previous.as_ref().map(|(_, until)| until.0)),
            previous_secret: Set(previous.map(|(secret, _)| secret)),
            created_at: Set(record.webhook.created_at.0),
            ..changes(&record.webhook, record.failing_since)
        };
        Entity::insert(new).exec_without_returning(&self.0).await?;
        Ok(())
    }

    async fn update(&self, webhook: &Webhook, failing_since: Option<Timestamp>) -> Result<(), StoreError> {
        let changes = changes(webhook, failing_since);
        Entity::update_many().set(changes).filter(Column::Id.eq(webhook.id.0)).exec(&self.0).await?;
        Ok(())
    }

    async fn replace_secret(
        &self,
        id: WebhookId,
        secret: &[u8],
        previous: Option<(&[u8], Timestamp)>,
    ) -> Result<(), StoreError> {
        let secrets = ActiveModel {
            secret: Set(secret.to_vec()),
            previous_secret: Set(previous.map(|(secret, _)| secret.to_vec())),
            previous_until: Set(previous.map(|(_, until)| until.0)),
            ..ActiveModel::default()
        };
        Entity::update_many().set(secrets).filter(Column::Id.eq(id.0)).exec(&self.0).await?;
        Ok(())
    }

    async fn remove(&self, id: WebhookId) -> Result<(), StoreError> {
        Entity::delete_by_id(id.0).exec(&self.0).await?;
        Ok(())
    }
}
