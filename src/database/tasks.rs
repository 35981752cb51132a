//! Tasks, one at a time; lists are in `task_lists`.

use async_trait::async_trait;
use sea_orm::sea_query::{Expr, ExprTrait, LockType};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, JoinType, QueryFilter, QuerySelect,
    QueryTrait, RelationDef, Select,
};

use super::entities::{member, project, task};
use super::{SeaRepositories, rows};
use crate::contract::list::{Paging, Sort};
use crate::contract::task::{Task, TaskSort};
use crate::contract::{ProjectId, TaskId, UserId};
use crate::repositories::{ProjectTasks, StoreError, TaskFilter, TaskInProject, TaskRepository, VisibleTasks};

#[derive(FromQueryResult)]
struct TaskRow {
    #[sea_orm(nested)]
    task: task::Model,
    member_role: Option<String>,
    project_archived: bool,
    project_deleted_at: Option<i64>,
}

impl TaskRow {
    fn into_task(self) -> Result<TaskInProject, StoreError> {
        Ok(TaskInProject {
            task: rows::task(self.task)?,
            role: self.member_role.as_deref().map(rows::role).transpose()?,
            project_archived: self.project_archived,
            project_deleted: self.project_deleted_at.is_some(),
        })
    }
}

/// The project of a task.
pub(super) fn project_of_task() -> RelationDef {
    task::Entity::belongs_to(project::Entity).from(task::Column::ProjectId).to(project::Column::Id).into()
}

/// The membership of one user in the project of a task.
pub(super) fn membership(user: UserId) -> RelationDef {
    task::Entity::belongs_to(member::Entity)
        .from(task::Column::ProjectId)
        .to(member::Column::ProjectId)
        .on_condition(move |_, member| Condition::all().add(Expr::col((member, member::Column::UserId)).eq(user.0)))
        .into()
}

fn by_id(id: TaskId, reader: UserId) -> Select<task::Entity> {
    task::Entity::find_by_id(id.0)
        .join(JoinType::InnerJoin, project_of_task())
        .join(JoinType::LeftJoin, membership(reader))
        .column_as(member::Column::Role, "member_role")
        .column_as(project::Column::Archived, "project_archived")
        .column_as(project::Column::DeletedAt, "project_deleted_at")
}

#[async_trait]
impl<C: ConnectionTrait + Send + Sync> TaskRepository for SeaRepositories<C> {
    async fn find(&self, id: TaskId, reader: UserId) -> Result<Option<TaskInProject>, StoreError> {
        let row = by_id(id, reader).into_model::<TaskRow>().one(&self.0).await?;
        row.map(TaskRow::into_task).transpose()
    }

    async fn lock(&self, id: TaskId, reader: UserId) -> Result<Option<TaskInProject>, StoreError> {
        let mut query = by_id(id, reader);
        if self.is_postgres() {
            // The task's own row too: after waiting for the lock PostgreSQL reads locked rows anew, and only those.
            let query = QueryTrait::query(&mut query);
            query.lock_with_tables(
                LockType::Update,
                [
                    sea_orm::sea_query::IntoTableRef::into_table_ref(project::Entity),
                    sea_orm::sea_query::IntoTableRef::into_table_ref(task::Entity),
                ],
            );
        }
        let row = query.into_model::<TaskRow>().one(&self.0).await?;
        row.map(TaskRow::into_task).transpose()
    }

    async fn list_in_project(
        &self,
        project: ProjectId,
        reader: UserId,
        filter: &TaskFilter,
        sort: Sort<TaskSort>,
        paging: Paging,
    ) -> Result<Option<ProjectTasks>, StoreError> {
        self.tasks_of_project(project, reader, filter, sort, paging).await
    }

    async fn list_visible(
        &self,
        reader: UserId,
        filter: &TaskFilter,
        sort: Sort<TaskSort>,
        paging: Paging,
    ) -> Result<VisibleTasks, StoreError> {
        self.visible_tasks(reader, filter, sort, paging).await
    }

    async fn add(&self, task: &Task) -> Result<(), StoreError> {
        task::Entity::insert(rows::new_task(task)).exec_without_returning(&self.0).await?;
        Ok(())
    }

    async fn update(&self, task: &Task) -> Result<(), StoreError> {
        task::Entity::update_many()
            .set(rows::task_changes(task))
            .filter(task::Column::Id.eq(task.id.0))
            .exec(&self.0)
            .await?;
        Ok(())
    }
}
