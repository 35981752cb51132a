//! Usage counters.

use std::time::Duration;

use async_trait::async_trait;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use super::entities::counter::{ActiveModel, Column, Entity};
use super::repositories::SeaRepositories;
use crate::contract::Timestamp;
use crate::repositories::{CounterKey, CounterRepository, StoreError, WindowCount};

#[async_trait]
impl<C: ConnectionTrait + Send + Sync> CounterRepository for SeaRepositories<C> {
    async fn increment(&self, key: &CounterKey, window: Duration, now: Timestamp) -> Result<WindowCount, StoreError> {
        let end = now + window;
        let new = ActiveModel { key: Set(key.to_vec()), count: Set(1), ends_at: Set(end.0) };
        let column = |column: Column| Expr::col((Entity, column));
        let has_ended = || column(Column::EndsAt).lte(now.0);
        let conflict = OnConflict::column(Column::Key)
            .value(Column::Count, Expr::case(has_ended(), 1).finally(column(Column::Count).add(1)))
            .value(Column::EndsAt, Expr::case(has_ended(), end.0).finally(column(Column::EndsAt)))
            .to_owned();
        let row = Entity::insert(new).on_conflict(conflict).exec_with_returning(&self.0).await?;
        Ok(WindowCount { count: row.count.unsigned_abs(), ends_at: Timestamp(row.ends_at) })
    }

    async fn decrement(&self, key: &CounterKey, now: Timestamp) -> Result<(), StoreError> {
        let update = Entity::update_many()
            .col_expr(Column::Count, Expr::col(Column::Count).sub(1))
            .filter(Column::Key.eq(key.to_vec()))
            .filter(Column::EndsAt.gt(now.0))
            .filter(Column::Count.gt(0));
        self.run_update(update).await
    }
}
