//! Single tasks; lists are in `task_lists`.

use async_trait::async_trait;
use sea_orm::ActiveValue::NotSet;
use sea_orm::sea_query::{Expr, ExprTrait, IntoTableRef as _, LockType};
use sea_orm::{
    ColumnTrait, DbBackend, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select, Statement,
    UpdateMany,
};
use uuid::Uuid;

use super::decode::{DecodingConnection, decoded_row};
use super::entities::{member, project, task};
use super::mapping;
use super::pagination::{first_portion, order};
use super::prepared::Prepared;
use super::relations::{membership_of_task, project_of_task};
use super::repositories::SeaRepositories;
use super::task_rows::{PUBLISHED, TaskRow};
use crate::contract::page::Direction;
use crate::contract::project::TaskCounts;
use crate::contract::strings::OrderKey;
use crate::contract::task::Task;
use crate::contract::{ProjectId, TaskId, Timestamp, UserId};
use crate::repositories::{Completion, Portion, StoreError, TaskRepository, TaskWithContext};

decoded_row! {
    struct ContextRow {
        task: TaskRow,
        member_role: Option<String>,
        project_owner_id: Uuid,
        project_archived: bool,
        project_deleted_at: Option<i64>,
        project_task_total: i64,
        project_task_done: i64,
        project_percentage: i64,
    }
}

impl ContextRow {
    fn into_task(self) -> Result<TaskWithContext, StoreError> {
        Ok(TaskWithContext {
            task: mapping::task(self.task)?,
            role: mapping::optional_role(self.member_role.as_deref())?,
            project_owner: UserId(self.project_owner_id),
            project_archived: self.project_archived,
            is_project_deleted: self.project_deleted_at.is_some(),
            completion: Completion {
                task_counts: TaskCounts { total: self.project_task_total, done: self.project_task_done },
                percentage: self.project_percentage,
            },
        })
    }
}

fn by_id(id: TaskId, reader: UserId, membership: JoinType) -> Select<task::Entity> {
    task::Entity::find_by_id(id.0)
        .select_only()
        .columns(PUBLISHED)
        .join(JoinType::InnerJoin, project_of_task())
        .join(membership, membership_of_task(reader))
        .column_as(member::Column::Role, "member_role")
        .column_as(project::Column::OwnerId, "project_owner_id")
        .column_as(project::Column::Archived, "project_archived")
        .column_as(project::Column::DeletedAt, "project_deleted_at")
        .column_as(project::Column::TaskTotal, "project_task_total")
        .column_as(project::Column::TaskDone, "project_task_done")
        .column_as(project::Column::CompletionPercentage, "project_percentage")
}

/// Statement that finds a task.
fn find_stmt(backend: DbBackend, id: TaskId, reader: UserId) -> Statement {
    static FIND: Prepared = Prepared::new();
    let build = || by_id(id, reader, JoinType::LeftJoin).limit(1).build(backend);
    FIND.bind(backend, build, [reader.0.into(), id.0.into(), 1_u64.into()])
}

/// Statement that updates the mutable fields of a task.
pub(super) fn update_stmt(task: &Task) -> UpdateMany<task::Entity> {
    let changes = task::ActiveModel { id: NotSet, created_by: NotSet, created_at: NotSet, ..mapping::task_row(task) };
    task::Entity::update_many().set(changes).filter(task::Column::Id.eq(task.id.0))
}

/// Query for the tasks after a position, the nearest first.
fn positions_after(project: ProjectId, after: &str, direction: Direction) -> Select<task::Entity> {
    let position = match direction {
        Direction::Asc => task::Column::Position.gt(after),
        Direction::Desc => task::Column::Position.lt(after),
    };
    task::Entity::find()
        .select_only()
        .columns([task::Column::Id, task::Column::Position])
        .filter(task::Column::ProjectId.eq(project.0))
        .filter(position)
        .order_by(task::Column::Position, order(direction))
}

#[async_trait]
impl<C: DecodingConnection + Send + Sync> TaskRepository for SeaRepositories<C> {
    async fn find(&self, id: TaskId, reader: UserId) -> Result<Option<TaskWithContext>, StoreError> {
        let statement = find_stmt(self.0.get_database_backend(), id, reader);
        self.0.query_decoded_one(statement).await?.map(ContextRow::into_task).transpose()
    }

