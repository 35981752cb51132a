//! Joins between entities.

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{Condition, EntityTrait, RelationDef};

use super::entities::{comment, member, project, task};
use crate::contract::UserId;

/// Membership of a user in a project.
pub(super) fn membership(user: UserId) -> RelationDef {
    project::Entity::belongs_to(member::Entity)
        .from(project::Column::Id)
        .to(member::Column::ProjectId)
        .on_condition(move |_, member| Condition::all().add(Expr::col((member, member::Column::UserId)).eq(user.0)))
        .into()
}

/// Membership of a user in the project of a task.
pub(super) fn membership_of_task(user: UserId) -> RelationDef {
    task::Entity::belongs_to(member::Entity)
        .from(task::Column::ProjectId)
        .to(member::Column::ProjectId)
        .on_condition(move |_, member| Condition::all().add(Expr::col((member, member::Column::UserId)).eq(user.0)))
        .into()
}

/// Project of a task.
pub(super) fn project_of_task() -> RelationDef {
    task::Entity::belongs_to(project::Entity).from(task::Column::ProjectId).to(project::Column::Id).into()
}

/// Task of a comment.
pub(super) fn task_of_comment() -> RelationDef {
    comment::Entity::belongs_to(task::Entity).from(comment::Column::TaskId).to(task::Column::Id).into()
}
