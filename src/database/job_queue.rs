//! Worker and operator side of the job queue.

use async_trait::async_trait;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{
    CommonTableExpression, Expr, ExprTrait as _, LockBehavior, LockType, Order, Query, SelectStatement, SimpleExpr,
    UpdateStatement, WithClause,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult as _, QueryFilter, QueryOrder, QuerySelect as _,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::entities::job::{ActiveModel, Column, Entity, Model};
use super::job_enqueue::TRACEPARENT;
use super::repositories::SeaRepositories;
use crate::contract::Timestamp;
use crate::contract::ids::new_uuid;
use crate::repositories::{Job, JobRecord, JobState, Lease, LeasedJob, Queue, QueueRepository, StoreError};

/// Maximum number of stored characters of an error.
const MAX_ERROR_LEN: usize = 1_000;

/// Decodes a job, and the trace in which it was enqueued.
fn decode(kind: &str, payload: &str) -> (Result<Job, StoreError>, Option<String>) {
    let payload = serde_json::from_str::<Value>(payload);
    let trace = payload.as_ref().ok().and_then(|payload| payload[TRACEPARENT].as_str()).map(str::to_owned);
    let decoded = payload.and_then(|payload| serde_json::from_value(json!({ "kind": kind, "payload": payload })));
    (decoded.map_err(|error| StoreError::Internal(Box::new(error))), trace)
}

/// Returns the name of a kind, or that of all kinds that this version does not know.
fn known_kind(kind: &str) -> &'static str {
    Job::KINDS.iter().find(|known| **known == kind).copied().unwrap_or("unknown")
}

fn record(row: Model) -> JobRecord {
    JobRecord {
        id: row.id,
        state: row.state.parse().unwrap_or(JobState::Pending),
        kind: row.kind,
        payload: row.payload,
        attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
        run_at: Timestamp(row.run_at),
        created_at: Timestamp(row.created_at),
        last_error: row.last_error,
    }
}

/// Query for the pending and running jobs of some queues.
fn due(queues: &[Queue]) -> SelectStatement {
    Query::select()
        .column(Column::Id)
        .from(Entity)
        .and_where(Column::FinishedAt.is_null())
        .and_where(Column::Queue.is_in(queues.iter().map(|queue| queue.as_str())))
        .and_where(Column::Kind.is_in(Job::KINDS.iter().copied()))
        .order_by(Column::RunAt, Order::Asc)
        .order_by(Column::Id, Order::Asc)
        .to_owned()
}

impl<C: ConnectionTrait> SeaRepositories<C> {
    /// Updates a job, unless its lease was lost.
    async fn update_leased(&self, lease: Lease, changes: ActiveModel) -> Result<bool, StoreError> {
        let update = Entity::update_many()
            .set(changes)
            .filter(Column::Id.eq(lease.id))
            .filter(Column::LeaseToken.eq(lease.token));
        self.update_one(update).await
    }
}

fn truncate_error(error: &str) -> String {
    // PostgreSQL rejects NUL in text.
    error.chars().filter(|character| *character != '\0').take(MAX_ERROR_LEN).collect()
}

