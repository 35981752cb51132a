//! Lists of tasks. One query authorizes and counts, another reads the page.

use async_trait::async_trait;
use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{ColumnTrait, DbBackend, EntityTrait, JoinType, QueryFilter, QuerySelect, QueryTrait, Select, Statement};
use uuid::Uuid;

use super::decode::{DecodingConnection, decoded_row};
use super::entities::{event_sequence, member, project, task};
use super::prepared::Prepared;
use super::relations::membership;
use super::repositories::SeaRepositories;
use super::task_filter::TaskWindow;
use super::task_rows::ListedRow;
use super::visible_tasks::visible_count;
use super::{mapping, task_filter};
use crate::contract::page::{Page, Paging, Sort};
use crate::contract::task::Task;
use crate::contract::task::query::TaskSort;
use crate::contract::{ProjectId, UserId};
use crate::repositories::{
    Assignee, CursorPage, CursorRequest, FeedBounds, ProjectTaskPage, StoreError, TaskFilter, TaskListRepository,
    VisibleTaskPage,
};

decoded_row! {
struct ProjectHeadRow {
    deleted_at: Option<i64>,
    member_role: Option<String>,
    total: i64,
    assignee_is_valid: bool,
    sequence: i64,
    pruned_through: i64,
    epoch: Option<Uuid>,
}
}

/// Returns whether the reader may see the tasks, and the filter can match any.
fn has_page<P>(head: &ProjectTaskPage<P>) -> bool {
    head.role.is_some() && head.assignee_is_valid
}

/// Returns the assignee of a filter, unless it is the reader.
fn other_assignee(filter: &TaskFilter, reader: UserId) -> Option<UserId> {
    match filter.assignee {
        Some(Assignee::User(assignee)) if assignee != reader => Some(assignee),
        _ => None,
    }
}

/// Condition that the assignee is a member of the projects that `within` selects.
fn assignee_is_valid(filter: &TaskFilter, reader: UserId, within: impl FnOnce(&mut SelectStatement)) -> Expr {
    let Some(assignee) = other_assignee(filter, reader) else { return Expr::val(true) };
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

fn count(matching: Select<task::Entity>) -> SelectStatement {
    let mut select = matching.select_only().expr(Expr::col((task::Entity, task::Column::Id)).count());
    QueryTrait::query(&mut select).take()
}

/// Statement for what a list of a project needs besides its tasks.
fn head_stmt(backend: DbBackend, project: ProjectId, reader: UserId, total: Expr, is_valid: Expr) -> Statement {
    let mut head = project::Entity::find_by_id(project.0)
        .join(JoinType::LeftJoin, membership(reader))
        .select_only()
        .column(project::Column::DeletedAt)
        .column_as(member::Column::Role, "member_role")
        .expr_as(total, "total")
        .expr_as(is_valid, "assignee_is_valid")
        .columns([
            event_sequence::Column::Sequence,
            event_sequence::Column::PrunedThrough,
            event_sequence::Column::Epoch,
        ]);
    let feed = Expr::col((event_sequence::Entity, event_sequence::Column::Id)).eq(1);
    QueryTrait::query(&mut head).inner_join(event_sequence::Entity, feed);
    head.limit(1).build(backend)
}

/// The same without a total and an assignee, whose text is built once.
fn plain_head_stmt(backend: DbBackend, project: ProjectId, reader: UserId) -> Statement {
    static HEAD: Prepared = Prepared::new();
    let build = || head_stmt(backend, project, reader, Expr::val(0_i64), Expr::val(true));
    let values = [0_i64.into(), true.into(), reader.0.into(), 1.into(), project.0.into(), 1_u64.into()];
    HEAD.bind(backend, build, values)
}

/// Window of a page, with an extra row that shows whether there is a next page.
fn window(request: &CursorRequest) -> TaskWindow<'_> {
    TaskWindow { sort: request.sort, after: request.after.as_ref(), offset: 0, limit: u64::from(request.limit) + 1 }
}

