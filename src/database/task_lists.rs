//! Lists of tasks. One query authorizes and counts, another reads the page.

use async_trait::async_trait;
use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
};
use uuid::Uuid;

use super::decode::{DecodingConnection, decoded_row};
use super::entities::{event_sequence, member, project, task};
use super::pagination::{bounded_count, first_portion, page};
use super::relations::membership;
use super::repositories::SeaRepositories;
use super::task_candidates::tasks_of;
use super::task_filter::TaskWindow;
use super::task_rows::ListedRow;
use super::visible_tasks::visible_count;
use super::{mapping, task_filter};
use crate::contract::page::{MAX_COUNTED, Page, Paging, Sort, Total};
use crate::contract::task::Task;
use crate::contract::task::query::TaskSort;
use crate::contract::{ProjectId, UserId};
use crate::repositories::{
    Assignee, CursorPage, CursorRequest, FeedBounds, ProjectTaskPage, StoreError, TaskFilter, TaskListRepository,
    VisibleTaskPage,
};

decoded_row! {
    pub(super) struct ProjectHeadRow {
        deleted_at: Option<i64>,
        member_role: Option<String>,
        total: i64,
        assignee_is_valid: bool,
        sequence: i64,
        pruned_through: i64,
        epoch: Option<Uuid>,
    }
}

impl ProjectHeadRow {
    /// Returns a page with the total in place of its tasks; `None` if the project is deleted.
    pub(super) fn into_page(self) -> Result<Option<ProjectTaskPage<u64>>, StoreError> {
        if self.deleted_at.is_some() {
            return Ok(None);
        }
        Ok(Some(ProjectTaskPage {
            role: mapping::optional_role(self.member_role.as_deref())?,
            assignee_is_valid: self.assignee_is_valid,
            feed: FeedBounds { pruned_through: self.pruned_through, end: self.sequence, epoch: self.epoch },
            page: u64::try_from(self.total).unwrap_or_default(),
        }))
    }
}

/// Returns whether the reader may see the tasks, and the filter can match any.
pub(super) fn has_page<P>(head: &ProjectTaskPage<P>) -> bool {
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

/// Returns the column by whose index the tasks of a project are counted; `None` if an index of another kind may be better.
///
/// A count may stop early, so it should find tasks where they are dense. Without an order, databases expect them to be
/// everywhere, or read rows in an order that is far from that of the storage.
fn counting_order(filter: &TaskFilter) -> Option<task::Column> {
    let TaskFilter { due_before, due_after, created_after, updated_after, .. } = filter;
    let has_assignee = matches!(filter.assignee, Some(Assignee::User(_)));
    if has_assignee || filter.deleted_since.is_some() || !filter.priorities.is_empty() {
        None
    } else if due_before.is_some() || due_after.is_some() {
        Some(task::Column::DueKey)
    } else if updated_after.is_some() {
        Some(task::Column::UpdatedAt)
    } else if created_after.is_some() {
        Some(task::Column::CreatedAt)
    } else {
        Some(task::Column::Position)
    }
}

/// Returns the total of a list: the stored number of tasks, or a bounded count.
fn total(filter: &TaskFilter, count: u64) -> Total {
    if filter.is_unfiltered() { Total::exact(count) } else { Total::counted(count) }
}

/// Window of a numbered page, with an extra row.
fn numbered(sort: Sort<TaskSort>, paging: Paging) -> TaskWindow<'static> {
    TaskWindow { sort, after: None, offset: paging.offset(), limit: u64::from(paging.limit) + 1 }
}

/// Converts the rows of a numbered page and the extra row.
fn numbered_page(rows: Vec<ListedRow>, total: Total, paging: Paging) -> Result<Page<Task>, StoreError> {
    page(rows, total, paging, |row| mapping::task(row.task))
}

/// Query for what a list of a project needs besides its tasks.
pub(super) fn head_query(project: ProjectId, reader: UserId, total: Expr, is_valid: Expr) -> Select<project::Entity> {
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
    head
}

/// Window of a page, with an extra row that shows whether there is a next page.
fn window(request: &CursorRequest) -> TaskWindow<'_> {
    TaskWindow { sort: request.sort, after: request.after.as_ref(), offset: 0, limit: u64::from(request.limit) + 1 }
}

