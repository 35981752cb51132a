//! Promises of jobs: one statement each or for several, which also decides what becomes of one like it that is there.

use std::collections::HashSet;

use async_trait::async_trait;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict};
use sea_orm::{ConnectionTrait, EntityTrait, QueryTrait as _};
use serde_json::Value;
use uuid::Uuid;

use super::SeaRepositories;
use super::entities::job::{ActiveModel, Column, Entity};
use super::inserts::groups;
use super::jobs::unreadable;
use crate::contract::ids::new_uuid;
use crate::contract::{Timestamp, WebhookId};
use crate::repositories::{Job, JobRepository, Lane, StoreError, Unique};

/// The kind and the payload of a job as they are stored.
fn written(job: &Job) -> Result<(String, String), StoreError> {
    let stored = serde_json::to_value(job).map_err(unreadable)?;
    Ok((job.kind().to_owned(), stored.get("payload").unwrap_or(&Value::Null).to_string()))
}

/// What happens to the job that is there already. It is locked by being written: whoever takes it passes it by, and
/// whoever ends it waits, until this transaction has committed what it is to see.
fn on_conflict(unique: &Unique, run_at: Timestamp) -> OnConflict {
    let current = || Expr::col((Entity, Column::RunAt));
    match unique {
        Unique::Once(_) => OnConflict::column(Column::OnceKey).do_nothing().to_owned(),
        Unique::No | Unique::WhileWaiting(_) => {
            OnConflict::column(Column::WaitingKey).value(Column::RunAt, current()).to_owned()
        }
        Unique::Open(_) => {
            let state = || Expr::col((Entity, Column::State));
            let is_dead = || state().eq("dead");
            let waits_longer = state().eq("waiting").and(current().gt(run_at.0));
            // One that is dead comes back: there is something new to do.
            OnConflict::column(Column::OpenKey)
                .value(Column::RunAt, Expr::case(is_dead().or(waits_longer), Expr::value(run_at.0)).finally(current()))
                .value(
                    Column::Attempts,
                    Expr::case(is_dead(), Expr::value(0)).finally(Expr::col((Entity, Column::Attempts))),
                )
                .value(
                    Column::FinishedAt,
                    Expr::case(is_dead(), Expr::value(None::<i64>)).finally(Expr::col((Entity, Column::FinishedAt))),
                )
                .value(Column::State, Expr::case(is_dead(), Expr::value("waiting")).finally(state()))
                .to_owned()
        }
    }
}

fn row(job: &Job, lane: Lane, unique: Unique, now: Timestamp, run_at: Timestamp) -> Result<ActiveModel, StoreError> {
    let (kind, payload) = written(job)?;
    let (mut waiting_key, mut open_key, mut once_key) = (None, None, None);
    match unique {
        Unique::No => {}
        Unique::WhileWaiting(key) => waiting_key = Some(key),
        Unique::Open(key) => open_key = Some(key),
        Unique::Once(key) => once_key = Some(key),
    }
    Ok(ActiveModel {
        id: Set(new_uuid()),
        kind: Set(kind),
        lane: Set(lane.as_str().to_owned()),
        payload: Set(payload),
        user_id: Set(job.user().map(|user| user.0)),
        state: Set("waiting".to_owned()),
        run_at: Set(run_at.0),
        attempts: Set(0),
        lease_token: Set(None),
        waiting_key: Set(waiting_key),
        once_key: Set(once_key),
        open_key: Set(open_key),
        last_error: Set(None),
        created_at: Set(now.0),
        finished_at: Set(None),
    })
}

impl<C: ConnectionTrait> SeaRepositories<C> {
    /// Inserts rows, and says how many of them were not there.
    async fn insert_jobs(&self, rows: Vec<ActiveModel>, conflict: OnConflict) -> Result<usize, StoreError> {
        let new: HashSet<Uuid> = rows.iter().filter_map(|row| row.id.try_as_ref().copied()).collect();
        let mut insert = Entity::insert_many(rows).on_conflict(conflict).into_query();
        insert.returning_col(Column::Id);
        let found = self.0.query_all(&insert).await?;
        let found = found.iter().map(|row| row.try_get("", "id")).collect::<Result<Vec<Uuid>, _>>()?;
        Ok(found.iter().filter(|id| new.contains(id)).count())
    }

    async fn insert_job(
        &self,
        job: &Job,
        unique: Unique,
        now: Timestamp,
        run_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let conflict = on_conflict(&unique, run_at);
        Ok(self.insert_jobs(vec![row(job, job.lane(), unique, now, run_at)?], conflict).await? == 1)
    }
}

#[async_trait]
impl<C: ConnectionTrait + Send + Sync> JobRepository for SeaRepositories<C> {
    async fn enqueue(&self, job: &Job, now: Timestamp, run_at: Timestamp) -> Result<bool, StoreError> {
        self.insert_job(job, job.unique(), now, run_at).await
    }

    async fn enqueue_once(&self, job: &Job, key: &str, now: Timestamp) -> Result<bool, StoreError> {
        self.insert_job(job, Unique::Once(key.to_owned()), now, now).await
    }

    async fn enqueue_deliveries(&self, webhooks: &[(WebhookId, Lane)], now: Timestamp) -> Result<usize, StoreError> {
        let mut new = 0;
        for group in groups(webhooks) {
            let rows = group.iter().map(|(webhook, lane)| {
                let job = Job::DeliverWebhook { webhook: *webhook };
                row(&job, *lane, job.unique(), now, now)
            });
            let rows = rows.collect::<Result<Vec<_>, _>>()?;
            new += self.insert_jobs(rows, on_conflict(&Unique::Open(String::new()), now)).await?;
        }
        Ok(new)
    }
}
