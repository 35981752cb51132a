//! Searches for words and labels.
//!
//! The indexes of words and labels do not have the order of a list, and no statistics say whether a word is common among the
//! tasks of a reader. So a search in a project reads the first rows in order: a common word soon fills the page. Then it
//! counts candidates up to a bound. If there are few, the list reads only these, with the same conditions as otherwise. If
//! there are more, it reads on in order. See `docs/decisions/0023-indexes-of-rare-words-and-labels.md`.

use sea_orm::QueryFilter as _;
use sea_orm::sea_query::{Expr, ExprTrait as _, Query, SelectStatement};

use super::decode::DecodingConnection;
use super::entities::project;
use super::repositories::SeaRepositories;
use super::task_candidates::{SearchScope, count_up_to, has_entries, labelled, worded_on_postgres, worded_on_sqlite};
use super::task_filter::{self, TaskWindow};
use super::task_rows::ListedRow;
use super::visible_tasks::visible_count;
use crate::contract::page::{Paging, Sort};
use crate::contract::task::query::TaskSort;
use crate::contract::{ProjectId, UserId};
use crate::repositories::{StoreError, TaskFilter};

/// Rows that a search in a project reads in the order of the list before it asks an index. A list by cursor reads more if
/// there is a match among the first, because counting the candidates of a common word takes longer.
const WALKED_ROWS: [u64; 2] = [500, 10_000];

/// Rows that a numbered list reads, which also needs the total.
const WALKED_ROWS_OF_COUNT: [u64; 1] = [500];

/// Number of visible tasks up to which all are read.
const MAX_UNINDEXED: u64 = 1_000;

/// Number of visible tasks up to which PostgreSQL reads all in a search for words: its index finds all tasks of all users
/// with a common word before it returns the first.
const MAX_UNINDEXED_ON_POSTGRES: u64 = 20_000;

/// Candidates are few if they are at most one in this number of tasks, because finding a task by an index costs more.
const TASKS_PER_CANDIDATE: u64 = 8;

/// Maximum number of candidates of a list by cursor. Of a million tasks, reading the page in order then takes about as long.
const MAX_IN_PROJECT: u64 = 4_000;

/// Maximum number of candidates of a numbered list, whose total counts a thousand tasks.
const MAX_COUNTED_IN_PROJECT: u64 = 30_000;

/// Maximum number of candidates in all projects, whose tasks have no common order.
const MAX_VISIBLE: u64 = 100_000;

/// Returns whether an index may find the tasks. The trash is searched without, because it is purged.
fn is_indexed(filter: &TaskFilter) -> bool {
    filter.deleted_since.is_none() && (!filter.labels.is_empty() || has_entries(&filter.terms))
}

impl<C: DecodingConnection> SeaRepositories<C> {
    /// Reads a window of the tasks of a project that match a filter.
    pub(super) async fn project_window(
        &self,
        project: ProjectId,
        filter: &TaskFilter,
        window: TaskWindow<'_>,
    ) -> Result<Vec<ListedRow>, StoreError> {
        if let Some(rows) = self.walk(project, filter, window, &WALKED_ROWS).await? {
            return Ok(rows);
        }
        let candidates = self.few_candidates(SearchScope::Project(project), MAX_IN_PROJECT, filter).await?;
        self.window_among(candidates, project, filter, window).await
    }

    /// Reads a window of the tasks of a project, among the candidates if there are any.
    pub(super) async fn window_among(
        &self,
        candidates: Option<SelectStatement>,
        project: ProjectId,
        filter: &TaskFilter,
        window: TaskWindow<'_>,
    ) -> Result<Vec<ListedRow>, StoreError> {
        if candidates.is_none() {
            return self.ranged_window(project, filter, window).await;
        }
        self.read_window(self.matching_in_project(project, filter, candidates), window).await
    }

    /// Returns a query for the candidates of a numbered list of a project, if they are few.
    pub(super) async fn few_candidates_in_project(
        &self,
        project: ProjectId,
        filter: &TaskFilter,
        sort: Sort<TaskSort>,
    ) -> Result<Option<SelectStatement>, StoreError> {
        let first = TaskWindow { sort, after: None, offset: 0, limit: Paging::default().limit.into() };
        if !is_indexed(filter) || self.walk(project, filter, first, &WALKED_ROWS_OF_COUNT).await?.is_some() {
            return Ok(None);
        }
        self.few_candidates(SearchScope::Project(project), MAX_COUNTED_IN_PROJECT, filter).await
    }