#[async_trait]
impl<C: ConnectionTrait + Send + Sync> QueueRepository for SeaRepositories<C> {
    async fn claim(
        &self,
        queues: &[Queue],
        limit: u64,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<LeasedJob>, StoreError> {
        let token = new_uuid();
        let due = due(queues)
            .and_where(Column::RunAt.lte(now.0))
            .limit(limit)
            // SQLite has a single writer and ignores the lock.
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .to_owned();
        let name = "due";
        let of_due = Query::select().column("id").from(name).to_owned();
        let lease: UpdateStatement = Query::update()
            .table(Entity)
            .value(Column::State, "running")
            .value(Column::LeaseToken, token)
            .value(Column::RunAt, until.0)
            .value(Column::Attempts, Expr::col(Column::Attempts).add(1))
            .value(Column::PendingKey, SimpleExpr::Keyword(sea_orm::sea_query::Keyword::Null))
            .and_where(Column::Id.in_subquery(of_due))
            .returning_all()
            .to_owned();
        let with = WithClause::new()
            .cte(CommonTableExpression::new().query(due).column("id").table_name(name).to_owned())
            .to_owned();
        let rows = self.0.query_all(&lease.with(with)).await?;
        let mut rows: Vec<Model> =
            rows.iter().map(|row| Model::from_query_result(row, "")).collect::<Result<_, _>>()?;
        rows.sort_by_key(|row| row.id);
        let leased = rows.into_iter().map(|row| {
            let (job, traceparent) = decode(&row.kind, &row.payload);
            LeasedJob {
                lease: Lease { id: row.id, token },
                queue: row.queue.parse().unwrap_or(Queue::Default),
                job,
                kind: known_kind(&row.kind),
                attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
                traceparent,
            }
        });
        Ok(leased.collect())
    }

    async fn list_due(&self, queues: &[Queue]) -> Result<Vec<(Queue, Option<Timestamp>)>, StoreError> {
        let mut select = Query::select();
        for queue in queues {
            let first = due(&[*queue]).clear_selects().column(Column::RunAt).limit(1).take();
            select.expr_as(SimpleExpr::SubQuery(None, Box::new(first.into())), queue.as_str());
        }
        let Some(row) = self.0.query_one(&select).await? else { return Ok(Vec::new()) };
        let due = queues.iter().map(|queue| {
            let at: Option<i64> = row.try_get("", queue.as_str())?;
            Ok((*queue, at.map(Timestamp)))
        });
        due.collect()
    }

    async fn extend_lease(&self, lease: Lease, until: Timestamp) -> Result<bool, StoreError> {
        self.update_leased(lease, ActiveModel { run_at: Set(until.0), ..ActiveModel::default() }).await
    }

    async fn complete(&self, lease: Lease, now: Timestamp) -> Result<bool, StoreError> {
        let removed = Entity::delete_many()
            .filter(Column::Id.eq(lease.id))
            .filter(Column::LeaseToken.eq(lease.token))
            .filter(Column::ForeverKey.is_null())
            .exec(&self.0)
            .await?;
        if removed.rows_affected == 1 {
            return Ok(true);
        }
        // Kept for its key.
        let done = ActiveModel {
            state: Set("done".to_owned()),
            lease_token: Set(None),
            unfinished_key: Set(None),
            last_error: Set(None),
            finished_at: Set(Some(now.0)),
            ..ActiveModel::default()
        };
        self.update_leased(lease, done).await
    }

    async fn retry_later(&self, lease: Lease, run_at: Timestamp, error: &str) -> Result<bool, StoreError> {
        let changes = ActiveModel {
            state: Set("pending".to_owned()),
            lease_token: Set(None),
            run_at: Set(run_at.0),
            last_error: Set(Some(truncate_error(error))),
            ..ActiveModel::default()
        };
        self.update_leased(lease, changes).await
    }

    async fn requeue(&self, lease: Lease, queue: Queue, run_at: Timestamp) -> Result<bool, StoreError> {
        let changes = ActiveModel {
            state: Set("pending".to_owned()),
            lease_token: Set(None),
            queue: Set(queue.as_str().to_owned()),
            run_at: Set(run_at.0),
            attempts: Set(0),
            last_error: Set(None),
            ..ActiveModel::default()
        };
        self.update_leased(lease, changes).await
    }

    async fn dead_letter(&self, lease: Lease, now: Timestamp, error: &str) -> Result<bool, StoreError> {
        let changes = ActiveModel {
            state: Set("dead".to_owned()),
            lease_token: Set(None),
            last_error: Set(Some(truncate_error(error))),
            finished_at: Set(Some(now.0)),
            ..ActiveModel::default()
        };
        self.update_leased(lease, changes).await
    }

    async fn release(&self, lease: Lease, now: Timestamp) -> Result<(), StoreError> {
        let update = Entity::update_many()
            .col_expr(Column::State, Expr::value("pending"))
            .col_expr(Column::LeaseToken, Expr::value(None::<Uuid>))
            .col_expr(Column::RunAt, Expr::value(now.0))
            .col_expr(Column::Attempts, Expr::col(Column::Attempts).sub(1))
            .filter(Column::Id.eq(lease.id))
            .filter(Column::LeaseToken.eq(lease.token));
        self.run_update(update).await
    }

    async fn list_unfinished(&self) -> Result<Vec<JobRecord>, StoreError> {
        let rows = Entity::find()
            .filter(Column::State.ne("done"))
            .order_by(Column::CreatedAt, Order::Asc)
            .order_by(Column::Id, Order::Asc)
            .all(&self.0)
            .await?;
        Ok(rows.into_iter().map(record).collect())
    }

    async fn count_unfinished(&self) -> Result<Vec<(&'static str, JobState, i64)>, StoreError> {
        let counts = Entity::find()
            .select_only()
            .column(Column::Kind)
            .column(Column::State)
            .column_as(Column::Id.count(), "count")
            .filter(Column::State.ne("done"))
            .group_by(Column::Kind)
            .group_by(Column::State)
            .into_tuple::<(String, String, i64)>()
            .all(&self.0)
            .await?;
        let known =
            counts.into_iter().filter_map(|(kind, state, count)| Some((known_kind(&kind), state.parse().ok()?, count)));
        Ok(known.collect())
    }

    async fn retry(&self, id: Uuid, now: Timestamp) -> Result<bool, StoreError> {
        let changes = ActiveModel {
            state: Set("pending".to_owned()),
            run_at: Set(now.0),
            attempts: Set(0),
            finished_at: Set(None),
            ..ActiveModel::default()
        };
        let update = Entity::update_many()
            .set(changes)
            .filter(Column::Id.eq(id))
            .filter(Column::State.is_in(["pending", "dead"]));
        self.update_one(update).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::UserId;

    #[test]
    fn a_payload_may_have_the_trace_in_which_its_job_was_enqueued() {
        let user = UserId::generate();
        for (kind, payload, job) in [
            ("welcome_email", format!(r#"{{"user":"{user}","traceparent":"00-1-2-01"}}"#), Job::WelcomeEmail { user }),
            ("prune", r#"{"traceparent":"00-1-2-01"}"#.to_owned(), Job::Prune {}),
        ] {
            let (decoded, trace) = decode(kind, &payload);
            assert_eq!((decoded.unwrap(), trace.as_deref()), (job, Some("00-1-2-01")));
        }
        assert_eq!(decode("prune", "{}").1, None);
    }
}
