//! Webhooks.

use async_trait::async_trait;
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{Expr, ExprTrait as _, LockType, Query, SelectStatement};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait as _, RelationDef, Select,
};
use uuid::Uuid;

use super::entities::webhook::{ActiveModel, Column, Entity, Model};
use super::entities::{api_token, member, previous_secret, user, webhook_fan_out};
use super::mapping::{self, join_list, split_list};
use super::repositories::{SeaRepositories, insert_chunks};
use crate::contract::ids::new_uuid;
use crate::contract::page::{Page, Paging, Sort};
use crate::contract::strings::{EventName, WebhookDescription, WebhookUrl};
use crate::contract::webhook::{Webhook, WebhookSort};
use crate::contract::{ApiTokenId, ProjectId, Timestamp, UserId, WebhookId};
use crate::repositories::{
    EndpointHealth, FeedCursor, PreviousSecret, StoreError, WebhookFilter, WebhookRecord, WebhookRepository,
    WebhookSubscription, WebhookTarget,
};

/// Maximum number of previous secrets of a webhook.
const MAX_PREVIOUS_SECRETS: u64 = 10;

fn webhook(row: Model) -> Webhook {
    Webhook {
        id: WebhookId(row.id),
        url: WebhookUrl::new_unchecked(row.url),
        project_id: row.project_id.map(ProjectId),
        events: event_names(&row.events),
        description: row.description.map(WebhookDescription::new_unchecked),
        enabled: row.enabled,
        disabled_reason: row.disabled_reason,
        version: row.version,
        created_at: Timestamp(row.created_at),
        updated_at: Timestamp(row.updated_at),
    }
}

pub(super) fn record(mut row: Model) -> WebhookRecord {
    WebhookRecord {
        owner: UserId(row.user_id),
        api_token: row.api_token_id.map(ApiTokenId),
        health: EndpointHealth {
            failing_since: row.failing_since.map(Timestamp),
            is_degraded: row.is_degraded,
            cancel_through: row.cancel_through.map(Timestamp),
        },
        cursor: FeedCursor { position: row.feed_position, pending_through: row.pending_through },
        secret: std::mem::take(&mut row.secret),
        webhook: webhook(row),
    }
}

/// Decodes a stored list of event types.
fn event_names(stored: &str) -> Vec<EventName> {
    split_list(stored).map(EventName::new_unchecked).collect()
}

/// Mutable columns of a webhook, without its secret.
fn webhook_update(WebhookRecord { webhook, api_token, health, cursor, .. }: &WebhookRecord) -> ActiveModel {
    ActiveModel {
        id: NotSet,
        user_id: NotSet,
        secret: NotSet,
        removed_at: NotSet,
        created_at: NotSet,
        api_token_id: Set(api_token.map(|id| id.0)),
        project_id: Set(webhook.project_id.map(|project| project.0)),
        url: Set(webhook.url.to_string()),
        events: Set(join_list(&webhook.events)),
        description: Set(webhook.description.as_deref().map(str::to_owned)),
        enabled: Set(webhook.enabled),
        disabled_reason: Set(webhook.disabled_reason.clone()),
        failing_since: Set(health.failing_since.map(|time| time.0)),
        is_degraded: Set(health.is_degraded),
        cancel_through: Set(health.cancel_through.map(|time| time.0)),
        feed_position: Set(cursor.position),
        pending_through: Set(cursor.pending_through),
        version: Set(webhook.version),
        updated_at: Set(webhook.updated_at.0),
    }
}

/// Restricts webhooks to those that were not removed.
fn not_removed(webhooks: Select<Entity>) -> Select<Entity> {
    webhooks.filter(Column::RemovedAt.is_null())
}

fn of_owner(owner: UserId) -> Select<Entity> {
    not_removed(Entity::find()).filter(Column::UserId.eq(owner.0))
}

#[async_trait]
impl<C: ConnectionTrait + Send + Sync> WebhookRepository for SeaRepositories<C> {
    async fn find(&self, id: WebhookId) -> Result<Option<WebhookRecord>, StoreError> {
        Ok(not_removed(Entity::find_by_id(id.0)).one(&self.0).await?.map(record))
    }

    async fn lock(&self, id: WebhookId) -> Result<Option<WebhookRecord>, StoreError> {
        Ok(not_removed(Entity::find_by_id(id.0)).lock(LockType::NoKeyUpdate).one(&self.0).await?.map(record))
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
        let column = match sort.field {
            WebhookSort::CreatedAt => Column::CreatedAt,
        };
        self.page(matching, (column, Column::Id), sort.direction, paging, |row| Ok(webhook(row))).await
    }