    /// Returns a query for the candidates of a search in all projects of the reader, if they are few.
    pub(super) async fn few_visible_candidates(
        &self,
        reader: UserId,
        filter: &TaskFilter,
    ) -> Result<Option<SelectStatement>, StoreError> {
        self.few_candidates(SearchScope::Visible(reader), MAX_VISIBLE, filter).await
    }

    /// Reads a window of the tasks of a project in order; `None` if it is not complete after some rows, and an index may
    /// find the others.
    async fn walk(
        &self,
        project: ProjectId,
        filter: &TaskFilter,
        window: TaskWindow<'_>,
        walked_rows: &[u64],
    ) -> Result<Option<Vec<ListedRow>>, StoreError> {
        if !is_indexed(filter) {
            return Ok(Some(self.ranged_window(project, filter, window).await?));
        }
        let matching = self.matching_in_order(project, filter, window.sort.field);
        let all = self.matching_in_project(project, &TaskFilter::default(), None);
        for offset in walked_rows.iter().copied() {
            let end = self.read_window(all.clone(), TaskWindow { offset, limit: 1, ..window }).await?;
            let end = end.first().map(|row| task_filter::sort_key(row, window.sort.field));
            let mut near = matching.clone();
            if let Some(end) = &end {
                near = near.filter(task_filter::before_key(end, window.sort));
            }
            let rows = self.read_window(near, window).await?;
            if end.is_none() || rows.len() as u64 == window.limit {
                return Ok(Some(rows));
            }
            if rows.is_empty() {
                break;
            }
        }
        Ok(None)
    }

    /// Returns a query for the candidates of a search, if they are few.
    async fn few_candidates(
        &self,
        scope: SearchScope,
        max: u64,
        filter: &TaskFilter,
    ) -> Result<Option<SelectStatement>, StoreError> {
        if !is_indexed(filter) {
            return Ok(None);
        }
        let total = self.count_searched(scope, filter).await?;
        if total <= MAX_UNINDEXED {
            return Ok(None);
        }
        let bound = std::cmp::min(max, total / TASKS_PER_CANDIDATE);
        let is_postgres = self.is_postgres();
        let mut all: Vec<_> = filter.labels.iter().map(|label| (labelled(scope, label), false)).collect();
        let reads_all = is_postgres && matches!(scope, SearchScope::Visible(_)) && total <= MAX_UNINDEXED_ON_POSTGRES;
        if !reads_all {
            let worded = if is_postgres { worded_on_postgres(&filter.terms) } else { worded_on_sqlite(&filter.terms) };
            all.extend(worded.map(|candidates| (candidates, is_postgres)));
        }
        for (candidates, needs_index) in all {
            if self.has_at_most(&candidates, bound, needs_index).await? {
                return Ok(Some(candidates));
            }
        }
        Ok(None)
    }

    /// Returns the number of tasks without filter.
    async fn count_searched(&self, scope: SearchScope, filter: &TaskFilter) -> Result<u64, StoreError> {
        let total = match scope {
            SearchScope::Project(project) => Query::select()
                .column(project::Column::TaskTotal)
                .from(project::Entity)
                .and_where(Expr::col(project::Column::Id).eq(project.0))
                .take(),
            SearchScope::Visible(reader) => visible_count(reader, filter),
        };
        let row = self.0.query_one(&total).await?;
        let total: i64 = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default();
        Ok(u64::try_from(total).unwrap_or_default())
    }

    async fn has_at_most(
        &self,
        candidates: &SelectStatement,
        bound: u64,
        needs_index: bool,
    ) -> Result<bool, StoreError> {
        let row = self.0.query_one(&count_up_to(candidates.clone(), bound, needs_index)).await?;
        let count: Option<i64> = row.map(|row| row.try_get("", "candidates")).transpose()?.flatten();
        Ok(count.and_then(|count| u64::try_from(count).ok()).is_some_and(|count| count <= bound))
    }
}
