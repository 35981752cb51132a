//! Projects.

use async_trait::async_trait;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait, Func, IntoTableRef as _, LockType, Query};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, JoinType, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait, Select, Statement, UpdateMany,
};
use uuid::Uuid;

use super::entities::{member, project};
use super::maintenance::pairs;
use super::pagination::{bounded_count, counted, first_portion, order_by, page, paginate};
use super::prepared::Prepared;
use super::relations::membership;
use super::repositories::SeaRepositories;
use super::{mapping, text_search};
use crate::contract::page::{MAX_COUNTED, Page, Paging, Sort};
use crate::contract::project::{Project, ProjectSort, Role};
use crate::contract::{ProjectId, Timestamp, UserId};
use crate::repositories::{
    ChangedProject, CounterDelta, LockedProject, OwnedProjects, Portion, ProjectFilter, ProjectRepository, StoreError,
    project_bytes,
};

/// Name of the table `projects` in a subquery.
const OTHER: &str = "other_projects";

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

/// A locked row.
#[derive(FromQueryResult)]
struct LockedRow {
    #[sea_orm(nested)]
    row: ProjectRow,
    other_bytes: i64,
}

impl LockedRow {
    fn into_locked(self) -> Result<LockedProject, StoreError> {
        let (last_position, bytes) = (self.row.project.last_position.clone(), self.row.project.stored_bytes);
        Ok(LockedProject { project: self.row.into_project()?, last_position, owner_bytes: bytes + self.other_bytes })
    }
}

/// A row of a list, with the number of all matching projects.
#[derive(FromQueryResult)]
struct ListedRow {
    #[sea_orm(nested)]
    project: ProjectRow,
    total: i64,
}

fn by_id(id: ProjectId, reader: UserId, member: JoinType) -> Select<project::Entity> {
    project::Entity::find_by_id(id.0).join(member, membership(reader)).column_as(member::Column::Role, "member_role")
}

/// Adds the bytes of text in the other projects of the owner.
fn with_owner_bytes(projects: Select<project::Entity>) -> Select<project::Entity> {
    let of_other = |column: project::Column| Expr::col((OTHER, column));
    let of_this = |column: project::Column| (project::Entity, column);
    let bytes = of_other(project::Column::StoredBytes).sum().cast_as("bigint");
    let others = Query::select()
        .expr(Func::coalesce([bytes, Expr::val(0_i64)]))
        .from_as(project::Entity, OTHER)
        .and_where(of_other(project::Column::OwnerId).equals(of_this(project::Column::OwnerId)))
        .and_where(of_other(project::Column::Id).not_equals(of_this(project::Column::Id)))
        .take();
    projects.expr_as(Expr::SubQuery(None, Box::new(others.into())), "other_bytes")
}

/// Statement that reads a project for a write.
fn locked_stmt(backend: DbBackend, id: ProjectId, reader: UserId) -> Statement {
    static LOCKED: Prepared = Prepared::new();
    let build = || with_owner_bytes(by_id(id, reader, JoinType::LeftJoin)).limit(1).build(backend);
    LOCKED.bind(backend, build, [0_i64.into(), reader.0.into(), id.0.into(), 1_u64.into()])
}

/// Statement that locks a project and the membership of a writer, in this order. PostgreSQL returns the rows as they are
/// after the wait for their locks.
fn lock_with_membership_stmt(id: ProjectId, writer: UserId) -> Statement {
    static LOCK: Prepared = Prepared::new();
    let build = || {
        let tables = [project::Entity.into_table_ref(), member::Entity.into_table_ref()];
        let mut query = with_owner_bytes(by_id(id, writer, JoinType::InnerJoin)).limit(1);
        QueryTrait::query(&mut query).lock_with_tables(LockType::Update, tables);
        query.build(DbBackend::Postgres)
    };
    LOCK.bind(DbBackend::Postgres, build, [0_i64.into(), writer.0.into(), id.0.into(), 1_u64.into()])
}

