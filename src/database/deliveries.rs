//! Deliveries of events to webhooks.

use async_trait::async_trait;
use poem_openapi::types::{ParseFromJSON as _, ToJSON as _};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait as _, Query, SelectStatement, SimpleExpr};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult as _, IdenStatic as _, Iterable as _, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait as _, UpdateMany,
};
use uuid::Uuid;

use super::entities::delivery::{ActiveModel, Column, Entity, Model};
use super::entities::{event, member, user, webhook};
use super::repositories::SeaRepositories;
use super::{mapping, webhooks};
use crate::contract::event::EventType;
use crate::contract::page::{Page, Paging, Sort};
use crate::contract::webhook::delivery::{Delivery, DeliveryAttempt, DeliverySort, DeliveryStatus};
use crate::contract::{DeliveryId, EventId, Timestamp, WebhookId};
use crate::repositories::{
    DeliverableEvent, DeliveryFilter, DeliveryRecord, DeliveryRepository, DueDelivery, StoreError,
};

/// Number of ids per statement.
const BATCH_SIZE: usize = 50;

fn parse_event_type(stored: &str) -> Result<EventType, StoreError> {
    EventType::parse(stored).ok_or_else(|| mapping::corrupt("EventType"))
}

fn delivery(row: &Model) -> Result<Delivery, StoreError> {
    Ok(Delivery {
        id: DeliveryId(row.id),
        webhook_id: WebhookId(row.webhook_id),
        event_id: EventId(row.event_id),
        event_type: parse_event_type(&row.event_type)?,
        status: mapping::delivery_status(&row.status)?,
        attempts: attempts(row),
        next_attempt_at: row.next_attempt_at.map(Timestamp),
        created_at: Timestamp(row.created_at),
    })
}

/// Decodes the log of attempts; a corrupt one is empty.
fn attempts(row: &Model) -> Vec<DeliveryAttempt> {
    let stored = serde_json::from_str(&row.attempts).ok().and_then(|stored| Vec::parse_from_json(Some(stored)).ok());
    stored.unwrap_or_else(|| {
        tracing::error!(delivery.id = %row.id, "cannot decode the attempts of a delivery");
        Vec::new()
    })
}

fn record(mut row: Model) -> Result<DeliveryRecord, StoreError> {
    Ok(DeliveryRecord { payload: row.payload.take(), delivery: delivery(&row)? })
}

/// Mutable columns of a delivery.
fn delivery_update(delivery: &Delivery) -> ActiveModel {
    ActiveModel {
        status: Set(mapping::delivery_status_str(delivery.status).to_owned()),
        attempts: Set(delivery.attempts.to_json_string()),
        attempt_count: Set(i64::try_from(delivery.attempts.len()).unwrap_or(i64::MAX)),
        next_attempt_at: Set(delivery.next_attempt_at.map(|time| time.0)),
        ..ActiveModel::default()
    }
}

fn new_row(record: &DeliveryRecord) -> ActiveModel {
    let delivery = &record.delivery;
    ActiveModel {
        id: Set(delivery.id.0),
        webhook_id: Set(delivery.webhook_id.0),
        event_id: Set(delivery.event_id.0),
        event_type: Set(delivery.event_type.as_str().to_owned()),
        payload: Set(record.payload.clone()),
        created_at: Set(delivery.created_at.0),
        ..delivery_update(delivery)
    }
}

#[async_trait]
impl<C: ConnectionTrait + Send + Sync> DeliveryRepository for SeaRepositories<C> {
    async fn add(&self, deliveries: &[DeliveryRecord]) -> Result<(), StoreError> {
        self.bulk_insert(&deliveries.iter().map(new_row).collect::<Vec<_>>()).await
    }

    async fn list(
        &self,
        webhook: WebhookId,
        filter: &DeliveryFilter,
        sort: Sort<DeliverySort>,
        paging: Paging,
    ) -> Result<Page<Delivery>, StoreError> {
        let matching = Entity::find()
            .filter(Column::WebhookId.eq(webhook.0))
            .apply_if(filter.status, |query, status| {
                query.filter(Column::Status.eq(mapping::delivery_status_str(status)))
            })
            .apply_if(filter.kind, |query, kind| query.filter(Column::EventType.eq(kind.as_str())));
        let column = match sort.field {
            DeliverySort::CreatedAt => Column::CreatedAt,
        };
        self.page(matching, (column, Column::Id), sort.direction, paging, |row| delivery(&row)).await
    }

    async fn find(&self, id: DeliveryId) -> Result<Option<DeliveryRecord>, StoreError> {
        Entity::find_by_id(id.0).one(&self.0).await?.map(record).transpose()
    }

    async fn list_due(&self, webhook: WebhookId, now: Timestamp, limit: u64) -> Result<Vec<DueDelivery>, StoreError> {
        let rows: Vec<(Uuid, Uuid, String, i64)> = Entity::find()
            .select_only()
            .columns([Column::Id, Column::EventId, Column::EventType, Column::CreatedAt])
            .filter(Column::WebhookId.eq(webhook.0))
            .filter(Column::NextAttemptAt.lte(now.0))
            .filter(has_known_type())
            .order_by_asc(Column::NextAttemptAt)
            .order_by_asc(Column::Id)
            .limit(limit)
            .into_tuple()
            .all(&self.0)
            .await?;
        let due = rows.into_iter().map(|(id, event_id, event_type, created_at)| {
            Ok(DueDelivery {
                id: DeliveryId(id),
                event_id: EventId(event_id),
                event_type: parse_event_type(&event_type)?,
                created_at: Timestamp(created_at),
                sequence: None,
            })
        });
        due.collect()
    }

