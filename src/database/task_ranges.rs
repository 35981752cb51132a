//! Tasks of a project within a range of times, in an order by something else.
//!
//! A page can be read along the index of the order, until enough tasks are within the range, or along the index of the
//! range, whose tasks are then sorted. The first is slow if few tasks are within the range, the second if many are, and
//! databases do not know which. So the tasks within the range are counted first, up to a number.

use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, QuerySelect as _, QueryTrait as _, Select,
};

use super::decode::DecodingConnection;
use super::entities::task::{Column, Entity};
use super::pagination::{UNLIMITED, bounded_count};
use super::repositories::SeaRepositories;
use super::task_filter::{self, TIMES, TaskWindow, time_condition};
use super::task_rows::ListedRow;
use crate::contract::ProjectId;
use crate::contract::task::query::TaskSort;
use crate::repositories::{StoreError, TaskFilter};

/// Maximum number of tasks within a range that are sorted.
const MAX_SORTED: u64 = 1_000;

/// Condition on one of the times, if a filter has any and a page is not sorted by it.
fn range(filter: &TaskFilter, time: TaskSort, sorted: TaskSort) -> Option<Condition> {
    let range = time_condition(filter, time, &Expr::col((Entity, task_filter::column(time))));
    (time != sorted && !range.is_empty()).then_some(range)
}

fn in_project(project: ProjectId, condition: Condition) -> Select<Entity> {
    Entity::find().filter(Column::ProjectId.eq(project.0)).filter(condition)
}

impl<C: DecodingConnection> SeaRepositories<C> {
    /// Reads a window of the tasks of a project.
    pub(super) async fn ranged_window(
        &self,
        project: ProjectId,
        filter: &TaskFilter,
        window: TaskWindow<'_>,
    ) -> Result<Vec<ListedRow>, StoreError> {
        let matching = self.window_source(project, filter, window.sort.field).await?;
        self.read_window(matching, window).await
    }

    /// Query for the matching tasks, in a form that leads to the better index.
    async fn window_source(
        &self,
        project: ProjectId,
        filter: &TaskFilter,
        sorted: TaskSort,
    ) -> Result<Select<Entity>, StoreError> {
        let mut ranges = TIMES.into_iter().filter_map(|time| range(filter, time, sorted)).peekable();
        // The trash has an index of its own.
        if ranges.peek().is_none() || filter.deleted_since.is_some() {
            return Ok(self.matching_in_project(project, filter, None));
        }
        for range in ranges {
            let within = in_project(project, range.add(Column::DeletedAt.is_null()));
            let count = self.0.query_one(&bounded_count(within.clone(), MAX_SORTED)).await?;
            let count: i64 = count.map_or(Ok(0), |row| row.try_get_by_index(0))?;
            if u64::try_from(count).is_ok_and(|count| count <= MAX_SORTED) {
                let mut matching = self.matching_in_project(project, filter, None);
                let within = within.limit(UNLIMITED).into_query();
                sea_orm::QuerySelect::query(&mut matching).from_clear().from_subquery(within, Entity);
                return Ok(matching);
            }
        }
        Ok(self.matching_in_order(project, filter, sorted))
    }

    /// Query for the matching tasks, in a form that keeps databases from the indexes of times, except that of the order.
    pub(super) fn matching_in_order(
        &self,
        project: ProjectId,
        filter: &TaskFilter,
        sorted: TaskSort,
    ) -> Select<Entity> {
        let times = TIMES.map(|time| {
            let operand = Expr::col((Entity, task_filter::column(time)));
            // No index is over a sum.
            let operand = if time == sorted { operand } else { operand.add(0) };
            time_condition(filter, time, &operand)
        });
        let others = task_filter::condition_without_times(filter, self.is_postgres());
        in_project(project, times.into_iter().fold(others, Condition::add))
    }
}