    async fn lock(&self, id: TaskId, writer: UserId) -> Result<Option<TaskWithContext>, StoreError> {
        if !self.is_postgres() {
            return self.find(id, writer).await;
        }
        // In this order. PostgreSQL returns the rows as they are after the wait for their locks.
        let tables = [project::Entity.into_table_ref(), member::Entity.into_table_ref(), task::Entity.into_table_ref()];
        let mut query = by_id(id, writer, JoinType::InnerJoin);
        QueryTrait::query(&mut query).lock_with_tables(LockType::Update, tables);
        let statement = query.limit(1).build(self.0.get_database_backend());
        if let Some(row) = self.0.query_decoded_one::<ContextRow>(statement).await? {
            return row.into_task().map(Some);
        }
        match self.find(id, writer).await? {
            // The task was moved, or the membership was added, during the wait.
            Some(found) if found.role.is_some() => Err(StoreError::ConcurrentMove),
            found => Ok(found),
        }
    }

    async fn list_positions(
        &self,
        project: ProjectId,
        after: &str,
        direction: Direction,
        limit: u64,
    ) -> Result<Vec<(TaskId, OrderKey)>, StoreError> {
        let rows: Vec<(Uuid, String)> =
            positions_after(project, after, direction).limit(limit).into_tuple().all(&self.0).await?;
        Ok(rows.into_iter().map(|(id, position)| (TaskId(id), OrderKey::new_unchecked(position))).collect())
    }

    async fn find_adjacent(
        &self,
        project: ProjectId,
        after: &str,
        direction: Direction,
    ) -> Result<Option<TaskId>, StoreError> {
        let live = positions_after(project, after, direction).filter(task::Column::DeletedAt.is_null());
        let row: Option<(Uuid, String)> = live.into_tuple().one(&self.0).await?;
        Ok(row.map(|(id, _)| TaskId(id)))
    }

    async fn add(&self, tasks: &[Task]) -> Result<(), StoreError> {
        self.bulk_insert(&tasks.iter().map(mapping::task_row).collect::<Vec<_>>()).await
    }

    async fn set_position(&self, id: TaskId, position: &str) -> Result<Option<Task>, StoreError> {
        let rows = task::Entity::update_many()
            .col_expr(task::Column::Position, Expr::value(position))
            .filter(task::Column::Id.eq(id.0))
            .exec_with_returning(&self.0)
            .await?;
        rows.into_iter().next().map(mapping::task).transpose()
    }

    async fn unassign(
        &self,
        project: ProjectId,
        user: UserId,
        now: Timestamp,
        limit: u64,
    ) -> Result<Portion<Task>, StoreError> {
        let assigned: Vec<Uuid> = task::Entity::find()
            .select_only()
            .column(task::Column::Id)
            .filter(task::Column::ProjectId.eq(project.0))
            .filter(task::Column::AssigneeId.eq(user.0))
            .limit(limit + 1)
            .into_tuple()
            .all(&self.0)
            .await?;
        let (assigned, has_more) = first_portion(assigned, limit);
        let mut rows = task::Entity::update_many()
            .col_expr(task::Column::AssigneeId, Expr::value(None::<Uuid>))
            .col_expr(task::Column::Version, Expr::col(task::Column::Version).add(1))
            .col_expr(task::Column::UpdatedAt, Expr::value(now.0))
            .filter(task::Column::Id.is_in(assigned))
            .exec_with_returning(&self.0)
            .await?;
        rows.sort_unstable_by_key(|row| row.id);
        Ok(Portion { items: rows.into_iter().map(mapping::task).collect::<Result<_, _>>()?, has_more })
    }

    async fn update(&self, task: &Task) -> Result<(), StoreError> {
        self.run_update(update_stmt(task)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prepared_statement_has_its_values_in_order() {
        for backend in [DbBackend::Postgres, DbBackend::Sqlite] {
            for _ in 0..2 {
                let (id, reader) = (TaskId::generate(), UserId::generate());
                let built = by_id(id, reader, JoinType::LeftJoin).limit(1).build(backend);
                assert_eq!(find_stmt(backend, id, reader), built);
            }
        }
    }
}