    async fn find_deliverable(
        &self,
        webhook: WebhookId,
        event: EventId,
    ) -> Result<Option<DeliverableEvent>, StoreError> {
        let Some(row) = self.0.query_one(&deliverable_query(webhook, event)).await? else { return Ok(None) };
        let role: String = row.try_get("", "role")?;
        let found = vec![event::Model::from_query_result(&row, EVENT_PREFIX)?];
        let Some(event) = self.resolve_events(found).await?.pop() else { return Ok(None) };
        Ok(Some(DeliverableEvent {
            webhook: webhooks::record(webhook::Model::from_query_result(&row, WEBHOOK_PREFIX)?),
            role: mapping::role(&role)?,
            event,
        }))
    }

    async fn list_by_ids(&self, ids: &[DeliveryId]) -> Result<Vec<Delivery>, StoreError> {
        let Some(last) = ids.last() else { return Ok(Vec::new()) };
        // Padded to one number of ids, so that a single statement is prepared.
        let ids = ids.iter().chain(std::iter::repeat(last)).take(BATCH_SIZE.max(ids.len())).map(|id| id.0);
        let rows = Entity::find().filter(Column::Id.is_in(ids)).all(&self.0).await?;
        rows.iter().map(delivery).collect()
    }

    async fn next_due(&self, webhook: WebhookId) -> Result<Option<Timestamp>, StoreError> {
        let next = Entity::find()
            .select_only()
            .column(Column::NextAttemptAt)
            .filter(Column::WebhookId.eq(webhook.0))
            .filter(is_pending())
            .filter(has_known_type())
            .order_by_asc(Column::NextAttemptAt)
            .into_tuple::<i64>()
            .one(&self.0)
            .await?;
        Ok(next.map(Timestamp))
    }

    async fn update(&self, delivery: &Delivery) -> Result<(), StoreError> {
        let update = Entity::update_many().set(delivery_update(delivery)).filter(Column::Id.eq(delivery.id.0));
        self.run_update(update).await
    }

    async fn mark_failed(&self, id: DeliveryId) -> Result<(), StoreError> {
        self.run_update(mark_failed_stmt().filter(Column::Id.eq(id.0)).filter(is_pending())).await
    }

    async fn cancel_pending(&self, webhook: WebhookId, until: Timestamp, limit: u64) -> Result<u64, StoreError> {
        let some = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::WebhookId.eq(webhook.0))
            .filter(is_pending())
            .filter(Column::EventType.ne(EventType::WebhookTest.as_str()))
            // As a sum, so that the planner does not use the index of all deliveries by time.
            .filter(Expr::col(Column::CreatedAt).add(0).lte(until.0))
            .order_by_asc(Column::NextAttemptAt)
            .order_by_asc(Column::Id)
            .limit(limit)
            .into_query();
        Ok(mark_failed_stmt().filter(Column::Id.in_subquery(some)).exec(&self.0).await?.rows_affected)
    }
}

const WEBHOOK_PREFIX: &str = "webhook_";
const EVENT_PREFIX: &str = "event_";

/// Query for a webhook, its owner, the membership and the event, each by key.
fn deliverable_query(webhook: WebhookId, event: EventId) -> SelectStatement {
    let named = |of: &str, column: &str| format!("{of}{column}");
    let of_webhook = |column| Expr::col((webhook::Entity, column));
    let of_member = |column| Expr::col((member::Entity, column));
    let mut select = Query::select();
    for column in webhook::Column::iter() {
        select.expr_as(of_webhook(column), named(WEBHOOK_PREFIX, column.as_str()));
    }
    for column in event::Column::iter() {
        select.expr_as(Expr::col((event::Entity, column)), named(EVENT_PREFIX, column.as_str()));
    }
    select
        .column((member::Entity, member::Column::Role))
        .from(webhook::Entity)
        .inner_join(user::Entity, of_webhook(webhook::Column::UserId).equals((user::Entity, user::Column::Id)))
        .inner_join(
            member::Entity,
            of_member(member::Column::UserId).equals((webhook::Entity, webhook::Column::UserId)),
        )
        .inner_join(
            event::Entity,
            of_member(member::Column::ProjectId).equals((event::Entity, event::Column::ProjectId)),
        )
        .and_where(of_webhook(webhook::Column::Id).eq(webhook.0))
        .and_where(webhook::Column::RemovedAt.is_null())
        .and_where(user::Column::DeletedAt.is_null())
        .and_where(user::Column::DisabledAt.is_null())
        .and_where(Expr::col((event::Entity, event::Column::Id)).eq(event.0))
        .take()
}

/// Condition that a delivery is pending, as the index of due deliveries has it.
fn is_pending() -> SimpleExpr {
    Column::NextAttemptAt.is_not_null()
}

/// Condition that this version knows the event type.
fn has_known_type() -> SimpleExpr {
    Column::EventType.is_in(EventType::all().map(EventType::as_str))
}

fn mark_failed_stmt() -> UpdateMany<Entity> {
    Entity::update_many()
        .col_expr(Column::Status, Expr::value(mapping::delivery_status_str(DeliveryStatus::Failed)))
        .col_expr(Column::NextAttemptAt, Expr::value(None::<i64>))
}
