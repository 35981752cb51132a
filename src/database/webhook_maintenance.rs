//! Removing what belongs to webhooks for good, and finding those that wait in vain.

use sea_orm::sea_query::{Expr, ExprTrait as _, Query, SimpleExpr};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use uuid::Uuid;

use super::SeaRepositories;
use super::entities::{delivery, webhook};
use crate::contract::{ProjectId, Timestamp, UserId, WebhookId};
use crate::repositories::{StalledWebhooks, StoreError};

impl<C: ConnectionTrait> SeaRepositories<C> {
    pub(super) async fn webhooks_of(&self, user: UserId) -> Result<Vec<WebhookId>, StoreError> {
        self.webhooks_where(webhook::Column::UserId.eq(user.0)).await
    }

    pub(super) async fn webhooks_for(&self, project: ProjectId) -> Result<Vec<WebhookId>, StoreError> {
        self.webhooks_where(webhook::Column::ProjectId.eq(project.0)).await
    }

    async fn webhooks_where(&self, condition: SimpleExpr) -> Result<Vec<WebhookId>, StoreError> {
        let ids = webhook::Entity::find().select_only().column(webhook::Column::Id).filter(condition);
        let ids: Vec<Uuid> = ids.into_tuple().all(&self.0).await?;
        Ok(ids.into_iter().map(WebhookId).collect())
    }

    pub(super) async fn delete_deliveries_of(&self, webhook: WebhookId, limit: u64) -> Result<u64, StoreError> {
        use delivery::{Column, Entity};
        let some = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::WebhookId.eq(webhook.0))
            .limit(limit)
            .into_query();
        Ok(Entity::delete_many().filter(Column::Id.in_subquery(some)).exec(&self.0).await?.rows_affected)
    }

    pub(super) async fn delete_removed_webhook(&self, id: WebhookId) -> Result<(), StoreError> {
        use webhook::{Column, Entity};
        // Who promises something to it at this moment has it until its commit; what was promised goes with it.
        Entity::delete_many().filter(Column::Id.eq(id.0)).filter(Column::RemovedAt.is_not_null()).exec(&self.0).await?;
        Ok(())
    }

    /// One look at the index of what is due for each webhook, so that no index of all deliveries is needed for it.
    pub(super) async fn stranded_webhooks(
        &self,
        beyond: Option<WebhookId>,
        before: Timestamp,
        limit: u64,
    ) -> Result<StalledWebhooks, StoreError> {
        use webhook::{Column, Entity};
        let overdue = Query::select()
            .expr(Expr::value(1))
            .from(delivery::Entity)
            .and_where(Expr::col((delivery::Entity, delivery::Column::WebhookId)).equals((Entity, Column::Id)))
            .and_where(delivery::Column::NextAttemptAt.lt(before.0))
            .to_owned();
        let is_stranded = Expr::exists(overdue).or(Column::RemovedAt.is_not_null().and(Column::RemovedAt.lt(before.0)));
        let rows: Vec<(Uuid, bool, bool)> = Entity::find()
            .select_only()
            .columns([Column::Id, Column::IsDegraded])
            .expr_as(is_stranded, "is_stranded")
            .filter(Condition::all().add_option(beyond.map(|beyond| Column::Id.gt(beyond.0))))
            .order_by_asc(Column::Id)
            .limit(limit)
            .into_tuple()
            .all(&self.0)
            .await?;
        let next = (rows.len() as u64 == limit).then(|| rows.last().map(|(id, ..)| WebhookId(*id))).flatten();
        let webhooks = rows.into_iter().filter(|(.., is_stranded)| *is_stranded);
        Ok(StalledWebhooks {
            webhooks: webhooks.map(|(id, is_degraded, _)| (WebhookId(id), is_degraded)).collect(),
            next,
        })
    }
}
