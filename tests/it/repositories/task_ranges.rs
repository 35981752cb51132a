//! Lists of tasks within a range of times, in an order by something else.

use pocket_tasks::contract::page::{Direction, Paging, Sort};
use pocket_tasks::contract::strings::TaskTitle;
use pocket_tasks::contract::task::query::TaskSort;
use pocket_tasks::contract::task::{Task, TaskPriority, TaskStatus};
use pocket_tasks::contract::{TaskId, Timestamp};
use pocket_tasks::database::SeaStore;
use pocket_tasks::repositories::{CursorRequest, Store as _, TaskFilter};

use super::fixtures::{add_tasks, at, new_task};
use super::plans::{Planner, SORT_ORDERS, word};
use super::raw::Raw;
use super::visible_plans::keeps_whole_statements;
use crate::on_both_databases;
use crate::support::{TestDatabase, databases};

/// Number of tasks. Those with a due time are more than a range whose tasks are sorted.
const TASKS: i64 = 1_200;

/// Tasks whose times, titles and priorities are in unrelated orders. Every tenth has no due time.
fn tasks(planner: &Planner) -> Vec<Task> {
    let task = |number: i64| {
        let due = at(number * 7 % TASKS);
        let priority =
            [TaskPriority::None, TaskPriority::Low, TaskPriority::High][usize::try_from(number % 3).unwrap()];
        Task {
            title: TaskTitle::new_unchecked(format!("{:04}", number * 13 % 997)),
            due_at: (number % 10 > 0).then_some(due),
            created_at: at(number),
            updated_at: at(number * 3 % 1_009),
            priority,
            ..new_task(&planner.project)
        }
    };
    (0..TASKS).map(task).collect()
}

/// Filters with wide and narrow ranges, alone and together.
fn filters() -> Vec<TaskFilter> {
    let (none, early, late) = (TaskFilter::default, Some(at(30)), Some(at(TASKS - 30)));
    vec![
        TaskFilter { due_before: late, ..none() },
        TaskFilter { due_before: early, ..none() },
        TaskFilter { due_after: early, due_before: Some(at(35)), ..none() },
        TaskFilter { created_after: early, ..none() },
        TaskFilter { created_after: late, updated_after: early, ..none() },
        TaskFilter { created_after: early, due_before: early, ..none() },
        TaskFilter { updated_after: Some(at(1)), statuses: vec![TaskStatus::Done], ..none() },
        TaskFilter { updated_after: Some(at(1)), priorities: vec![TaskPriority::Low], ..none() },
    ]
}

fn matches(task: &Task, filter: &TaskFilter) -> bool {
    let is_after = |time: Timestamp, after: Option<Timestamp>| after.is_none_or(|after| time > after);
    let is_due = filter.due_before.is_none_or(|before| task.due_at.is_some_and(|due| due < before))
        && filter.due_after.is_none_or(|after| task.due_at.is_some_and(|due| due > after));
    is_due
        && is_after(task.created_at, filter.created_after)
        && is_after(task.updated_at, filter.updated_after)
        && (filter.statuses.is_empty() || filter.statuses.contains(&task.status))
        && (filter.priorities.is_empty() || filter.priorities.contains(&task.priority))
}

fn expected(tasks: &[Task], filter: &TaskFilter, sort: Sort<TaskSort>) -> Vec<TaskId> {
    let mut found: Vec<_> = tasks.iter().filter(|task| matches(task, filter)).collect();
    found.sort_by_key(|task| {
        let (number, text) = match sort.field {
            TaskSort::CreatedAt => (task.created_at.0, ""),
            TaskSort::UpdatedAt => (task.updated_at.0, ""),
            TaskSort::DueAt => (task.due_at.map_or(i64::MAX, |due| due.0), ""),
            TaskSort::Priority => (task.priority as i64, ""),
            TaskSort::Title => (0, &*task.title),
            TaskSort::Position => (0, &*task.position),
        };
        (number, text.to_owned(), task.id.0)
    });
    if sort.direction == Direction::Desc {
        found.reverse();
    }
    found.into_iter().map(|task| task.id).collect()
}

