//! The tasks of all projects of a reader.

use sea_orm::sea_query::{Expr, ExprTrait, Func, Query, SelectStatement};
use sea_orm::{ColumnTrait, ConnectionTrait, JoinType, QueryFilter, QuerySelect, QueryTrait as _, Select};

use super::decode::DecodingConnection;
use super::entities::{member, project, task};
use super::lateral::lateral_top_n;
use super::pagination::order;
use super::relations::{membership_of_task, project_of_task};
use super::repositories::SeaRepositories;
use super::task_candidates::tasks_of;
use super::task_filter::{self, TaskWindow};
use super::task_rows::{LISTED, ListedRow};
use crate::contract::UserId;
use crate::repositories::{Assignee, StoreError, TaskFilter};

/// Greatest end of a window that is read project by project.
///
/// Room for two of the longest pages and the extra row. Later windows have to pass all tasks before them anyway.
const MAX_LATERAL_ROWS: u64 = 201;

/// Returns whether a project's tasks are best searched in sort order.
///
/// An index of its own finds the tasks of an assignee. A search for terms or labels reads every task that does not
/// match, which is faster in storage order.
fn prefers_ordered_scan(filter: &TaskFilter) -> bool {
    !matches!(filter.assignee, Some(Assignee::User(_))) && filter.labels.is_empty() && filter.terms.is_empty()
}

/// Query for the projects whose tasks the reader can see.
fn visible_projects(reader: UserId, filter: &TaskFilter) -> SelectStatement {
    let mut projects = Query::select();
    projects
        .from(member::Entity)
        .inner_join(
            project::Entity,
            Expr::col((project::Entity, project::Column::Id)).equals((member::Entity, member::Column::ProjectId)),
        )
        .and_where(member::Column::UserId.eq(reader.0))
        .and_where(project::Column::DeletedAt.is_null());
    if filter.not_archived {
        projects.and_where(project::Column::Archived.eq(false));
    }
    projects
}

/// Query for the number of visible tasks, by the counts of the projects.
pub(super) fn visible_count(reader: UserId, filter: &TaskFilter) -> SelectStatement {
    let sum = Expr::col((project::Entity, project::Column::TaskTotal)).sum();
    // The sum of nothing is null, and on PostgreSQL a sum of integers is a numeric.
    let total = Expr::from(Func::coalesce([sum, Expr::val(0_i64)])).cast_as("bigint");
    visible_projects(reader, filter).expr(total).take()
}

impl<C: ConnectionTrait> SeaRepositories<C> {
    /// Query for all visible tasks that match, among the candidates if there are any, unsorted.
    pub(super) fn matching_visible(
        &self,
        reader: UserId,
        filter: &TaskFilter,
        candidates: Option<SelectStatement>,
    ) -> Select<task::Entity> {
        tasks_of(candidates)
            .join(JoinType::InnerJoin, membership_of_task(reader))
            .join(JoinType::InnerJoin, project_of_task())
            .filter(project::Column::DeletedAt.is_null())
            .apply_if(filter.not_archived.then_some(false), |query, archived| {
                query.filter(project::Column::Archived.eq(archived))
            })
            .filter(task_filter::condition(filter, self.is_postgres()))
    }
}

impl<C: DecodingConnection> SeaRepositories<C> {
    /// Reads a window of the visible tasks.
    pub(super) async fn visible_window(
        &self,
        reader: UserId,
        filter: &TaskFilter,
        window: TaskWindow<'_>,
        candidates: Option<SelectStatement>,
    ) -> Result<Vec<ListedRow>, StoreError> {
        if !prefers_ordered_scan(filter) || window.offset + window.limit > MAX_LATERAL_ROWS {
            let matching = self.matching_visible(reader, filter, candidates);
            return self.read_window(matching, window).await;
        }
        let mut select = self.top_n(reader, filter, window);
        select.clear_selects().columns(LISTED.map(|column| (task::Entity, column)));
        let backend = self.0.get_database_backend();
        Ok(self.0.query_decoded(backend.build(select.limit(window.limit).offset(window.offset))).await?)
    }

    /// Query that reads the first tasks of each project.
    fn top_n(&self, reader: UserId, filter: &TaskFilter, window: TaskWindow<'_>) -> SelectStatement {
        let mut projects = visible_projects(reader, filter);
        projects.column((member::Entity, member::Column::ProjectId));
        let rows_of = |table: &'static str| {
            let mut tasks = Query::select();
            tasks
                .from(task::Entity)
                .and_where(
                    Expr::col((task::Entity, task::Column::ProjectId)).equals((table, member::Column::ProjectId)),
                )
                .cond_where(task_filter::condition(filter, self.is_postgres()));
            if let Some(after) = window.after {
                tasks.and_where(task_filter::after_key(after, window.sort));
            }
            tasks
        };
        let (column, direction) = (task_filter::column(window.sort.field), order(window.sort.direction));
        let sort = |select: &mut SelectStatement| {
            select
                .order_by((task::Entity, column), direction.clone())
                .order_by((task::Entity, task::Column::Id), direction.clone());
        };
        let (groups, limit) = ((projects, "members"), window.offset + window.limit);
        lateral_top_n::<task::Entity>(self.is_postgres(), groups, limit, rows_of, sort)
    }
}