/// Statement that adds to the counters of a project.
pub(super) fn adjust_counters_stmt(
    id: ProjectId,
    delta: CounterDelta,
    last_position: Option<&str>,
) -> UpdateMany<project::Entity> {
    use project::Column::{LastPosition, StoredBytes, TaskDone, TaskTotal};
    project::Entity::update_many()
        .col_expr(TaskTotal, Expr::col(TaskTotal).add(delta.total))
        .col_expr(TaskDone, Expr::col(TaskDone).add(delta.done))
        .col_expr(StoredBytes, Expr::col(StoredBytes).add(delta.bytes))
        .apply_if(last_position, |update, position| update.col_expr(LastPosition, Expr::value(position)))
        .filter(project::Column::Id.eq(id.0))
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

impl<C: ConnectionTrait> SeaRepositories<C> {
    async fn set_deleted_with_owner(
        &self,
        affected: Expr,
        deleted_at: Option<Timestamp>,
        now: Timestamp,
        limit: u64,
    ) -> Result<Portion<ChangedProject>, StoreError> {
        use project::Column;
        let ids: Vec<Uuid> = project::Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(affected.clone())
            .order_by_asc(Column::DeletedAt)
            .order_by_asc(Column::Id)
            .limit(limit + 1)
            .into_tuple()
            .all(&self.0)
            .await?;
        let (ids, has_more) = first_portion(ids, limit);
        if ids.is_empty() {
            return Ok(Portion { items: Vec::new(), has_more });
        }
        // In the common lock order of projects.
        let before = project::Entity::find()
            .filter(Column::Id.is_in(ids))
            .filter(affected)
            .order_by_asc(Column::Id)
            .lock_exclusive()
            .all(&self.0)
            .await?;
        let after = project::Entity::update_many()
            .col_expr(Column::DeletedAt, Expr::value(deleted_at.map(|at| at.0)))
            .col_expr(Column::DeletedWithOwner, Expr::value(deleted_at.is_some()))
            .col_expr(Column::Version, Expr::col(Column::Version).add(1))
            .col_expr(Column::UpdatedAt, Expr::value(now.0))
            .filter(Column::Id.is_in(before.iter().map(|project| project.id)))
            .exec_with_returning(&self.0)
            .await?;
        let items = pairs(before, after, |project| project.id).map(|(before, after)| ChangedProject {
            before: mapping::project(before, None),
            after: mapping::project(after, None),
        });
        Ok(Portion { items: items.collect(), has_more })
    }
}

#[async_trait]
impl<C: ConnectionTrait + Send + Sync> ProjectRepository for SeaRepositories<C> {
    async fn find(&self, id: ProjectId, reader: UserId) -> Result<Option<Project>, StoreError> {
        let row = by_id(id, reader, JoinType::LeftJoin).into_model::<ProjectRow>().one(&self.0).await?;
        row.map(ProjectRow::into_project).transpose()
    }

    async fn lock(&self, id: ProjectId, reader: UserId) -> Result<Option<LockedProject>, StoreError> {
        if self.is_postgres() {
            self.lock_project(id).await?;
        }
        // Read after the wait for the lock, the membership too.
        let row = self.0.query_one_raw(locked_stmt(self.0.get_database_backend(), id, reader)).await?;
        row.map(|row| LockedRow::from_query_result(&row, "")?.into_locked()).transpose()
    }

    async fn lock_with_membership(&self, id: ProjectId, writer: UserId) -> Result<Option<LockedProject>, StoreError> {
        if self.is_postgres() {
            let row = self.0.query_one_raw(lock_with_membership_stmt(id, writer)).await?;
            if let Some(row) = row {
                return LockedRow::from_query_result(&row, "")?.into_locked().map(Some);
            }
        }
        self.lock(id, writer).await
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
        let count = bounded_count(matching.clone(), MAX_COUNTED);
        let column = match sort.field {
            ProjectSort::CreatedAt => project::Column::CreatedAt,
            ProjectSort::UpdatedAt => project::Column::UpdatedAt,
            ProjectSort::Name => project::Column::NameKey,
        };
        let listed = matching
            .column_as(member::Column::Role, "member_role")
            .expr_as(Expr::SubQuery(None, Box::new(count.clone().into())), "total");
        let listed = paginate(order_by(listed, column, project::Column::Id, sort.direction), paging);
        let rows = listed.into_model::<ListedRow>().all(&self.0).await?;
        let total = match rows.first() {
            Some(row) => row.total,
            // A page past the end has no row.
            None if paging.offset() > 0 => {
                self.0.query_one(&count).await?.map_or(Ok(0), |row| row.try_get_by_index(0))?
            }
            None => 0,
        };
        page(rows, counted(total), paging, |row| row.project.into_project())
    }

    async fn add(&self, project: &Project) -> Result<(), StoreError> {
        let stored_bytes = Set(project_bytes(project));
        self.insert_row(project::ActiveModel { stored_bytes, ..mapping::new_project(project) }).await?;
        let owner = member::ActiveModel {
            project_id: Set(project.id.0),
            user_id: Set(project.owner_id.0),
            role: Set(mapping::role_str(Role::Owner).to_owned()),
            joined_at: Set(project.created_at.0),
            hidden: Set(false),
        };
        self.insert_row(owner).await
    }

    async fn update(&self, project: &Project) -> Result<(), StoreError> {
        let update = project::Entity::update_many()
            .set(mapping::project_update(project))
            .filter(project::Column::Id.eq(project.id.0));
        self.run_update(update).await
    }

    async fn adjust_counters(
        &self,
        id: ProjectId,
        delta: CounterDelta,
        last_position: Option<&str>,
    ) -> Result<(), StoreError> {
        self.run_update(adjust_counters_stmt(id, delta, last_position)).await
    }

    async fn count_owned(&self, owner: UserId) -> Result<OwnedProjects, StoreError> {
        let is_active = Expr::case(project::Column::DeletedAt.is_null(), 1).finally(0);
        let sum = |expression: Expr| Func::coalesce([expression.sum().cast_as("bigint"), Expr::val(0_i64)]);
        let counts = project::Entity::find()
            .select_only()
            .expr_as(project::Column::Id.count(), "total")
            .expr_as(sum(is_active.into()), "active")
            .expr_as(sum(Expr::col(project::Column::StoredBytes)), "bytes")
            .filter(project::Column::OwnerId.eq(owner.0));
        let counts = counts.into_tuple::<(i64, i64, i64)>().one(&self.0).await?;
        let (total, active, bytes) = counts.unwrap_or_default();
        let count = |count: i64| u64::try_from(count).unwrap_or_default();
        Ok(OwnedProjects { active: count(active), total: count(total), bytes })
    }

    async fn stored_bytes(&self, id: ProjectId) -> Result<i64, StoreError> {
        let bytes = project::Entity::find_by_id(id.0).select_only().column(project::Column::StoredBytes);
        Ok(bytes.into_tuple().one(&self.0).await?.unwrap_or_default())
    }

    async fn count_tasks(&self, id: ProjectId) -> Result<i64, StoreError> {
        let total = project::Entity::find_by_id(id.0).select_only().column(project::Column::TaskTotal);
        Ok(total.into_tuple().one(&self.0).await?.unwrap_or_default())
    }

    async fn delete_with_owner(
        &self,
        owner: UserId,
        deleted_at: Timestamp,
        now: Timestamp,
        limit: u64,
    ) -> Result<Portion<ChangedProject>, StoreError> {
        let active = project::Column::OwnerId.eq(owner.0).and(project::Column::DeletedAt.is_null());
        self.set_deleted_with_owner(active, Some(deleted_at), now, limit).await
    }

    async fn restore_with_owner(
        &self,
        owner: UserId,
        now: Timestamp,
        limit: u64,
    ) -> Result<Portion<ChangedProject>, StoreError> {
        let deleted = project::Column::OwnerId
            .eq(owner.0)
            .and(project::Column::DeletedAt.is_not_null())
            .and(project::Column::DeletedWithOwner.eq(true));
        self.set_deleted_with_owner(deleted, None, now, limit).await
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prepared_statements_have_their_values_in_order() {
        let ids = || (ProjectId::generate(), UserId::generate());
        for backend in [DbBackend::Postgres, DbBackend::Sqlite] {
            for (id, reader) in [ids(), ids()] {
                let built = with_owner_bytes(by_id(id, reader, JoinType::LeftJoin)).limit(1).build(backend);
                assert_eq!(locked_stmt(backend, id, reader), built);
            }
        }
        let [first, second] = [ids(), ids()].map(|(id, writer)| (lock_with_membership_stmt(id, writer), id, writer));
        let built = with_owner_bytes(by_id(first.1, first.2, JoinType::InnerJoin)).limit(1).build(DbBackend::Postgres);
        assert_eq!(first.0.values, built.values);
        let built =
            with_owner_bytes(by_id(second.1, second.2, JoinType::InnerJoin)).limit(1).build(DbBackend::Postgres);
        assert_eq!(second.0.values, built.values);
        assert_eq!(second.0.sql, built.sql + r#" FOR UPDATE OF "projects", "members""#);
    }
}