    async fn lock_all(
        &self,
        owner: UserId,
        api_token: Option<ApiTokenId>,
    ) -> Result<Vec<(WebhookId, bool)>, StoreError> {
        let rows: Vec<(Uuid, bool)> = of_owner(owner)
            .apply_if(api_token, |query, id| query.filter(Column::ApiTokenId.eq(id.0)))
            .select_only()
            .columns([Column::Id, Column::IsDegraded])
            .order_by_asc(Column::Id)
            .lock(LockType::NoKeyUpdate)
            .into_tuple()
            .all(&self.0)
            .await?;
        Ok(rows.into_iter().map(|(id, is_degraded)| (WebhookId(id), is_degraded)).collect())
    }

    async fn disable_all(
        &self,
        owner: UserId,
        api_token: Option<ApiTokenId>,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let of_owner = || {
            Condition::all()
                .add(Column::UserId.eq(owner.0))
                .add(Column::RemovedAt.is_null())
                .add_option(api_token.map(|id| Column::ApiTokenId.eq(id.0)))
        };
        let cancelled = Entity::update_many().col_expr(Column::CancelThrough, Expr::value(now.0)).filter(of_owner());
        self.run_update(cancelled).await?;
        let disabled = Entity::update_many()
            .col_expr(Column::Enabled, Expr::value(false))
            .col_expr(Column::DisabledReason, Expr::value(reason))
            .col_expr(Column::Version, Expr::col(Column::Version).add(1))
            .col_expr(Column::UpdatedAt, Expr::value(now.0))
            .filter(of_owner())
            .filter(Column::Enabled.eq(true));
        self.run_update(disabled).await
    }

    async fn list_expired_api_tokens(
        &self,
        now: Timestamp,
        limit: u64,
    ) -> Result<Vec<(UserId, ApiTokenId)>, StoreError> {
        let token: RelationDef =
            Entity::belongs_to(api_token::Entity).from(Column::ApiTokenId).to(api_token::Column::Id).into();
        let rows: Vec<(Uuid, Uuid)> = not_removed(Entity::find())
            .select_only()
            .columns([Column::UserId, Column::ApiTokenId])
            .distinct()
            .join(JoinType::InnerJoin, token)
            .filter(Column::Enabled.eq(true))
            .filter(api_token::Column::ExpiresAt.lte(now.0))
            .limit(limit)
            .into_tuple()
            .all(&self.0)
            .await?;
        Ok(rows.into_iter().map(|(user, token)| (UserId(user), ApiTokenId(token))).collect())
    }

    async fn list_targets(&self, owner: UserId) -> Result<Vec<WebhookTarget>, StoreError> {
        let targets = of_owner(owner).select_only().columns([Column::Id, Column::Url, Column::ProjectId]);
        let rows: Vec<(Uuid, String, Option<Uuid>)> = targets.into_tuple().all(&self.0).await?;
        let target = |(id, url, project): (Uuid, String, Option<Uuid>)| {
            (WebhookId(id), WebhookUrl::new_unchecked(url), project.map(ProjectId))
        };
        Ok(rows.into_iter().map(target).collect())
    }

    async fn add(&self, record: &WebhookRecord) -> Result<(), StoreError> {
        let new = ActiveModel {
            id: Set(record.webhook.id.0),
            user_id: Set(record.owner.0),
            secret: Set(record.secret.clone()),
            created_at: Set(record.webhook.created_at.0),
            ..webhook_update(record)
        };
        self.insert_row(new).await
    }

    async fn update(&self, record: &WebhookRecord) -> Result<(), StoreError> {
        let changes = webhook_update(record);
        self.run_update(Entity::update_many().set(changes).filter(Column::Id.eq(record.webhook.id.0))).await
    }

    async fn replace_secret(
        &self,
        id: WebhookId,
        secret: &[u8],
        previous: Option<&PreviousSecret>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        use previous_secret::{ActiveModel as NewSecret, Column as Of, Entity as Secrets};
        let changes = ActiveModel { secret: Set(secret.to_vec()), ..ActiveModel::default() };
        self.run_update(Entity::update_many().set(changes).filter(Column::Id.eq(id.0))).await?;
        let mut expired = Secrets::delete_many().filter(Of::WebhookId.eq(id.0));
        if let Some(previous) = previous {
            let new = NewSecret {
                id: Set(new_uuid()),
                webhook_id: Set(id.0),
                secret: Set(previous.secret.clone()),
                valid_until: Set(previous.until.0),
            };
            self.insert_row(new).await?;
            let valid = valid_secrets(id, now).select_only().column(Of::Id).limit(MAX_PREVIOUS_SECRETS).into_query();
            expired = expired.filter(Of::Id.not_in_subquery(valid));
        }
        expired.exec(&self.0).await?;
        Ok(())
    }

    async fn list_previous_secrets(&self, id: WebhookId, now: Timestamp) -> Result<Vec<PreviousSecret>, StoreError> {
        let rows = valid_secrets(id, now).all(&self.0).await?;
        Ok(rows
            .into_iter()
            .map(|row| PreviousSecret { secret: row.secret, until: Timestamp(row.valid_until) })
            .collect())
    }

