//! Permanent removal of webhooks, and recovery of stalled ones.

use async_trait::async_trait;
use sea_orm::sea_query::{Expr, ExprTrait as _, Query};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use uuid::Uuid;

use super::entities::delivery;
use super::entities::webhook::{Column, Entity};
use super::repositories::SeaRepositories;
use super::webhooks::record;
use crate::contract::{ProjectId, Timestamp, UserId, WebhookId};
use crate::repositories::{StalledWebhooks, StoreError, WebhookMaintenanceRepository, WebhookRecord};

#[async_trait]
impl<C: ConnectionTrait + Send + Sync> WebhookMaintenanceRepository for SeaRepositories<C> {
    async fn list_all(
        &self,
        owner: Option<UserId>,
        enabled: Option<bool>,
        limit: u64,
    ) -> Result<Vec<WebhookRecord>, StoreError> {
        let rows = Entity::find()
            .filter(Column::RemovedAt.is_null())
            .apply_if(owner, |query, owner| query.filter(Column::UserId.eq(owner.0)))
            .apply_if(enabled, |query, enabled| query.filter(Column::Enabled.eq(enabled)))
            .order_by_desc(Column::CreatedAt)
            .order_by_desc(Column::Id)
            .limit(limit)
            .all(&self.0)
            .await?;
        Ok(rows.into_iter().map(record).collect())
    }

    async fn list_user_webhooks(&self, user: UserId) -> Result<Vec<WebhookId>, StoreError> {
        self.fetch_ids(Entity::find().filter(Column::UserId.eq(user.0)), Column::Id, WebhookId).await
    }

    async fn list_project_webhooks(&self, project: ProjectId) -> Result<Vec<WebhookId>, StoreError> {
        self.fetch_ids(Entity::find().filter(Column::ProjectId.eq(project.0)), Column::Id, WebhookId).await
    }

    async fn purge_webhook_deliveries(&self, webhook: WebhookId, limit: u64) -> Result<u64, StoreError> {
        let some = delivery::Entity::find()
            .select_only()
            .column(delivery::Column::Id)
            .filter(delivery::Column::WebhookId.eq(webhook.0))
            .limit(limit)
            .into_query();
        let purged = delivery::Entity::delete_many().filter(delivery::Column::Id.in_subquery(some));
        Ok(purged.exec(&self.0).await?.rows_affected)
    }

    async fn purge_webhook(&self, id: WebhookId) -> Result<(), StoreError> {
        // Waits for a transaction that is creating a delivery, which is then removed with the webhook.
        Entity::delete_many().filter(Column::Id.eq(id.0)).filter(Column::RemovedAt.is_not_null()).exec(&self.0).await?;
        Ok(())
    }

    async fn list_stalled_webhooks(
        &self,
        after: Option<WebhookId>,
        before: Timestamp,
        limit: u64,
    ) -> Result<StalledWebhooks, StoreError> {
        // Seeks once per webhook in the index of due deliveries, so that no index over all webhooks is needed.
        let overdue = Query::select()
            .expr(Expr::value(1))
            .from(delivery::Entity)
            .and_where(Expr::col((delivery::Entity, delivery::Column::WebhookId)).equals((Entity, Column::Id)))
            .and_where(delivery::Column::NextAttemptAt.lt(before.0))
            .to_owned();
        let has_backlog =
            Column::Enabled.eq(true).and(Expr::col(Column::FeedPosition).lt(Expr::col(Column::PendingThrough)));
        let is_stalled = Expr::exists(overdue)
            .or(has_backlog)
            .or(Column::RemovedAt.is_not_null().and(Column::RemovedAt.lt(before.0)));
        let rows: Vec<(Uuid, bool, bool)> = Entity::find()
            .select_only()
            .columns([Column::Id, Column::IsDegraded])
            .expr_as(is_stalled, "is_stalled")
            .filter(Condition::all().add_option(after.map(|after| Column::Id.gt(after.0))))
            .order_by_asc(Column::Id)
            .limit(limit)
            .into_tuple()
            .all(&self.0)
            .await?;
        let next = (rows.len() as u64 == limit).then(|| rows.last().map(|(id, ..)| WebhookId(*id))).flatten();
        let webhooks = rows.into_iter().filter(|(.., is_stalled)| *is_stalled);
        Ok(StalledWebhooks {
            webhooks: webhooks.map(|(id, is_degraded, _)| (WebhookId(id), is_degraded)).collect(),
            next,
        })
    }
}