/// Reads two pages by cursor and a later one by number.
async fn agrees(store: &SeaStore, planner: &Planner, filter: &TaskFilter, sort: Sort<TaskSort>, expected: &[TaskId]) {
    let (lists, project, reader) = (store.read().task_lists(), planner.project.id, planner.user.id);
    let mut request = CursorRequest { sort, after: None, limit: 20 };
    for page in 0..2 {
        let expected: Vec<_> = expected.iter().skip(page * 20).take(20).copied().collect();
        let list = lists.list_in_project_by_cursor(project, reader, filter, &request).await.unwrap().unwrap();
        let ids: Vec<_> = list.page.items.iter().map(|task| task.id).collect();
        assert_eq!(ids, expected, "page {page} of {sort:?} {filter:?}");
        request.after = list.page.next;
        if request.after.is_none() {
            break;
        }
    }
    let paging = Paging { limit: 10, page: None, offset: Some(500) };
    let list = lists.list_in_project(project, reader, filter, sort, paging).await.unwrap().unwrap().page;
    let ids: Vec<_> = list.items.iter().map(|task| task.id).collect();
    assert_eq!(ids, expected.iter().skip(500).take(10).copied().collect::<Vec<_>>(), "{sort:?} {filter:?}");
}

/// Asserts that a page is read along the order, or within the range.
async fn goes_by(planner: &mut Planner, sql: &str, index: &str, is_sorted: bool) {
    let plan = planner.generic_plan(sql).await;
    assert!(plan.contains(index), "{sql} does not go by {index}:\n{plan}");
    assert_eq!(plan.contains("TEMP B-TREE") || plan.contains("Sort"), is_sorted, "{sql}:\n{plan}");
    let other = if is_sorted { "tasks_by_title" } else { "tasks_by_due" };
    assert!(!plan.contains(other), "{sql}:\n{plan}");
}

/// The statement for SQLite.
fn by_hand(is_sorted: bool) -> String {
    let (source, due) = if is_sorted {
        let source =
            "(SELECT * FROM tasks WHERE project_id = ? AND due_key < ? AND deleted_at IS NULL LIMIT ?) AS tasks";
        (source, "tasks.due_key")
    } else {
        ("tasks", "tasks.due_key + ?")
    };
    format!(
        "SELECT tasks.title FROM {source} WHERE tasks.project_id = ? AND tasks.deleted_at IS NULL AND {due} < ? \
         ORDER BY tasks.title_key ASC, tasks.id ASC LIMIT ? OFFSET ?"
    )
}

on_both_databases! {
    async fn tasks_within_a_range_are_sorted_by_anything(database: TestDatabase) {
        let (planner, store) = (Planner::new(&database).await, database.store().await);
        let mut raw = Raw::connect(&database).await;
        raw.execute("DELETE FROM tasks").await;
        let tasks = tasks(&planner);
        add_tasks(&store, &tasks).await;
        for filter in filters() {
            for (field, _, _) in SORT_ORDERS {
                for direction in [Direction::Asc, Direction::Desc] {
                    let sort = Sort { field, direction };
                    agrees(&store, &planner, &filter, sort, &expected(&tasks, &filter, sort)).await;
                }
            }
        }
    }

    async fn a_wide_range_is_read_along_the_order_and_a_narrow_one_is_sorted(database: TestDatabase) {
        let (mut planner, store) = (Planner::new(&database).await, database.store().await);
        if !database.is_postgres() {
            // Written by hand, because SQLite does not report its statements; verified below.
            goes_by(&mut planner, &by_hand(false), "tasks_by_title", false).await;
            goes_by(&mut planner, &by_hand(true), "tasks_by_due", true).await;
            return;
        }
        if !keeps_whole_statements(&mut planner).await {
            return;
        }
        let tasks = tasks(&planner);
        add_tasks(&store, &tasks).await;
        planner.raw.execute("ANALYZE").await;
        let sort = Sort { field: TaskSort::Title, direction: Direction::Asc };
        let request = CursorRequest { sort, after: None, limit: 20 };
        let sqlite = databases::sqlite().await;
        for (due_before, index, is_sorted) in [(at(TASKS), "tasks_by_title", false), (at(30), "tasks_by_due", true)] {
            let filter = TaskFilter { due_before: Some(due_before), ..TaskFilter::default() };
            let lists = store.read().task_lists();
            let page = lists.list_in_project_by_cursor(planner.project.id, planner.user.id, &filter, &request).await;
            assert!(page.unwrap().is_some());
            let sent = planner.sent(&format!(r#"ORDER BY "tasks"."title\_key" {}"#, word(sort.direction))).await;
            goes_by(&mut planner, &sent, index, is_sorted).await;
            // The statement for SQLite differs only in the names of parameters.
            goes_by(&mut Planner::new(&sqlite).await, &sent, index, is_sorted).await;
        }
        sqlite.remove().await;
    }
}
