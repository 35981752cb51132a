//! Promises of jobs: one statement each, which also decides what becomes of one like it that is there.

use async_trait::async_trait;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict};
use sea_orm::{ConnectionTrait, EntityTrait, QueryTrait as _};
use serde_json::Value;
use uuid::Uuid;

use super::SeaRepositories;
use super::entities::job::{ActiveModel, Column, Entity};
use super::jobs::unreadable;
use crate::contract::Timestamp;
use crate::contract::ids::new_uuid;
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

impl<C: ConnectionTrait> SeaRepositories<C> {
    async fn insert_job(
        &self,
        job: &Job,
        lane: Lane,
        unique: Unique,
        now: Timestamp,
        run_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let (kind, payload) = written(job)?;
        let conflict = on_conflict(&unique, run_at);
        let (mut waiting_key, mut open_key, mut once_key) = (None, None, None);
        match unique {
            Unique::No => {}
            Unique::WhileWaiting(key) => waiting_key = Some(key),
            Unique::Open(key) => open_key = Some(key),
            Unique::Once(key) => once_key = Some(key),
        }
        let id = new_uuid();
        let mut insert = Entity::insert(ActiveModel {
            id: Set(id),
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
        .on_conflict(conflict)
        .into_query();
        insert.returning_col(Column::Id);
        let row = self.0.query_one(&insert).await?;
        let inserted: Option<Uuid> = row.map(|row| row.try_get("", "id")).transpose()?;
        Ok(inserted == Some(id))
    }
}

#[async_trait]
impl<C: ConnectionTrait + Send + Sync> JobRepository for SeaRepositories<C> {
    async fn enqueue(&self, job: &Job, now: Timestamp, run_at: Timestamp) -> Result<bool, StoreError> {
        self.insert_job(job, job.lane(), job.unique(), now, run_at).await
    }

    async fn enqueue_once(&self, job: &Job, key: &str, now: Timestamp) -> Result<bool, StoreError> {
        self.insert_job(job, job.lane(), Unique::Once(key.to_owned()), now, now).await
    }

    async fn enqueue_into(&self, job: &Job, lane: Lane, now: Timestamp) -> Result<bool, StoreError> {
        self.insert_job(job, lane, job.unique(), now, now).await
    }
}
