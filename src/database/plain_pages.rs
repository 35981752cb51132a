//! Pages of all tasks of a project, the list that clients read most.
//!
//! The text of a statement is built once for each sort order: building it takes longer than running it.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait as _, DbBackend, EntityTrait as _, QueryFilter as _, QuerySelect as _, QueryTrait as _, Statement,
};

use super::decode::DecodingConnection;
use super::entities::task;
use super::prepared::Prepared;
use super::repositories::SeaRepositories;
use super::task_filter::{self, TaskWindow};
use super::task_lists::{ProjectHeadRow, has_page, head_query};
use super::task_rows::ListedRow;
use crate::contract::page::default_limit;
use crate::contract::{ProjectId, UserId};
use crate::repositories::{ProjectTaskPage, StoreError, TaskFilter};

/// Limit of a page of the default size, with its extra row.
///
/// It is part of the text of its statement. PostgreSQL expects a limit that is a parameter to return a tenth of all rows,
/// so it would never keep the plan of a page.
const DEFAULT_LIMIT: u64 = default_limit() as u64 + 1;

fn build_head(backend: DbBackend, project: ProjectId, reader: UserId) -> Statement {
    head_query(project, reader, Expr::val(0_i64), Expr::val(true)).limit(1).build(backend)
}

fn head_stmt(backend: DbBackend, project: ProjectId, reader: UserId) -> Statement {
    static HEAD: Prepared = Prepared::new();
    let values = [0_i64.into(), true.into(), reader.0.into(), 1.into(), project.0.into(), 1_u64.into()];
    HEAD.bind(backend, || build_head(backend, project, reader), values)
}

fn build_window(backend: DbBackend, project: ProjectId, window: TaskWindow<'_>) -> Statement {
    let condition = task_filter::condition(&TaskFilter::default(), backend == DbBackend::Postgres);
    let tasks = task::Entity::find().filter(task::Column::ProjectId.eq(project.0)).filter(condition);
    if !is_default(window) {
        return task_filter::window_stmt(tasks, window).build(backend);
    }
    let mut statement = task_filter::sorted_stmt(tasks, window).build(backend);
    statement.sql = format!("{} LIMIT {DEFAULT_LIMIT}", statement.sql);
    statement
}

fn window_stmt(backend: DbBackend, project: ProjectId, window: TaskWindow<'_>) -> Statement {
    static WINDOWS: [[[[Prepared; 2]; 2]; 2]; 6] =
        [const { [const { [const { [const { Prepared::new() }; 2] }; 2] }; 2] }; 6];
    let (TaskWindow { sort, after, offset, limit }, is_default) = (window, is_default(window));
    let prepared = &WINDOWS[sort.field as usize][sort.direction as usize][usize::from(after.is_some())];
    let after = after.into_iter().flat_map(|key| [task_filter::bound_value(key, sort), key.id.0.into()]);
    let bounds = [limit.into(), offset.into()].into_iter().filter(|_| !is_default);
    let values = std::iter::once(project.0.into()).chain(after).chain(bounds);
    prepared[usize::from(is_default)].bind(backend, || build_window(backend, project, window), values)
}

/// Returns whether a window is a page of the default size.
const fn is_default(window: TaskWindow<'_>) -> bool {
    window.limit == DEFAULT_LIMIT && window.offset == 0
}

impl<C: DecodingConnection> SeaRepositories<C> {
    /// Reads a window of all tasks of a project; `None` if there is no such project.
    pub(super) async fn read_plain_page(
        &self,
        project: ProjectId,
        reader: UserId,
        window: TaskWindow<'_>,
    ) -> Result<Option<(ProjectTaskPage<u64>, Vec<ListedRow>)>, StoreError> {
        let backend = self.0.get_database_backend();
        let head: Option<ProjectHeadRow> = self.0.query_decoded_one(head_stmt(backend, project, reader)).await?;
        let Some(head) = head.map_or(Ok(None), ProjectHeadRow::into_page)? else { return Ok(None) };
        let is_read = has_page(&head);
        let tasks =
            if is_read { self.0.query_decoded(window_stmt(backend, project, window)).await? } else { Vec::new() };
        Ok(Some((head, tasks)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::TaskId;
    use crate::contract::page::{Direction, Sort};
    use crate::contract::task::query::TaskSort::{CreatedAt, DueAt, Position, Priority, Title, UpdatedAt};
    use crate::repositories::{SortKey, SortValue};

    const BACKENDS: [DbBackend; 2] = [DbBackend::Postgres, DbBackend::Sqlite];

    #[test]
    fn the_head_of_a_page_has_its_values_in_order() {
        for backend in BACKENDS.into_iter().chain(BACKENDS) {
            let (project, reader) = (ProjectId::generate(), UserId::generate());
            assert_eq!(head_stmt(backend, project, reader), build_head(backend, project, reader));
        }
    }

    #[test]
    fn a_page_of_any_sort_order_has_its_values_in_order() {
        for (number, field) in
            [CreatedAt, UpdatedAt, DueAt, Priority, Title, Position, CreatedAt].into_iter().enumerate()
        {
            for direction in [Direction::Asc, Direction::Desc] {
                let value = match field {
                    Title | Position => SortValue::Text(format!("text {number}")),
                    _ => SortValue::Number(number.try_into().unwrap()),
                };
                let key = SortKey { value, id: TaskId::generate() };
                for after in [None, Some(&key)] {
                    let project = ProjectId::generate();
                    let limit = u64::try_from(number).unwrap() + 30;
                    for (backend, limit) in
                        BACKENDS.into_iter().flat_map(|engine| [limit, DEFAULT_LIMIT].map(|limit| (engine, limit)))
                    {
                        let window = TaskWindow { sort: Sort { field, direction }, after, offset: 0, limit };
                        let built = build_window(backend, project, window);
                        assert_eq!(window_stmt(backend, project, window), built);
                    }
                }
            }
        }
    }
}
