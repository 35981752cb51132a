//! Buckets of rate limits that all processes on a database share.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use sea_orm::sea_query::{Expr, ExprTrait as _, Func, OnConflict, Query};
use sea_orm::{ConnectionTrait, DbErr, QueryResult};

use super::entities::rate_limit::{Column, Entity};
use super::idempotency::set_lock_timeout;
use super::repositories::SeaRepositories;
use crate::contract::Timestamp;
use crate::repositories::{BucketCharge, CounterKey, RateLimitRepository, StoreError};

const MICROS_PER_SECOND: f64 = 1_000_000.0;

/// Name of the row that an upsert proposed.
const EXCLUDED: &str = "excluded";

impl<C: ConnectionTrait> SeaRepositories<C> {
    /// Time in microseconds, constant within a transaction: on PostgreSQL that of the server.
    fn current_micros(&self) -> Expr {
        if self.is_postgres() {
            let seconds = Func::cust("date_part").arg("epoch").arg(Func::cust("now"));
            return Expr::expr(seconds).mul(MICROS_PER_SECOND).cast_as("bigint");
        }
        Expr::value(Timestamp::now().0.saturating_mul(1_000))
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Reads keys and the times in which their buckets are full again.
fn levels(rows: Vec<QueryResult>) -> Result<HashMap<Vec<u8>, Duration>, DbErr> {
    let level = |row: QueryResult| -> Result<_, DbErr> {
        let micros: i64 = row.try_get_by_index(1)?;
        Ok((row.try_get_by_index(0)?, Duration::from_micros(u64::try_from(micros).unwrap_or_default())))
    };
    rows.into_iter().map(level).collect()
}

/// Maximum wait for a bucket that another transaction charges.
const LOCK_TIMEOUT_MS: &str = "1500";

#[async_trait]
impl<C: ConnectionTrait + Send + Sync> RateLimitRepository for SeaRepositories<C> {
    async fn find_levels(&self, keys: &[CounterKey]) -> Result<Vec<Duration>, StoreError> {
        let mut query = Query::select();
        query
            .column(Column::Key)
            .expr(Expr::col(Column::FullAt).sub(self.current_micros()))
            .from(Entity)
            .and_where(Expr::col(Column::Key).is_in(keys.iter().map(|key| key.to_vec())));
        let levels = levels(self.0.query_all(&query).await?)?;
        Ok(keys.iter().map(|key| levels.get(key.as_slice()).copied().unwrap_or_default()).collect())
    }

    async fn charge(&self, charges: &[BucketCharge], capacity: Duration) -> Result<Vec<Option<Duration>>, StoreError> {
        // The caller stops waiting somewhat later. PostgreSQL would go on, and keep the connection.
        if self.is_postgres() {
            self.0.query_one(Query::select().expr(set_lock_timeout(Some(LOCK_TIMEOUT_MS)))).await?;
        }
        let now = || self.current_micros();
        // The proposed row is that of a full bucket, so it has the cost.
        let after_charge = || {
            let level = Func::greatest([Expr::col((Entity, Column::FullAt)), now()]);
            Expr::expr(level).add(Expr::col((EXCLUDED, Column::FullAt))).sub(now())
        };
        let conflict = OnConflict::column(Column::Key)
            .value(Column::FullAt, after_charge())
            .action_and_where(after_charge().lte(now().add(micros(capacity))))
            .to_owned();
        let mut insert = Query::insert();
        insert.into_table(Entity).columns([Column::Key, Column::FullAt]);
        for charge in charges {
            insert.values_panic([charge.key.to_vec().into(), now().add(micros(charge.cost))]);
        }
        let level = Expr::col(Column::FullAt).sub(now());
        let returning = Query::returning().exprs([Expr::col(Column::Key), level]);
        insert.on_conflict(conflict).returning(returning);
        let levels = levels(self.0.query_all(&insert).await?)?;
        Ok(charges.iter().map(|charge| levels.get(charge.key.as_slice()).copied()).collect())
    }
}