    async fn remove(&self, id: WebhookId, now: Timestamp) -> Result<(), StoreError> {
        // Disabled too, so that it is no longer subscribed.
        let removed = ActiveModel { removed_at: Set(Some(now.0)), enabled: Set(false), ..ActiveModel::default() };
        self.run_update(Entity::update_many().set(removed).filter(Column::Id.eq(id.0))).await
    }

    async fn list_subscriptions(&self, projects: &[ProjectId]) -> Result<Vec<WebhookSubscription>, StoreError> {
        let mut found = Vec::new();
        for chunk in insert_chunks(projects) {
            let rows = self.0.query_all(&subscriptions(chunk)).await?;
            let subscriptions = rows.iter().map(|row| {
                let (id, project): (Uuid, Uuid) = (row.try_get("", "id")?, row.try_get("", "project_id")?);
                let (events, role): (String, String) = (row.try_get("", "events")?, row.try_get("", "role")?);
                Ok(WebhookSubscription {
                    webhook: WebhookId(id),
                    project: ProjectId(project),
                    events: event_names(&events),
                    role: mapping::role(&role)?,
                })
            });
            found.extend(subscriptions.collect::<Result<Vec<_>, StoreError>>()?);
        }
        Ok(found)
    }

    async fn announce(
        &self,
        webhooks: &[WebhookId],
        after: i64,
        through: i64,
    ) -> Result<Vec<(WebhookId, bool)>, StoreError> {
        let mut without_backlog = Vec::new();
        for chunk in insert_chunks(webhooks) {
            let is_announced = || Column::Id.is_in(chunk.iter().map(|id| id.0)).and(Column::Enabled.eq(true));
            let rows: Vec<(Uuid, bool, i64, i64)> = Entity::find()
                .select_only()
                .columns([Column::Id, Column::IsDegraded, Column::FeedPosition, Column::PendingThrough])
                .filter(is_announced())
                .order_by_asc(Column::Id)
                .lock(LockType::NoKeyUpdate)
                .into_tuple()
                .all(&self.0)
                .await?;
            let (position, pending) = (|| Expr::col(Column::FeedPosition), || Expr::col(Column::PendingThrough));
            let skips = position().gte(pending()).and(position().lt(after));
            let update = Entity::update_many()
                .col_expr(Column::FeedPosition, Expr::case(skips, Expr::value(after)).finally(position()).into())
                .col_expr(
                    Column::PendingThrough,
                    Expr::case(pending().lt(through), Expr::value(through)).finally(pending()).into(),
                )
                .filter(is_announced());
            self.run_update(update).await?;
            let idle = rows.into_iter().filter(|(_, _, position, pending)| position >= pending && *position < through);
            without_backlog.extend(idle.map(|(id, is_degraded, ..)| (WebhookId(id), is_degraded)));
        }
        Ok(without_backlog)
    }

    async fn announced_through(&self) -> Result<i64, StoreError> {
        let row = webhook_fan_out::Entity::find_by_id(1).one(&self.0).await?;
        Ok(row.ok_or_else(|| mapping::corrupt("webhook_fan_out"))?.sequence)
    }

    async fn set_announced_through(&self, sequence: i64) -> Result<(), StoreError> {
        let update = webhook_fan_out::Entity::update_many()
            .col_expr(webhook_fan_out::Column::Sequence, Expr::value(sequence))
            .filter(webhook_fan_out::Column::Sequence.lt(sequence));
        self.run_update(update).await
    }
}

/// Query for the subscriptions to projects, found by the members of the projects.
fn subscriptions(projects: &[ProjectId]) -> SelectStatement {
    let of_webhook = |column: Column| Expr::col((Entity, column));
    let of_member = |column: member::Column| Expr::col((member::Entity, column));
    Query::select()
        .columns([Column::Id, Column::Events].map(|column| (Entity, column)))
        .columns([member::Column::ProjectId, member::Column::Role].map(|column| (member::Entity, column)))
        .from(member::Entity)
        .inner_join(user::Entity, of_member(member::Column::UserId).equals((user::Entity, user::Column::Id)))
        .inner_join(Entity, of_webhook(Column::UserId).equals((member::Entity, member::Column::UserId)))
        .and_where(of_member(member::Column::ProjectId).is_in(projects.iter().map(|project| project.0)))
        .and_where(user::Column::DeletedAt.is_null())
        .and_where(user::Column::DisabledAt.is_null())
        .and_where(Column::Enabled.eq(true))
        .cond_where(
            Condition::any()
                .add(of_webhook(Column::ProjectId).is_null())
                .add(of_webhook(Column::ProjectId).equals((member::Entity, member::Column::ProjectId))),
        )
        .take()
}

/// Previous secrets that are still valid, the newest first.
fn valid_secrets(webhook: WebhookId, now: Timestamp) -> Select<previous_secret::Entity> {
    previous_secret::Entity::find()
        .filter(previous_secret::Column::WebhookId.eq(webhook.0))
        .filter(previous_secret::Column::ValidUntil.gt(now.0))
        .order_by_desc(previous_secret::Column::Id)
}