/// Drops the extra row that was read to learn whether there is a next page.
fn cursor_page(mut rows: Vec<ListedRow>, request: &CursorRequest) -> Result<CursorPage, StoreError> {
    let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
    let has_next = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| has_next).map(|row| task_filter::sort_key(row, request.sort.field));
    Ok(CursorPage { items: rows.into_iter().map(|row| mapping::task(row.task)).collect::<Result<_, _>>()?, next })
}

impl<C: DecodingConnection> SeaRepositories<C> {
    /// Reads a window of the matching tasks, which sorts all of them.
    pub(super) async fn read_window(
        &self,
        matching: Select<task::Entity>,
        window: TaskWindow<'_>,
    ) -> Result<Vec<ListedRow>, StoreError> {
        let statement = task_filter::window_stmt(matching, window).build(self.0.get_database_backend());
        Ok(self.0.query_decoded(statement).await?)
    }

    fn matching_in_project(&self, project: ProjectId, filter: &TaskFilter) -> Select<task::Entity> {
        task::Entity::find()
            .filter(task::Column::ProjectId.eq(project.0))
            .filter(task_filter::condition(filter, self.is_postgres()))
    }

    /// Returns the total in place of the page; `None` if there is no such project.
    async fn project_head(
        &self,
        project: ProjectId,
        reader: UserId,
        filter: &TaskFilter,
        total: Expr,
    ) -> Result<Option<ProjectTaskPage<u64>>, StoreError> {
        let is_valid = assignee_is_valid(filter, reader, |memberships| {
            memberships.and_where(Expr::col(("assignees", member::Column::ProjectId)).eq(project.0));
        });
        self.read_head(head_stmt(self.0.get_database_backend(), project, reader, total, is_valid)).await
    }

    async fn read_head(&self, statement: Statement) -> Result<Option<ProjectTaskPage<u64>>, StoreError> {
        let row = self.0.query_decoded_one::<ProjectHeadRow>(statement).await?;
        let Some(row) = row.filter(|row| row.deleted_at.is_none()) else { return Ok(None) };
        Ok(Some(ProjectTaskPage {
            role: mapping::optional_role(row.member_role.as_deref())?,
            assignee_is_valid: row.assignee_is_valid,
            feed: FeedBounds { pruned_through: row.pruned_through, end: row.sequence, epoch: row.epoch },
            page: u64::try_from(row.total).unwrap_or_default(),
        }))
    }

    /// Returns the total, and whether the assignee of the filter is valid.
    async fn visible_head(&self, reader: UserId, filter: &TaskFilter, total: Expr) -> Result<(u64, bool), StoreError> {
        let is_valid = assignee_is_valid(filter, reader, |memberships| {
            let mut own = Query::select();
            own.column(member::Column::ProjectId)
                .from(member::Entity)
                .and_where(Expr::col(member::Column::UserId).eq(reader.0));
            memberships.and_where(Expr::col(("assignees", member::Column::ProjectId)).in_subquery(own));
        });
        let mut head = Query::select();
        head.expr_as(total, "total").expr_as(is_valid, "assignee_is_valid");
        let row = self.0.query_one(&head).await?;
        let row = row.ok_or_else(|| StoreError::Internal("a count returned no row".into()))?;
        let total: i64 = row.try_get("", "total")?;
        Ok((u64::try_from(total).unwrap_or_default(), row.try_get("", "assignee_is_valid")?))
    }
}

