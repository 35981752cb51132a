//! Lists of tasks, in two queries: the first says who the reader is and how many tasks there are, the second gives the
//! page. What is walked by cursors is not counted, and each stretch begins where an index says that the one before
//! ended.

use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, JoinType, QueryFilter, QuerySelect, QueryTrait, Select,
};

use super::entities::{member, project, task};
use super::pagination::{self, paginate};
use super::visible_tasks::{self, TaskWindow};
use super::{SeaRepositories, mapping, projects, task_filter};
use crate::contract::page::{Page, Paging, Sort};
use crate::contract::task::Task;
use crate::contract::task::query::TaskSort;
use crate::contract::{ProjectId, UserId};
use crate::repositories::{
    Assignee, CursorPage, CursorRequest, ProjectTaskPage, StoreError, TaskFilter, VisibleTaskPage,
};

#[derive(FromQueryResult)]
struct ProjectHead {
    deleted_at: Option<i64>,
    member_role: Option<String>,
    total: i64,
    assignee_is_valid: bool,
}

#[derive(FromQueryResult)]
struct VisibleHead {
    total: i64,
    assignee_is_valid: bool,
}

/// Whether the assignee that is filtered by is a member of the projects that `within` selects. The reader is always
/// known: who is a member of nothing may ask for their own tasks, and has none.
fn assignee_is_valid(filter: &TaskFilter, reader: UserId, within: impl FnOnce(&mut SelectStatement)) -> Expr {
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

/// Who reads a project, and what the list needs to know of it.
fn head_of_project(project: ProjectId, reader: UserId, filter: &TaskFilter, total: Expr) -> Select<project::Entity> {
    let known = assignee_is_valid(filter, reader, |memberships| {
        memberships.and_where(Expr::col(("assignees", member::Column::ProjectId)).eq(project.0));
    });
    project::Entity::find_by_id(project.0)
        .join(JoinType::LeftJoin, projects::membership(reader))
        .select_only()
        .column(project::Column::DeletedAt)
        .column_as(member::Column::Role, "member_role")
        .expr_as(total, "total")
        .expr_as(known, "assignee_is_valid")
}

fn known_in_visible(filter: &TaskFilter, reader: UserId) -> Expr {
    assignee_is_valid(filter, reader, |memberships| {
        let mut mine = Query::select();
        mine.column(member::Column::ProjectId)
            .from(member::Entity)
            .and_where(Expr::col(member::Column::UserId).eq(reader.0));
        memberships.and_where(Expr::col(("assignees", member::Column::ProjectId)).in_subquery(mine));
    })
}

impl<C: ConnectionTrait> SeaRepositories<C> {
    fn matching_in_project(&self, project: ProjectId, filter: &TaskFilter) -> Select<task::Entity> {
        task::Entity::find()
            .filter(task::Column::ProjectId.eq(project.0))
            .filter(task_filter::condition(filter, self.is_postgres()))
    }

    pub(super) async fn tasks_of_project(
        &self,
        project: ProjectId,
        reader: UserId,
        filter: &TaskFilter,
        sort: Sort<TaskSort>,
        paging: Paging,
    ) -> Result<Option<ProjectTaskPage<Page<Task>>>, StoreError> {
        let matching = self.matching_in_project(project, filter);
        // Counted with every change of a task, so that it costs the same however many there are.
        let total = if filter.is_unfiltered() {
            Expr::col((project::Entity, project::Column::TaskTotal))
        } else {
            scalar(count(matching.clone()))
        };
        let head = head_of_project(project, reader, filter, total).into_model::<ProjectHead>().one(&self.0).await?;
        let Some(head) = head.filter(|head| head.deleted_at.is_none()) else { return Ok(None) };
        let role = head.member_role.as_deref().map(mapping::role).transpose()?;
        let mut page = Page { items: Vec::new(), total: count_of(head.total) };
        if role.is_some() && head.assignee_is_valid && page.total > paging.offset() {
            page.items = self.page(matching, sort, paging).await?;
        }
        Ok(Some(ProjectTaskPage { role, assignee_is_valid: head.assignee_is_valid, page }))
    }

    pub(super) async fn visible_tasks(
        &self,
        reader: UserId,
        filter: &TaskFilter,
        sort: Sort<TaskSort>,
        paging: Paging,
    ) -> Result<VisibleTaskPage<Page<Task>>, StoreError> {
        // By the projects' own counts, as far as they tell.
        let total = if filter.is_unfiltered() {
            visible_tasks::visible_count(reader, filter)
        } else {
            count(self.matching_visible(reader, filter))
        };
        let head = self.visible_head(reader, filter, scalar(total)).await?;
        let mut page = Page { items: Vec::new(), total: count_of(head.total) };
        if head.assignee_is_valid && page.total > paging.offset() {
            let window = TaskWindow { sort, after: None, offset: paging.offset(), limit: paging.limit.into() };
            let rows = self.visible_window(reader, filter, window).await?;
            page.items = rows.into_iter().map(mapping::task).collect::<Result<_, _>>()?;
        }
        Ok(VisibleTaskPage { assignee_is_valid: head.assignee_is_valid, page })
    }

    pub(super) async fn stretch_of_project(
        &self,
        project: ProjectId,
        reader: UserId,
        filter: &TaskFilter,
        walk: &CursorRequest,
    ) -> Result<Option<ProjectTaskPage<CursorPage>>, StoreError> {
        let head = head_of_project(project, reader, filter, Expr::val(0_i64));
        let head = head.into_model::<ProjectHead>().one(&self.0).await?;
        let Some(head) = head.filter(|head| head.deleted_at.is_none()) else { return Ok(None) };
        let role = head.member_role.as_deref().map(mapping::role).transpose()?;
        let page = if role.is_some() && head.assignee_is_valid {
            self.stretch(self.matching_in_project(project, filter), walk).await?
        } else {
            CursorPage { items: Vec::new(), next: None }
        };
        Ok(Some(ProjectTaskPage { role, assignee_is_valid: head.assignee_is_valid, page }))
    }

    pub(super) async fn visible_stretch(
        &self,
        reader: UserId,
        filter: &TaskFilter,
        walk: &CursorRequest,
    ) -> Result<VisibleTaskPage<CursorPage>, StoreError> {
        let assignee_is_valid = match filter.assignee {
            Some(Assignee::User(assignee)) if assignee != reader => {
                self.visible_head(reader, filter, Expr::val(0_i64)).await?.assignee_is_valid
            }
            _ => true,
        };
        let page = if assignee_is_valid {
            let limit = u64::from(walk.limit) + 1;
            let window = TaskWindow { sort: walk.sort, after: walk.after.as_ref(), offset: 0, limit };
            cut(self.visible_window(reader, filter, window).await?, walk)?
        } else {
            CursorPage { items: Vec::new(), next: None }
        };
        Ok(VisibleTaskPage { assignee_is_valid, page })
    }

    async fn visible_head(&self, reader: UserId, filter: &TaskFilter, total: Expr) -> Result<VisibleHead, StoreError> {
        let mut head = Query::select();
        head.expr_as(total, "total").expr_as(known_in_visible(filter, reader), "assignee_is_valid");
        let head = self.0.query_one(&head).await?.map(|row| VisibleHead::from_query_result(&row, "")).transpose()?;
        head.ok_or_else(|| StoreError::Internal("a count gave no row".into()))
    }

    async fn page(
        &self,
        matching: Select<task::Entity>,
        sort: Sort<TaskSort>,
        paging: Paging,
    ) -> Result<Vec<Task>, StoreError> {
        let rows = paginate(order_by(matching, sort), paging).all(&self.0).await?;
        rows.into_iter().map(mapping::task).collect()
    }

    async fn stretch(&self, matching: Select<task::Entity>, walk: &CursorRequest) -> Result<CursorPage, StoreError> {
        let mut matching = order_by(matching, walk.sort);
        if let Some(after) = &walk.after {
            matching = matching.filter(task_filter::after_key(after, walk.sort));
        }
        cut(matching.limit(u64::from(walk.limit) + 1).all(&self.0).await?, walk)
    }
}

/// Cuts off the row that was asked for only to see whether there is one.
fn cut(mut rows: Vec<task::Model>, walk: &CursorRequest) -> Result<CursorPage, StoreError> {
    let limit = usize::try_from(walk.limit).unwrap_or(usize::MAX);
    let is_cut = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| is_cut).map(|row| task_filter::sort_key(row, walk.sort.field));
    Ok(CursorPage { items: rows.into_iter().map(mapping::task).collect::<Result<_, _>>()?, next })
}

fn order_by(matching: Select<task::Entity>, sort: Sort<TaskSort>) -> Select<task::Entity> {
    pagination::order_by(matching, task_filter::column(sort.field), task::Column::Id, sort.direction)
}

fn count(matching: Select<task::Entity>) -> SelectStatement {
    let mut select = matching.select_only().expr(Expr::col((task::Entity, task::Column::Id)).count());
    QueryTrait::query(&mut select).take()
}

/// A count of SQL is never negative.
fn count_of(total: i64) -> u64 {
    u64::try_from(total).unwrap_or_default()
}
