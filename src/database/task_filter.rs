//! Conditions and order of task lists, in SQL.

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, Condition, QueryFilter as _, QuerySelect as _, QueryTrait as _, Select, Value};

use super::entities::task::{Column, Entity};
use super::pagination::order_by;
use super::task_rows::{LISTED, ListedRow};
use super::{mapping, text_search};
use crate::contract::TaskId;
use crate::contract::page::{Direction, Sort};
use crate::contract::task::query::TaskSort;
use crate::repositories::{Assignee, SortKey, SortValue, TaskFilter};

/// A window of the matching tasks.
#[derive(Clone, Copy)]
pub(super) struct TaskWindow<'a> {
    pub(super) sort: Sort<TaskSort>,
    /// Exclusive start.
    pub(super) after: Option<&'a SortKey>,
    pub(super) offset: u64,
    pub(super) limit: u64,
}

/// Times that a filter may limit.
pub(super) const TIMES: [TaskSort; 3] = [TaskSort::DueAt, TaskSort::CreatedAt, TaskSort::UpdatedAt];

/// Condition for a filter.
pub(super) fn condition(filter: &TaskFilter, postgres: bool) -> Condition {
    let times = TIMES.map(|time| time_condition(filter, time, &Expr::col((Entity, column(time)))));
    times.into_iter().fold(condition_without_times(filter, postgres), Condition::add)
}

/// Condition for a filter, except for its times.
pub(super) fn condition_without_times(filter: &TaskFilter, postgres: bool) -> Condition {
    // Without a parameter, so that the partial indexes apply.
    let mut all = Condition::all().add(match filter.deleted_since {
        None => Column::DeletedAt.is_null(),
        Some(since) => Column::DeletedAt.gt(since.0),
    });
    if !filter.statuses.is_empty() {
        all = all.add(Column::Status.is_in(filter.statuses.iter().map(|status| mapping::status_str(*status))));
    }
    if !filter.priorities.is_empty() {
        all = all.add(Column::Priority.is_in(filter.priorities.iter().map(|value| mapping::priority_number(*value))));
    }
    for label in &filter.labels {
        all = all.add(text_search::contains((Entity, Column::Labels), &format!(",{},", &**label), postgres));
    }
    all.add_option(filter.assignee.map(|assignee| match assignee {
        Assignee::Unassigned => Column::AssigneeId.is_null(),
        Assignee::User(id) => Column::AssigneeId.eq(id.0),
    }))
    .add(text_search::contains_all((Entity, Column::SearchText), &filter.terms, postgres))
}

/// Condition on one of the times, with an operand for its column.
pub(super) fn time_condition(filter: &TaskFilter, time: TaskSort, operand: &Expr) -> Condition {
    let (before, after) = match time {
        TaskSort::DueAt => (filter.due_before, filter.due_after),
        TaskSort::CreatedAt => (None, filter.created_after),
        TaskSort::UpdatedAt => (None, filter.updated_after),
        TaskSort::Priority | TaskSort::Title | TaskSort::Position => (None, None),
    };
    let is_before = before.map(|time| operand.clone().lt(time.0));
    let is_after = after.map(|time| operand.clone().gt(time.0));
    // A task without a due time is due neither before nor after any time, but its due key is the greatest value. The index
    // is over the due key.
    let is_due = after.filter(|_| time == TaskSort::DueAt).map(|time| Column::DueAt.gt(time.0));
    Condition::all().add_option(is_due).add_option(is_before).add_option(is_after)
}

/// Returns the column of a sort field.
pub(super) const fn column(field: TaskSort) -> Column {
    match field {
        TaskSort::CreatedAt => Column::CreatedAt,
        TaskSort::UpdatedAt => Column::UpdatedAt,
        TaskSort::DueAt => Column::DueKey,
        TaskSort::Priority => Column::Priority,
        TaskSort::Title => Column::TitleKey,
        TaskSort::Position => Column::Position,
    }
}

/// Returns the value of a key, as the type of its column.
pub(super) fn bound_value(key: &SortKey, sort: Sort<TaskSort>) -> Value {
    match (&key.value, sort.field) {
        (SortValue::Number(number), TaskSort::Priority) => i16::try_from(*number).unwrap_or(i16::MAX).into(),
        (SortValue::Number(number), _) => (*number).into(),
        (SortValue::Text(text), _) => text.as_str().into(),
    }
}

/// Sort value and id of a task, and those of a key, to compare them as rows: such a comparison can seek.
fn compared(key: &SortKey, sort: Sort<TaskSort>) -> (Expr, Expr) {
    let row = Expr::tuple([Expr::col((Entity, column(sort.field))), Expr::col((Entity, Column::Id))]);
    (row, Expr::tuple([Expr::val(bound_value(key, sort)), Expr::val(key.id.0)]))
}

/// Condition that a task comes after a key.
pub(super) fn after_key(key: &SortKey, sort: Sort<TaskSort>) -> Expr {
    let (row, end) = compared(key, sort);
    match sort.direction {
        Direction::Asc => row.gt(end),
        Direction::Desc => row.lt(end),
    }
}

/// Condition that a task comes before a key.
pub(super) fn before_key(key: &SortKey, sort: Sort<TaskSort>) -> Expr {
    let (row, end) = compared(key, sort);
    match sort.direction {
        Direction::Asc => row.lt(end),
        Direction::Desc => row.gt(end),
    }
}

/// Query for a window, which sorts all matching tasks.
pub(super) fn window_stmt(matching: Select<Entity>, window: TaskWindow<'_>) -> Select<Entity> {
    sorted_stmt(matching, window).offset(window.offset).limit(window.limit)
}

/// Query for all matching tasks in the order of a window, from its key on.
pub(super) fn sorted_stmt(matching: Select<Entity>, window: TaskWindow<'_>) -> Select<Entity> {
    let TaskWindow { sort, after, .. } = window;
    let matching =
        matching.select_only().columns(LISTED).apply_if(after, |query, after| query.filter(after_key(after, sort)));
    order_by(matching, column(sort.field), Column::Id, sort.direction)
}

/// Returns the key of a task in a sort order.
pub(super) fn sort_key(row: &ListedRow, field: TaskSort) -> SortKey {
    let ListedRow { task, title_key, due_key } = row;
    let value = match field {
        TaskSort::CreatedAt => SortValue::Number(task.created_at),
        TaskSort::UpdatedAt => SortValue::Number(task.updated_at),
        TaskSort::DueAt => SortValue::Number(*due_key),
        TaskSort::Priority => SortValue::Number(task.priority.into()),
        TaskSort::Title => SortValue::Text(title_key.clone()),
        TaskSort::Position => SortValue::Text(task.position.clone()),
    };
    SortKey { value, id: TaskId(task.id) }
}
