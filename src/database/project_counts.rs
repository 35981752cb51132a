//! Counters of projects, compared with what they count.

use async_trait::async_trait;
use sea_orm::sea_query::{Expr, ExprTrait as _, Func, Query, SelectStatement, SubQueryStatement};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, QueryTrait as _,
    Select,
};
use uuid::Uuid;

use super::entities::{comment, job, project, task};
use super::repositories::SeaRepositories;
use super::{mapping, stored_bytes};
use crate::contract::project::TaskCounts;
use crate::contract::task::TaskStatus;
use crate::contract::{ProjectId, Timestamp};
use crate::repositories::{ComparedCounts, CountMismatch, Job, ProjectCountRepository, ProjectCounts, StoreError};

#[derive(FromQueryResult)]
struct CountedProject {
    id: Uuid,
    task_total: i64,
    task_done: i64,
    stored_bytes: i64,
    completion_percentage: i64,
    counted_total: i64,
    counted_done: i64,
    counted_bytes: i64,
    is_recalculating: bool,
}

impl CountedProject {
    const fn stored(&self) -> ProjectCounts {
        ProjectCounts {
            task_total: self.task_total,
            task_done: self.task_done,
            stored_bytes: self.stored_bytes,
            completion_percentage: self.completion_percentage,
        }
    }

    fn counted(&self) -> ProjectCounts {
        let counts = TaskCounts { total: self.counted_total, done: self.counted_done };
        ProjectCounts {
            task_total: counts.total,
            task_done: counts.done,
            stored_bytes: self.counted_bytes,
            completion_percentage: counts.completion_percentage(),
        }
    }

    fn mismatch(&self) -> Option<CountMismatch> {
        let (mut stored, counted) = (self.stored(), self.counted());
        if self.is_recalculating {
            stored.completion_percentage = counted.completion_percentage;
        }
        (stored != counted).then(|| CountMismatch { project: ProjectId(self.id), stored: self.stored(), counted })
    }
}

/// Query for the counters of projects and for what they count, in one statement, so that no write comes in between.
fn counted(projects: Select<project::Entity>) -> Select<project::Entity> {
    use project::Column;
    let is_done = task::Column::Status.eq(mapping::status_str(TaskStatus::Done));
    let own = || Expr::col((task::Entity, task::Column::ProjectId)).equals((project::Entity, project::Column::Id));
    let tasks = |what: Expr| Query::select().expr(what).from(task::Entity).and_where(own()).to_owned();
    let listed = |what: Expr| tasks(what).and_where(task::Column::DeletedAt.is_null()).to_owned();
    let count = || Expr::col((task::Entity, task::Column::Id)).count();
    let sum = |bytes: Expr| Expr::from(Func::coalesce([bytes.sum().cast_as("bigint"), Expr::val(0_i64)]));
    let comments = tasks(sum(stored_bytes::of_comment()))
        .inner_join(
            comment::Entity,
            Expr::col((comment::Entity, comment::Column::TaskId)).equals((task::Entity, task::Column::Id)),
        )
        .to_owned();
    let bytes = stored_bytes::of_project()
        .add(subquery(tasks(sum(stored_bytes::of_task()))))
        .add(subquery(comments))
        .cast_as("bigint");
    let recalculations = Query::select()
        .expr(Expr::val(1))
        .from(job::Entity)
        .and_where(job::Column::Kind.eq(Job::RecalculateCompletion { project: ProjectId(Uuid::nil()) }.kind()))
        .and_where(job::Column::State.is_in(["pending", "running"]))
        .to_owned();
    projects
        .select_only()
        .columns([Column::Id, Column::TaskTotal, Column::TaskDone, Column::StoredBytes, Column::CompletionPercentage])
        .expr_as(subquery(listed(count())), "counted_total")
        .expr_as(subquery(listed(count()).and_where(is_done).to_owned()), "counted_done")
        .expr_as(bytes, "counted_bytes")
        .expr_as(Expr::exists(recalculations), "is_recalculating")
}

fn subquery(query: SelectStatement) -> Expr {
    Expr::SubQuery(None, Box::new(SubQueryStatement::SelectStatement(query)))
}

#[async_trait]
impl<C: ConnectionTrait + Send + Sync> ProjectCountRepository for SeaRepositories<C> {
    async fn compare(
        &self,
        after: Option<ProjectId>,
        trash_cutoff: Timestamp,
        limit: u64,
    ) -> Result<ComparedCounts, StoreError> {
        use project::{Column, Entity};
        let projects = Entity::find()
            .filter(Column::DeletedAt.is_null().or(Column::DeletedAt.gt(trash_cutoff.0)))
            .apply_if(after, |query, after| query.filter(Column::Id.gt(after.0)))
            .order_by_asc(Column::Id)
            .limit(limit);
        let rows = counted(projects).into_model::<CountedProject>().all(&self.0).await?;
        Ok(ComparedCounts {
            compared: rows.len() as u64,
            last: rows.last().map(|row| ProjectId(row.id)),
            mismatches: rows.iter().filter_map(CountedProject::mismatch).collect(),
        })
    }

    async fn recount(&self, project: ProjectId) -> Result<(), StoreError> {
        use project::Column;
        // Every writer of a counter locks the project.
        self.lock_project(project).await?;
        let row = counted(project::Entity::find_by_id(project.0)).into_model::<CountedProject>().one(&self.0).await?;
        let Some(counted) = row.map(|row| row.counted()) else { return Ok(()) };
        let update = project::Entity::update_many()
            .col_expr(Column::TaskTotal, Expr::value(counted.task_total))
            .col_expr(Column::TaskDone, Expr::value(counted.task_done))
            .col_expr(Column::StoredBytes, Expr::value(counted.stored_bytes))
            .col_expr(Column::CompletionPercentage, Expr::value(counted.completion_percentage))
            .filter(Column::Id.eq(project.0));
        self.run_update(update).await
    }
}
