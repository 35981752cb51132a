//! Projects.

use async_trait::async_trait;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait, LockType};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, JoinType, QueryFilter, QuerySelect,
    QueryTrait, Select,
};
use uuid::Uuid;

use super::entities::{member, project};
use super::pagination::{order_by, paginate};
use super::relations::membership;
use super::repositories::SeaRepositories;
use super::{mapping, text_search};
use crate::contract::page::{Page, Paging, Sort};
use crate::contract::project::{Project, ProjectSort, Role};
use crate::contract::{ProjectId, UserId};
use crate::repositories::{LockedProject, ProjectFilter, ProjectRepository, StoreError};

#[derive(FromQueryResult)]
struct ProjectRow {
    #[sea_orm(nested)]
    project: project::Model,
    member_role: Option<String>,
}

impl ProjectRow {
    fn into_project(self) -> Result<Project, StoreError> {
        let role = mapping::optional_role(self.member_role.as_deref())?;
        Ok(mapping::project(self.project, role))
    }
}

/// A row of a list, with the number of all matching projects.
#[derive(FromQueryResult)]
struct ListedRow {
    #[sea_orm(nested)]
    project: ProjectRow,
    total: i64,
}

fn by_id(id: ProjectId, reader: UserId) -> Select<project::Entity> {
    project::Entity::find_by_id(id.0)
        .join(JoinType::LeftJoin, membership(reader))
        .column_as(member::Column::Role, "member_role")
}

impl<C: ConnectionTrait> SeaRepositories<C> {
    /// Locks a project and everything in it. SQLite ignores locks.
    pub(super) async fn lock_project(&self, id: ProjectId) -> Result<(), StoreError> {
        let mut query = project::Entity::find_by_id(id.0).select_only().column(project::Column::Id);
        QueryTrait::query(&mut query).lock(LockType::Update);
        query.into_tuple::<Uuid>().one(&self.0).await?;
        Ok(())
    }
}

#[async_trait]
impl<C: ConnectionTrait + Send + Sync> ProjectRepository for SeaRepositories<C> {
    async fn find(&self, id: ProjectId, reader: UserId) -> Result<Option<Project>, StoreError> {
        let row = by_id(id, reader).into_model::<ProjectRow>().one(&self.0).await?;
        row.map(ProjectRow::into_project).transpose()
    }

    async fn lock(&self, id: ProjectId, reader: UserId) -> Result<Option<LockedProject>, StoreError> {
        if self.is_postgres() {
            self.lock_project(id).await?;
        }
        // Read after the wait for the lock, the membership too.
        let Some(row) = by_id(id, reader).into_model::<ProjectRow>().one(&self.0).await? else { return Ok(None) };
        let last_position = row.project.last_position.clone();
        Ok(Some(LockedProject { project: row.into_project()?, last_position }))
    }

    async fn list(
        &self,
        reader: UserId,
        filter: &ProjectFilter,
        sort: Sort<ProjectSort>,
        paging: Paging,
    ) -> Result<Page<Project>, StoreError> {
        let terms = (project::Entity, project::Column::SearchText);
        let conditions = Condition::all()
            .add(text_search::contains_all(terms, &filter.terms, self.is_postgres()))
            .add(match filter.deleted_since {
                None => project::Column::DeletedAt.is_null(),
                Some(since) => project::Column::DeletedAt.gt(since.0),
            })
            .add_option(filter.archived.map(|archived| project::Column::Archived.eq(archived)))
            .add_option(filter.role.map(|role| member::Column::Role.eq(mapping::role_str(role))));
        let matching = project::Entity::find().join(JoinType::InnerJoin, membership(reader)).filter(conditions);
        let count = matching.clone().select_only().expr(Expr::col((project::Entity, project::Column::Id)).count());
        let column = match sort.field {
            ProjectSort::CreatedAt => project::Column::CreatedAt,
            ProjectSort::UpdatedAt => project::Column::UpdatedAt,
            ProjectSort::Name => project::Column::NameKey,
        };
        let listed = matching
            .column_as(member::Column::Role, "member_role")
            .expr_as(Expr::SubQuery(None, Box::new(count.clone().into_query().into())), "total");
        let listed = paginate(order_by(listed, column, project::Column::Id, sort.direction), paging);
        let rows = listed.into_model::<ListedRow>().all(&self.0).await?;
        let total = match rows.first() {
            Some(row) => Some(row.total),
            // A page past the end has no row.
            None if paging.offset() > 0 => count.into_tuple::<i64>().one(&self.0).await?,
            None => None,
        };
        let items = rows.into_iter().map(|row| row.project.into_project()).collect::<Result<_, _>>()?;
        Ok(Page { items, total: total.map_or(0, |total| u64::try_from(total).unwrap_or_default()) })
    }

    async fn add(&self, project: &Project) -> Result<(), StoreError> {
        self.insert_row(mapping::new_project(project)).await?;
        let owner = member::ActiveModel {
            project_id: Set(project.id.0),
            user_id: Set(project.owner_id.0),
            role: Set(mapping::role_str(Role::Owner).to_owned()),
            joined_at: Set(project.created_at.0),
        };
        self.insert_row(owner).await
    }

    async fn update(&self, project: &Project) -> Result<(), StoreError> {
        let update = project::Entity::update_many()
            .set(mapping::project_update(project))
            .filter(project::Column::Id.eq(project.id.0));
        self.run_update(update).await
    }

    async fn adjust_task_counts(
        &self,
        id: ProjectId,
        total: i64,
        done: i64,
        last_position: Option<&str>,
    ) -> Result<(), StoreError> {
        let mut update = project::Entity::update_many()
            .col_expr(project::Column::TaskTotal, Expr::col(project::Column::TaskTotal).add(total))
            .col_expr(project::Column::TaskDone, Expr::col(project::Column::TaskDone).add(done))
            .filter(project::Column::Id.eq(id.0));
        if let Some(position) = last_position {
            update = update.col_expr(project::Column::LastPosition, Expr::value(position));
        }
        self.run_update(update).await
    }

    async fn recalculate_completion(&self, id: ProjectId) -> Result<(), StoreError> {
        // By the database, because PostgreSQL rereads the row after the wait for its lock.
        let (total, done) = (Expr::col(project::Column::TaskTotal), Expr::col(project::Column::TaskDone));
        let share = Expr::case(total.clone().eq(0), 0).finally(done.mul(100).div(total));
        let update = project::Entity::update_many()
            .col_expr(project::Column::CompletionPercentage, share.into())
            .filter(project::Column::Id.eq(id.0));
        self.run_update(update).await
    }

    async fn find_role(&self, id: ProjectId, user: UserId) -> Result<Option<Role>, StoreError> {
        let key: (Uuid, Uuid) = (id.0, user.0);
        let row = member::Entity::find_by_id(key).one(&self.0).await?;
        row.map(|row| mapping::role(&row.role)).transpose()
    }
}
