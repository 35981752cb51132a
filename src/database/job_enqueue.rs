//! Producer side of the job queue.

use std::collections::HashSet;

use async_trait::async_trait;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait as _, InsertStatement, OnConflict};
use sea_orm::{ConnectionTrait, EntityTrait, QueryTrait as _};
use serde_json::Value;
use uuid::Uuid;

use super::entities::job::{ActiveModel, Column, Entity};
use super::repositories::{SeaRepositories, insert_chunks};
use crate::contract::ids::new_uuid;
use crate::contract::{Timestamp, WebhookId};
use crate::repositories::{Dedup, Job, JobRepository, Queue, StoreError};
use crate::telemetry;

/// Field of a payload with the trace in which the job was enqueued. All versions ignore fields that they do not know.
pub(super) const TRACEPARENT: &str = "traceparent";

/// Encodes a job as its kind and its payload.
fn encode(job: &Job) -> Result<(String, String), StoreError> {
    let mut stored = serde_json::to_value(job).map_err(|error| StoreError::Internal(Box::new(error)))?;
    let payload = stored.get_mut("payload").map(Value::take).unwrap_or_default();
    let payload = match (payload, telemetry::current_traceparent()) {
        (Value::Object(mut fields), Some(trace)) => {
            fields.insert(TRACEPARENT.to_owned(), trace.into());
            Value::Object(fields)
        }
        (payload, _) => payload,
    };
    Ok((job.kind().to_owned(), payload.to_string()))
}

/// Resolution of a conflict with an existing job.
///
/// The existing job is always written, which locks it: it is neither claimed nor completed before this transaction has
/// committed what it must see.
fn on_conflict(dedup: &Dedup, run_at: Timestamp) -> OnConflict {
    let current = || Expr::col((Entity, Column::RunAt));
    match dedup {
        Dedup::Forever(_) => OnConflict::column(Column::ForeverKey).do_nothing().to_owned(),
        Dedup::None | Dedup::WhilePending(_) => {
            OnConflict::column(Column::PendingKey).value(Column::RunAt, current()).to_owned()
        }
        Dedup::WhileUnfinished(_) => {
            let state = || Expr::col((Entity, Column::State));
            let is_dead = || state().eq("dead");
            let waits_longer = state().eq("pending").and(current().gt(run_at.0));
            OnConflict::column(Column::UnfinishedKey)
                .value(Column::RunAt, Expr::case(is_dead().or(waits_longer), Expr::value(run_at.0)).finally(current()))
                .value(
                    Column::Attempts,
                    Expr::case(is_dead(), Expr::value(0)).finally(Expr::col((Entity, Column::Attempts))),
                )
                .value(
                    Column::FinishedAt,
                    Expr::case(is_dead(), Expr::value(None::<i64>)).finally(Expr::col((Entity, Column::FinishedAt))),
                )
                .value(Column::State, Expr::case(is_dead(), Expr::value("pending")).finally(state()))
                .to_owned()
        }
    }
}

fn new_row(
    job: &Job,
    queue: Queue,
    dedup: Dedup,
    now: Timestamp,
    run_at: Timestamp,
) -> Result<ActiveModel, StoreError> {
    let (kind, payload) = encode(job)?;
    let (mut pending_key, mut unfinished_key, mut forever_key) = (None, None, None);
    match dedup {
        Dedup::None => {}
        Dedup::WhilePending(key) => pending_key = Some(key),
        Dedup::WhileUnfinished(key) => unfinished_key = Some(key),
        Dedup::Forever(key) => forever_key = Some(key),
    }
    Ok(ActiveModel {
        id: Set(new_uuid()),
        kind: Set(kind),
        queue: Set(queue.as_str().to_owned()),
        payload: Set(payload),
        user_id: Set(job.user().map(|user| user.0)),
        state: Set("pending".to_owned()),
        run_at: Set(run_at.0),
        attempts: Set(0),
        lease_token: Set(None),
        pending_key: Set(pending_key),
        forever_key: Set(forever_key),
        unfinished_key: Set(unfinished_key),
        last_error: Set(None),
        created_at: Set(now.0),
        finished_at: Set(None),
    })
}

/// Statement that enqueues a job for now.
pub(super) fn enqueue_stmt(job: &Job, now: Timestamp) -> Result<InsertStatement, StoreError> {
    let (row, conflict) = (new_row(job, job.queue(), job.dedup(), now, now)?, on_conflict(&job.dedup(), now));
    Ok(Entity::insert(row).on_conflict(conflict).into_query())
}

impl<C: ConnectionTrait> SeaRepositories<C> {
    /// Inserts rows, and returns how many of them are new.
    async fn insert_jobs(&self, rows: Vec<ActiveModel>, conflict: OnConflict) -> Result<usize, StoreError> {
        let new: HashSet<Uuid> = rows.iter().filter_map(|row| row.id.try_as_ref().copied()).collect();
        let mut insert = Entity::insert_many(rows).on_conflict(conflict).into_query();
        insert.returning_col(Column::Id);
        let found = self.0.query_all(&insert).await?;
        let found = found.iter().map(|row| row.try_get("", "id")).collect::<Result<Vec<Uuid>, _>>()?;
        Ok(found.iter().filter(|id| new.contains(id)).count())
    }

    async fn insert_job(&self, job: &Job, dedup: Dedup, now: Timestamp, run_at: Timestamp) -> Result<bool, StoreError> {
        let conflict = on_conflict(&dedup, run_at);
        Ok(self.insert_jobs(vec![new_row(job, job.queue(), dedup, now, run_at)?], conflict).await? == 1)
    }
}

#[async_trait]
impl<C: ConnectionTrait + Send + Sync> JobRepository for SeaRepositories<C> {
    async fn enqueue(&self, job: &Job, now: Timestamp, run_at: Timestamp) -> Result<bool, StoreError> {
        self.insert_job(job, job.dedup(), now, run_at).await
    }

    async fn enqueue_once(&self, job: &Job, key: &str, now: Timestamp) -> Result<bool, StoreError> {
        self.insert_job(job, Dedup::Forever(key.to_owned()), now, now).await
    }

    async fn enqueue_deliveries(&self, webhooks: &[(WebhookId, Queue)], now: Timestamp) -> Result<usize, StoreError> {
        let mut new = 0;
        for chunk in insert_chunks(webhooks) {
            let rows = chunk.iter().map(|(webhook, queue)| {
                let job = Job::DeliverWebhook { webhook: *webhook };
                new_row(&job, *queue, job.dedup(), now, now)
            });
            let rows = rows.collect::<Result<Vec<_>, _>>()?;
            new += self.insert_jobs(rows, on_conflict(&Dedup::WhileUnfinished(String::new()), now)).await?;
        }
        Ok(new)
    }
}