/// Drops the extra row that was read to learn whether there is a next page.
fn cursor_page(rows: Vec<ListedRow>, request: &CursorRequest) -> Result<CursorPage, StoreError> {
    let (rows, has_next) = first_portion(rows, request.limit.into());
    let next = rows.last().filter(|_| has_next).map(|row| task_filter::sort_key(row, request.sort.field));
    Ok(CursorPage { items: rows.into_iter().map(|row| mapping::task(row.task)).collect::<Result<_, _>>()?, next })
}

impl<C: ConnectionTrait> SeaRepositories<C> {
    /// Query for the tasks of a project that match, among the candidates if there are any.
    pub(super) fn matching_in_project(
        &self,
        project: ProjectId,
        filter: &TaskFilter,
        candidates: Option<SelectStatement>,
    ) -> Select<task::Entity> {
        tasks_of(candidates)
            .filter(task::Column::ProjectId.eq(project.0))
            .filter(task_filter::condition(filter, self.is_postgres()))
    }
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
        let head = head_query(project, reader, total, is_valid).limit(1);
        let row = self.0.query_decoded_one::<ProjectHeadRow>(head.build(self.0.get_database_backend())).await?;
        row.map_or(Ok(None), ProjectHeadRow::into_page)
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
        let candidates = self.few_candidates_in_project(project, filter, sort).await?;
        // The count of the project costs the same however many tasks there are.
        let count = if filter.is_unfiltered() {
            Expr::col((project::Entity, project::Column::TaskTotal))
        } else {
            let order = counting_order(filter).filter(|_| candidates.is_none());
            let matching = self.matching_in_project(project, filter, candidates.clone());
            scalar(bounded_count(matching.apply_if(order, QueryOrder::order_by_asc), MAX_COUNTED))
        };
        let Some(head) = self.project_head(project, reader, filter, count).await? else { return Ok(None) };
        let total = total(filter, head.page);
        let mut rows = Vec::new();
        if has_page(&head) && total.may_exceed(paging.offset()) {
            rows = self.window_among(candidates, project, filter, numbered(sort, paging)).await?;
        }
        Ok(Some(head.with_page(numbered_page(rows, total, paging)?)))
    }

    async fn list_visible(
        &self,
        reader: UserId,
        filter: &TaskFilter,
        sort: Sort<TaskSort>,
        paging: Paging,
    ) -> Result<VisibleTaskPage<Page<Task>>, StoreError> {
        let candidates = self.few_visible_candidates(reader, filter).await?;
        let count = if filter.is_unfiltered() {
            visible_count(reader, filter)
        } else {
            bounded_count(self.matching_visible(reader, filter, candidates.clone()), MAX_COUNTED)
        };
        let (count, assignee_is_valid) = self.visible_head(reader, filter, scalar(count)).await?;
        let total = total(filter, count);
        let mut rows = Vec::new();
        if assignee_is_valid && total.may_exceed(paging.offset()) {
            rows = self.visible_window(reader, filter, numbered(sort, paging), candidates).await?;
        }
        Ok(VisibleTaskPage { assignee_is_valid, page: numbered_page(rows, total, paging)? })
    }

    async fn list_in_project_by_cursor(
        &self,
        project: ProjectId,
        reader: UserId,
        filter: &TaskFilter,
        request: &CursorRequest,
    ) -> Result<Option<ProjectTaskPage<CursorPage>>, StoreError> {
        if *filter == TaskFilter::default() {
            let Some((head, rows)) = self.read_plain_page(project, reader, window(request)).await? else {
                return Ok(None);
            };
            return Ok(Some(head.with_page(cursor_page(rows, request)?)));
        }
        let head = self.project_head(project, reader, filter, Expr::val(0_i64)).await?;
        let Some(head) = head else { return Ok(None) };
        let mut page = CursorPage::default();
        if has_page(&head) {
            page = cursor_page(self.project_window(project, filter, window(request)).await?, request)?;
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
            let candidates = self.few_visible_candidates(reader, filter).await?;
            page = cursor_page(self.visible_window(reader, filter, window(request), candidates).await?, request)?;
        }
        Ok(VisibleTaskPage { assignee_is_valid, page })
    }
}
