//! The tasks of all projects of a reader, in one order, without reading all of them.
//!
//! Each project has its tasks in order already, by an index. So one step into the index of each project gives its first
//! task, its head, and of as many tasks as are wanted, all are in those projects whose heads come first: before the head
//! of any other stand as many heads already. Of these few projects the first tasks are read, and the rest is a sort of
//! a handful of rows. What it costs depends on how many projects the reader has, and not on how many tasks are in them.

use sea_orm::sea_query::{Asterisk, Expr, ExprTrait, Func, Query, SelectStatement};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, Iterable, JoinType, QueryFilter,
    QuerySelect, QueryTrait, Select,
};

use super::entities::{member, project, task};
use super::pagination::order;
use super::tasks::{membership, project_of_task};
use super::{SeaRepositories, task_filter};
use crate::contract::UserId;
use crate::contract::page::Sort;
use crate::contract::task::query::TaskSort;
use crate::repositories::{Assignee, SortKey, StoreError, TaskFilter};

/// Up to this many tasks from the beginning, the first tasks of so many projects are fewer than all tasks. It is room for
/// the longest page of a walk and for a few pages by number: those far behind have to pass all tasks before them anyway.
const MAX_LATERAL_ROWS: u64 = 200;

/// The few projects that have the first tasks.
const TOP: &str = "top";

/// Which tasks of all that match.
#[derive(Clone, Copy)]
pub(super) struct TaskWindow<'a> {
    pub(super) sort: Sort<TaskSort>,
    /// Only what stands after this.
    pub(super) after: Option<&'a SortKey>,
    pub(super) offset: u64,
    pub(super) limit: u64,
}

/// Whether a project's tasks are better looked at in order until one matches.
///
/// What an assignee has is found by an index of its own, in whatever projects it is. A search for words and labels has to
/// look into every task that does not match, and does that sooner in the order in which they are stored.
fn prefers_ordered_scan(filter: &TaskFilter) -> bool {
    !matches!(filter.assignee, Some(Assignee::User(_))) && filter.labels.is_empty() && filter.terms.is_empty()
}

/// The projects whose tasks the reader can see.
fn projects(reader: UserId, filter: &TaskFilter) -> SelectStatement {
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

/// How many tasks the reader can see, by what the projects know.
pub(super) fn visible_count(reader: UserId, filter: &TaskFilter) -> SelectStatement {
    let sum = Expr::col((project::Entity, project::Column::TaskTotal)).sum();
    // The sum of nothing is null, and on PostgreSQL that of any whole numbers has a type of its own.
    let total = Expr::from(Func::coalesce([sum, Expr::val(0_i64)])).cast_as("bigint");
    projects(reader, filter).expr(total).take()
}

fn sorted(select: &mut SelectStatement, sort: Sort<TaskSort>) -> &mut SelectStatement {
    select
        .order_by((task::Entity, task_filter::column(sort.field)), order(sort.direction))
        .order_by((task::Entity, task::Column::Id), order(sort.direction))
}

impl<C: ConnectionTrait> SeaRepositories<C> {
    /// All tasks that match and that the reader can see, in no order.
    pub(super) fn matching_visible(&self, reader: UserId, filter: &TaskFilter) -> Select<task::Entity> {
        task::Entity::find()
            .join(JoinType::InnerJoin, membership(reader))
            .join(JoinType::InnerJoin, project_of_task())
            .filter(project::Column::DeletedAt.is_null())
            .apply_if(filter.not_archived.then_some(false), |query, archived| {
                query.filter(project::Column::Archived.eq(archived))
            })
            .filter(task_filter::condition(filter, self.is_postgres()))
    }

    /// A part of what the reader can see, in order.
    pub(super) async fn visible_window(
        &self,
        reader: UserId,
        filter: &TaskFilter,
        window: TaskWindow<'_>,
    ) -> Result<Vec<task::Model>, StoreError> {
        let select = if prefers_ordered_scan(filter) && window.offset + window.limit <= MAX_LATERAL_ROWS {
            self.lateral_top_n(reader, filter, window)
        } else {
            self.full_sort(reader, filter, window)
        };
        let rows = self.0.query_all(&select).await?;
        Ok(rows.iter().map(|row| task::Model::from_query_result(row, "")).collect::<Result<_, _>>()?)
    }

    /// The part by reading all that matches.
    fn full_sort(&self, reader: UserId, filter: &TaskFilter, window: TaskWindow<'_>) -> SelectStatement {
        let mut all = self.matching_visible(reader, filter);
        if let Some(after) = window.after {
            all = all.filter(task_filter::after_key(after, window.sort));
        }
        sorted(&mut all.into_query(), window.sort).limit(window.limit).offset(window.offset).take()
    }

    /// The part by the heads of the projects.
    fn lateral_top_n(&self, reader: UserId, filter: &TaskFilter, window: TaskWindow<'_>) -> SelectStatement {
        let reach = window.offset + window.limit;
        let of = |projects: &str, limit| self.top_rows(projects, filter, window, limit);

        let mut top = projects(reader, filter);
        top.column((member::Entity, member::Column::ProjectId));
        self.join_tasks(&mut top, of("members", 1));
        sorted(&mut top, window.sort).limit(reach);

        let mut tasks = Query::select();
        tasks.columns(task::Column::iter().map(|column| (task::Entity, column))).from_subquery(top, TOP);
        self.join_tasks(&mut tasks, of(TOP, reach));
        sorted(&mut tasks, window.sort).limit(window.limit).offset(window.offset).take()
    }

    /// The first tasks that match in the project of each row of a table.
    fn top_rows(&self, projects: &str, filter: &TaskFilter, window: TaskWindow<'_>, limit: u64) -> SelectStatement {
        let mut tasks = Query::select();
        tasks
            .from(task::Entity)
            .and_where(
                Expr::col((task::Entity, task::Column::ProjectId))
                    .equals((projects.to_owned(), member::Column::ProjectId)),
            )
            .cond_where(task_filter::condition(filter, self.is_postgres()));
        if let Some(after) = window.after {
            tasks.and_where(task_filter::after_key(after, window.sort));
        }
        sorted(&mut tasks, window.sort).limit(limit).take()
    }

    /// Joins each row of a table with the first tasks of its project.
    fn join_tasks(&self, select: &mut SelectStatement, mut first: SelectStatement) {
        if self.is_postgres() {
            first.column((task::Entity, Asterisk));
            select.join_lateral(JoinType::InnerJoin, first, "tasks", Condition::all());
            return;
        }
        // SQLite knows no LATERAL, but looks up each of the ids that such a query gives.
        first.column((task::Entity, task::Column::Id));
        select.inner_join(task::Entity, Expr::col((task::Entity, task::Column::Id)).in_subquery(first));
    }
}
