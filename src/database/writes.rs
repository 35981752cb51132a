//! Statements of the writes at the end of a transaction.

use sea_orm::sea_query::{CommonTableExpression, InsertStatement, UpdateStatement};
use sea_orm::{ConnectionTrait, EntityTrait as _, QueryTrait as _};

use super::entities::{idempotency_key, job, project, task};
use super::repositories::SeaRepositories;
use super::{idempotency, job_enqueue, mapping, projects, tasks};
use crate::repositories::{StoreError, Write};

/// The statement of a write.
pub(super) enum WriteStatement {
    Insert(Box<InsertStatement>),
    Update(Box<UpdateStatement>),
}

impl WriteStatement {
    pub(super) fn of(write: &Write<'_>) -> Result<Self, StoreError> {
        Ok(match *write {
            Write::AddTask(task) => {
                let mut insert = task::Entity::insert(mapping::task_row(task)).into_query();
                Self::Insert(Box::new(insert.returning_col(task::Column::Id).take()))
            }
            Write::UpdateTask(task) => {
                let mut update = tasks::update_stmt(task).into_query();
                Self::Update(Box::new(update.returning_col(task::Column::Id).take()))
            }
            Write::AdjustCounters { project, delta, last_position } => {
                let mut update = projects::adjust_counters_stmt(project, delta, last_position).into_query();
                Self::Update(Box::new(update.returning_col(project::Column::Id).take()))
            }
            Write::Enqueue { job, now } => {
                let mut insert = job_enqueue::enqueue_stmt(&job, now)?;
                Self::Insert(Box::new(insert.returning_col(job::Column::Id).take()))
            }
            Write::StoreResponse { user, key, response } => {
                let mut update = idempotency::store_response_stmt(user, key, response)?.into_query();
                Self::Update(Box::new(update.returning_col(idempotency_key::Column::Key).take()))
            }
        })
    }

    /// Converts the statement to a part of another one.
    pub(super) fn into_cte(self, name: String) -> CommonTableExpression {
        let mut cte = CommonTableExpression::new();
        match self {
            Self::Insert(insert) => cte.query(*insert),
            Self::Update(update) => cte.query(*update),
        };
        cte.table_name(name);
        cte
    }
}

impl<C: ConnectionTrait> SeaRepositories<C> {
    /// Runs writes one after the other, and fails if one of them changes nothing.
    pub(super) async fn run_writes(&self, writes: Vec<WriteStatement>) -> Result<(), StoreError> {
        for write in writes {
            let written = match write {
                WriteStatement::Insert(insert) => self.0.query_one(&*insert).await?,
                WriteStatement::Update(update) => self.0.query_one(&*update).await?,
            };
            written.ok_or_else(nothing_written)?;
        }
        Ok(())
    }
}

/// Error for a write that changed nothing.
pub(super) fn nothing_written() -> StoreError {
    StoreError::Internal("a write at the end of a transaction changed nothing".into())
}
