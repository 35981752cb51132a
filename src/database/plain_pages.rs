//! Pages of all tasks of a project, the list that clients read most.
//!
//! The text of a statement is built once for each sort order: building it takes longer than running it. PostgreSQL reads
//! the whole page with one statement, which saves a round trip. SQLite has no LATERAL, and no round trips.

use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{
    Condition, DbBackend, EntityTrait as _, JoinType, QueryFilter as _, QuerySelect as _, QueryTrait as _, Select,
    Statement, Value,
};

use super::decode::{DecodingConnection, decoded_row};
use super::entities::{project, task};
use super::pagination::order;
use super::prepared::Prepared;
use super::repositories::SeaRepositories;
use super::task_filter::{self, TaskWindow};
use super::task_lists::{ProjectHeadRow, has_page, head_query};
use super::task_rows::{LISTED, ListedRow};
use crate::contract::{ProjectId, UserId};
use crate::repositories::{ProjectTaskPage, StoreError, TaskFilter};

/// Statements by sort field, direction, and whether the page is one after the first.
type BySort = [[[Prepared; 2]; 2]; 6];

const fn unbuilt() -> BySort {
    [const { [const { [const { Prepared::new() }; 2] }; 2] }; 6]
}

/// Name of the tasks beside their project.
const WINDOW: &str = "page";

decoded_row! {
    /// A task beside its project, or a project without tasks in the window.
    struct PageRow {
        head: ProjectHeadRow,
        task: Option<ListedRow>,
    }
}

fn of_sort<'a>(statements: &'a BySort, window: &TaskWindow<'_>) -> &'a Prepared {
    &statements[window.sort.field as usize][window.sort.direction as usize][usize::from(window.after.is_some())]
}

/// Values of a window, in the order of its statement.
fn window_values(window: TaskWindow<'_>) -> impl Iterator<Item = Value> {
    let TaskWindow { sort, after, offset, limit } = window;
    let after = after.into_iter().flat_map(move |key| [task_filter::bound_value(key, sort), key.id.0.into()]);
    after.chain([limit.into(), offset.into()])
}

fn plain_tasks(backend: DbBackend, of_project: Expr) -> Select<task::Entity> {
    let condition = task_filter::condition(&TaskFilter::default(), backend == DbBackend::Postgres);
    task::Entity::find().filter(of_project).filter(condition)
}

fn plain_head(project: ProjectId, reader: UserId) -> Select<project::Entity> {
    head_query(project, reader, Expr::val(0_i64), Expr::val(true))
}

fn head_values(reader: UserId) -> [Value; 4] {
    [0_i64.into(), true.into(), reader.0.into(), 1.into()]
}

fn build_head(backend: DbBackend, project: ProjectId, reader: UserId) -> Statement {
    plain_head(project, reader).limit(1).build(backend)
}

fn head_stmt(backend: DbBackend, project: ProjectId, reader: UserId) -> Statement {
    static HEAD: Prepared = Prepared::new();
    let values = head_values(reader).into_iter().chain([project.0.into(), 1_u64.into()]);
    HEAD.bind(backend, || build_head(backend, project, reader), values)
}

fn build_window(backend: DbBackend, project: ProjectId, window: TaskWindow<'_>) -> Statement {
    let of_project = Expr::col(task::Column::ProjectId).eq(project.0);
    task_filter::window_stmt(plain_tasks(backend, of_project), window).build(backend)
}

fn window_stmt(backend: DbBackend, project: ProjectId, window: TaskWindow<'_>) -> Statement {
    static WINDOWS: BySort = unbuilt();
    let values = std::iter::once(project.0.into()).chain(window_values(window));
    of_sort(&WINDOWS, &window).bind(backend, || build_window(backend, project, window), values)
}

fn build_page(project: ProjectId, reader: UserId, window: TaskWindow<'_>) -> Statement {
    let backend = DbBackend::Postgres;
    let of_project = Expr::col((task::Entity, task::Column::ProjectId)).equals((project::Entity, project::Column::Id));
    let tasks = task_filter::window_stmt(plain_tasks(backend, of_project), window).into_query();
    let mut page = plain_head(project, reader).into_query();
    page.columns(LISTED.map(|column| (WINDOW, column)))
        .join_lateral(JoinType::LeftJoin, tasks, WINDOW, Condition::all())
        .order_by((WINDOW, task_filter::column(window.sort.field)), order(window.sort.direction))
        .order_by((WINDOW, task::Column::Id), order(window.sort.direction));
    backend.build(&page)
}

fn page_stmt(project: ProjectId, reader: UserId, window: TaskWindow<'_>) -> Statement {
    static PAGES: BySort = unbuilt();
    let values = head_values(reader).into_iter().chain(window_values(window)).chain([project.0.into()]);
    of_sort(&PAGES, &window).bind(DbBackend::Postgres, || build_page(project, reader, window), values)
}

impl<C: DecodingConnection> SeaRepositories<C> {
    /// Reads a window of all tasks of a project; `None` if there is no such project.
    pub(super) async fn read_plain_page(
        &self,
        project: ProjectId,
        reader: UserId,
        window: TaskWindow<'_>,
    ) -> Result<Option<(ProjectTaskPage<u64>, Vec<ListedRow>)>, StoreError> {
        if self.is_postgres() {
            let rows: Vec<PageRow> = self.0.query_decoded(page_stmt(project, reader, window)).await?;
            let (heads, tasks): (Vec<_>, Vec<_>) = rows.into_iter().map(|row| (row.head, row.task)).unzip();
            let Some(head) = heads.into_iter().next() else { return Ok(None) };
            let Some(head) = head.into_page()? else { return Ok(None) };
            let tasks = if has_page(&head) { tasks.into_iter().flatten().collect() } else { Vec::new() };
            return Ok(Some((head, tasks)));
        }
        let backend = DbBackend::Sqlite;
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

    #[test]
    fn the_head_of_a_page_has_its_values_in_order() {
        for _ in 0..2 {
            let (project, reader) = (ProjectId::generate(), UserId::generate());
            let built = build_head(DbBackend::Sqlite, project, reader);
            assert_eq!(head_stmt(DbBackend::Sqlite, project, reader), built);
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
                    let (project, reader) = (ProjectId::generate(), UserId::generate());
                    let limit = u64::try_from(number).unwrap() + 20;
                    let window = TaskWindow { sort: Sort { field, direction }, after, offset: 0, limit };
                    let built = build_window(DbBackend::Sqlite, project, window);
                    assert_eq!(window_stmt(DbBackend::Sqlite, project, window), built);
                    assert_eq!(page_stmt(project, reader, window), build_page(project, reader, window));
                }
            }
        }
    }
}
