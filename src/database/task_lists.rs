//! Lists of tasks, in two queries: the first says who the reader is and how many tasks there are, the second gives the
//! page.

use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, JoinType, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, Select,
};

use super::entities::{member, project, task};
use super::sessions::order;
use super::tasks::{membership, project_of_task};
use super::{SeaRepositories, projects, rows, task_filter};
use crate::contract::list::{Page, Paging, Sort};
use crate::contract::task::{Task, TaskSort};
use crate::contract::{ProjectId, UserId};
use crate::repositories::{Assignee, ProjectTasks, StoreError, TaskFilter, VisibleTasks};

#[derive(FromQueryResult)]
struct ProjectHead {
    deleted_at: Option<i64>,
    member_role: Option<String>,
    total: i64,
    assignee_known: bool,
}

#[derive(FromQueryResult)]
struct VisibleHead {
    total: i64,
    assignee_known: bool,
}

/// Whether the assignee that is filtered by is a member of the projects that `within` selects. The reader is always
/// known: who is a member of nothing may ask for their own tasks, and has none.
fn assignee_known(filter: &TaskFilter, reader: UserId, within: impl FnOnce(&mut SelectStatement)) -> Expr {
    let assignee = match filter.assignee {
        Some(Assignee::User(assignee)) if assignee != reader => assignee,
        _ => return Expr::val(true),
    };
    let mut memberships = Query::select();
    memberships
        .expr(Expr::val(1))
        .from_as(member::Entity, "assignees")
        .and_where(Expr::col(("assignees", member::Column::UserId)).eq(assignee.0));
    within(&mut memberships);
    Expr::exists(memberships)
}

fn scalar(select: SelectStatement) -> Expr {
    Expr::SubQuery(None, Box::new(select.into()))
}

impl<C: ConnectionTrait> SeaRepositories<C> {
    pub(super) async fn tasks_of_project(
        &self,
        project: ProjectId,
        reader: UserId,
        filter: &TaskFilter,
        sort: Sort<TaskSort>,
        paging: Paging,
    ) -> Result<Option<ProjectTasks>, StoreError> {
        let matching = task::Entity::find()
            .filter(task::Column::ProjectId.eq(project.0))
            .filter(task_filter::condition(filter, self.is_postgres()));
        let total = if task_filter::is_plain(filter) {
            Expr::col((project::Entity, project::Column::TaskTotal))
        } else {
            scalar(count(matching.clone()))
        };
        let known = assignee_known(filter, reader, |memberships| {
            memberships.and_where(Expr::col(("assignees", member::Column::ProjectId)).eq(project.0));
        });
        let head = project::Entity::find_by_id(project.0)
            .join(JoinType::LeftJoin, projects::membership(reader))
            .select_only()
            .column(project::Column::DeletedAt)
            .column_as(member::Column::Role, "member_role")
            .expr_as(total, "total")
            .expr_as(known, "assignee_known")
            .into_model::<ProjectHead>()
            .one(&self.0)
            .await?;
        let Some(head) = head.filter(|head| head.deleted_at.is_none()) else { return Ok(None) };
        let role = head.member_role.as_deref().map(rows::role).transpose()?;
        let mut page = Page { items: Vec::new(), total: count_of(head.total) };
        if role.is_some() && head.assignee_known && page.total > paging.skipped() {
            page.items = self.page(matching, sort, paging).await?;
        }
        Ok(Some(ProjectTasks { role, assignee_known: head.assignee_known, page }))
    }

    pub(super) async fn visible_tasks(
        &self,
        reader: UserId,
        filter: &TaskFilter,
        sort: Sort<TaskSort>,
        paging: Paging,
    ) -> Result<VisibleTasks, StoreError> {
        let matching = task::Entity::find()
            .join(JoinType::InnerJoin, membership(reader))
            .join(JoinType::InnerJoin, project_of_task())
            .filter(project::Column::DeletedAt.is_null())
            .filter(task_filter::condition(filter, self.is_postgres()));
        let known = assignee_known(filter, reader, |memberships| {
            let mut mine = Query::select();
            mine.column(member::Column::ProjectId)
                .from(member::Entity)
                .and_where(Expr::col(member::Column::UserId).eq(reader.0));
            memberships.and_where(Expr::col(("assignees", member::Column::ProjectId)).in_subquery(mine));
        });
        let mut head = Query::select();
        head.expr_as(scalar(count(matching.clone())), "total").expr_as(known, "assignee_known");
        let head = self.0.query_one(&head).await?.map(|row| VisibleHead::from_query_result(&row, "")).transpose()?;
        let Some(head) = head else { return Err(StoreError::Failed("a count gave no row".into())) };
        let mut page = Page { items: Vec::new(), total: count_of(head.total) };
        if head.assignee_known && page.total > paging.skipped() {
            page.items = self.page(matching, sort, paging).await?;
        }
        Ok(VisibleTasks { assignee_known: head.assignee_known, page })
    }

    async fn page(
        &self,
        matching: Select<task::Entity>,
        sort: Sort<TaskSort>,
        paging: Paging,
    ) -> Result<Vec<Task>, StoreError> {
        let rows = matching
            .order_by(task_filter::column(sort.field), order(sort.direction))
            .order_by(task::Column::Id, order(sort.direction))
            .offset(paging.skipped())
            .limit(u64::from(paging.limit))
            .all(&self.0)
            .await?;
        rows.into_iter().map(rows::task).collect()
    }
}

fn count(matching: Select<task::Entity>) -> SelectStatement {
    let mut select = matching.select_only().expr(Expr::col((task::Entity, task::Column::Id)).count());
    QueryTrait::query(&mut select).take()
}

/// A count of SQL is never negative.
fn count_of(total: i64) -> u64 {
    u64::try_from(total).unwrap_or_default()
}