#[async_trait]
impl<C: DecodingConnection + Send + Sync> TaskListRepository for SeaRepositories<C> {
    async fn list_in_project(
        &self,
        project: ProjectId,
        reader: UserId,
        filter: &TaskFilter,
        sort: Sort<TaskSort>,
        paging: Paging,
    ) -> Result<Option<ProjectTaskPage<Page<Task>>>, StoreError> {
        let matching = self.matching_in_project(project, filter);
        // The count of the project costs the same however many tasks there are.
        let total = if filter.is_unfiltered() {
            Expr::col((project::Entity, project::Column::TaskTotal))
        } else {
            scalar(count(matching.clone()))
        };
        let Some(head) = self.project_head(project, reader, filter, total).await? else { return Ok(None) };
        let mut page = Page { items: Vec::new(), total: head.page };
        if has_page(&head) && page.total > paging.offset() {
            let window = TaskWindow { sort, after: None, offset: paging.offset(), limit: paging.limit.into() };
            let rows = self.read_window(matching, window).await?;
            page.items = rows.into_iter().map(|row| mapping::task(row.task)).collect::<Result<_, _>>()?;
        }
        Ok(Some(head.with_page(page)))
    }

    async fn list_visible(
        &self,
        reader: UserId,
        filter: &TaskFilter,
        sort: Sort<TaskSort>,
        paging: Paging,
    ) -> Result<VisibleTaskPage<Page<Task>>, StoreError> {
        let total = if filter.is_unfiltered() {
            visible_count(reader, filter)
        } else {
            count(self.matching_visible(reader, filter))
        };
        let (total, assignee_is_valid) = self.visible_head(reader, filter, scalar(total)).await?;
        let mut page = Page { items: Vec::new(), total };
        if assignee_is_valid && page.total > paging.offset() {
            let window = TaskWindow { sort, after: None, offset: paging.offset(), limit: paging.limit.into() };
            let rows = self.visible_window(reader, filter, window).await?;
            page.items = rows.into_iter().map(|row| mapping::task(row.task)).collect::<Result<_, _>>()?;
        }
        Ok(VisibleTaskPage { assignee_is_valid, page })
    }

    async fn list_in_project_by_cursor(
        &self,
        project: ProjectId,
        reader: UserId,
        filter: &TaskFilter,
        request: &CursorRequest,
    ) -> Result<Option<ProjectTaskPage<CursorPage>>, StoreError> {
        let backend = self.0.get_database_backend();
        let is_plain = *filter == TaskFilter::default();
        let head = if is_plain {
            self.read_head(plain_head_stmt(backend, project, reader)).await?
        } else {
            self.project_head(project, reader, filter, Expr::val(0_i64)).await?
        };
        let Some(head) = head else { return Ok(None) };
        let mut page = CursorPage::default();
        if has_page(&head) && is_plain {
            let statement = task_filter::plain_window_stmt(backend, project, window(request));
            page = cursor_page(self.0.query_decoded(statement).await?, request)?;
        } else if has_page(&head) {
            let matching = self.matching_in_project(project, filter);
            page = cursor_page(self.read_window(matching, window(request)).await?, request)?;
        }
        Ok(Some(head.with_page(page)))
    }

    async fn list_visible_by_cursor(
        &self,
        reader: UserId,
        filter: &TaskFilter,
        request: &CursorRequest,
    ) -> Result<VisibleTaskPage<CursorPage>, StoreError> {
        let assignee_is_valid = match other_assignee(filter, reader) {
            Some(_) => self.visible_head(reader, filter, Expr::val(0_i64)).await?.1,
            None => true,
        };
        let mut page = CursorPage::default();
        if assignee_is_valid {
            page = cursor_page(self.visible_window(reader, filter, window(request)).await?, request)?;
        }
        Ok(VisibleTaskPage { assignee_is_valid, page })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_without_filters_has_its_values_in_order() {
        for backend in [DbBackend::Postgres, DbBackend::Sqlite] {
            for _ in 0..2 {
                let (project, reader) = (ProjectId::generate(), UserId::generate());
                let built = head_stmt(backend, project, reader, Expr::val(0_i64), Expr::val(true));
                assert_eq!(plain_head_stmt(backend, project, reader), built);
            }
        }
    }
}
