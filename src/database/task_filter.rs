//! Conditions and order of task lists, in SQL.

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, Condition};

use super::entities::task::{Column, Entity, Model};
use super::{mapping, text_search};
use crate::contract::TaskId;
use crate::contract::page::{Direction, Sort};
use crate::contract::task::query::TaskSort;
use crate::repositories::{Assignee, SortKey, SortValue, TaskFilter};

/// Condition for a filter.
pub(super) fn condition(filter: &TaskFilter, postgres: bool) -> Condition {
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
    all = match filter.assignee {
        None => all,
        Some(Assignee::Unassigned) => all.add(Column::AssigneeId.is_null()),
        Some(Assignee::User(id)) => all.add(Column::AssigneeId.eq(id.0)),
    };
    for label in &filter.labels {
        all = all.add(text_search::contains((Entity, Column::Labels), &format!(",{},", &**label), postgres));
    }
    // A task without a due time is due neither before nor after any time, but its due key is the greatest value. The index
    // is over the due key.
    if let Some(time) = filter.due_before {
        all = all.add(Column::DueKey.lt(time.0));
    }
    if let Some(time) = filter.due_after {
        all = all.add(Column::DueAt.gt(time.0)).add(Column::DueKey.gt(time.0));
    }
    if let Some(time) = filter.created_after {
        all = all.add(Column::CreatedAt.gt(time.0));
    }
    if let Some(time) = filter.updated_after {
        all = all.add(Column::UpdatedAt.gt(time.0));
    }
    all.add(text_search::contains_all((Entity, Column::SearchText), &filter.terms, postgres))
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

/// Condition that a task comes after a key, as a row comparison that can seek.
pub(super) fn after_key(key: &SortKey, sort: Sort<TaskSort>) -> Expr {
    let value = match (&key.value, sort.field) {
        // The column has a narrower type.
        (SortValue::Number(number), TaskSort::Priority) => Expr::val(i16::try_from(*number).unwrap_or(i16::MAX)),
        (SortValue::Number(number), _) => Expr::val(*number),
        (SortValue::Text(text), _) => Expr::val(text.as_str()),
    };
    let row = Expr::tuple([Expr::col((Entity, column(sort.field))), Expr::col((Entity, Column::Id))]);
    let end = Expr::tuple([value, Expr::val(key.id.0)]);
    match sort.direction {
        Direction::Asc => row.gt(end),
        Direction::Desc => row.lt(end),
    }
}

/// Returns the key of a task in a sort order.
pub(super) fn sort_key(row: &Model, field: TaskSort) -> SortKey {
    let value = match field {
        TaskSort::CreatedAt => SortValue::Number(row.created_at),
        TaskSort::UpdatedAt => SortValue::Number(row.updated_at),
        TaskSort::DueAt => SortValue::Number(row.due_key),
        TaskSort::Priority => SortValue::Number(row.priority.into()),
        TaskSort::Title => SortValue::Text(row.title_key.clone()),
        TaskSort::Position => SortValue::Text(row.position.clone()),
    };
    SortKey { value, id: TaskId(row.id) }
}
