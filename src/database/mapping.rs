//! Conversions between rows and contract types.

use std::ops::Deref;

use sea_orm::ActiveValue::Set;

use super::entities::{project, task, user};
use super::task_rows::TaskRow;
use super::text_search::search_text;
use crate::contract::account::user::User;
use crate::contract::project::invitation::{InvitationStatus, InvitedRole};
use crate::contract::project::{Project, Role, TaskCounts};
use crate::contract::strings::{
    Color, Email, Label, OrderKey, PersonName, ProjectDescription, ProjectName, TaskDescription, TaskTitle, TimeZone,
};
use crate::contract::task::{Task, TaskPriority, TaskStatus};
use crate::contract::unicode::fold;
use crate::contract::webhook::delivery::DeliveryStatus;
use crate::contract::{ProjectId, TaskId, Timestamp, UserId};
use crate::repositories::StoreError;

/// Defines the conversions between an enum and its stored strings.
macro_rules! string_enum {
    ($to:ident, $from:ident, $type:ident { $($variant:ident = $string:literal),* $(,)? }) => {
        pub(super) const fn $to(value: $type) -> &'static str {
            match value { $($type::$variant => $string),* }
        }

        pub(super) fn $from(string: &str) -> Result<$type, StoreError> {
            match string {
                $($string => Ok($type::$variant),)*
                _ => Err(corrupt(stringify!($type))),
            }
        }
    };
}

string_enum!(role_str, role, Role { Owner = "owner", Editor = "editor", Viewer = "viewer" });
string_enum!(invited_role_str, invited_role, InvitedRole { Editor = "editor", Viewer = "viewer" });
string_enum!(
    invitation_status_str,
    invitation_status,
    InvitationStatus {
        Pending = "pending",
        Accepted = "accepted",
        Declined = "declined",
        Revoked = "revoked",
        Expired = "expired",
    }
);
string_enum!(
    delivery_status_str,
    delivery_status,
    DeliveryStatus { Pending = "pending", Delivered = "delivered", Failed = "failed" }
);
string_enum!(status_str, status, TaskStatus { Todo = "todo", InProgress = "in_progress", Done = "done" });

/// Returns the stored number of a priority, which is its sort rank.
pub(super) const fn priority_number(value: TaskPriority) -> i16 {
    match value {
        TaskPriority::None => 0,
        TaskPriority::Low => 1,
        TaskPriority::Medium => 2,
        TaskPriority::High => 3,
        TaskPriority::Urgent => 4,
    }
}

fn priority(number: i16) -> Result<TaskPriority, StoreError> {
    use TaskPriority::{High, Low, Medium, None, Urgent};
    [None, Low, Medium, High, Urgent]
        .into_iter()
        .find(|value| priority_number(*value) == number)
        .ok_or_else(|| corrupt("TaskPriority"))
}

/// Error for a stored value that this version cannot decode.
pub(super) fn corrupt(what: &str) -> StoreError {
    StoreError::Internal(format!("cannot decode a stored {what}").into())
}

pub(super) fn user(row: user::Model) -> User {
    User {
        id: UserId(row.id),
        email: Email::new_unchecked(row.email),
        name: PersonName::new_unchecked(row.name),
        timezone: TimeZone::new_unchecked(row.timezone),
        weekly_digest: row.weekly_digest,
        email_verified: row.email_verified,
        version: row.version,
        created_at: Timestamp(row.created_at),
        updated_at: Timestamp(row.updated_at),
    }
}

/// Mutable columns of a user.
pub(super) fn user_update(user: &User) -> user::ActiveModel {
    user::ActiveModel {
        name: Set(user.name.to_string()),
        timezone: Set(user.timezone.to_string()),
        weekly_digest: Set(user.weekly_digest),
        email_verified: Set(user.email_verified),
        version: Set(user.version),
        updated_at: Set(user.updated_at.0),
        ..user::ActiveModel::default()
    }
}

/// Returns the cost in a bcrypt hash, such as 12 in `$2b$12$…`.
pub(super) fn password_cost(hash: &str) -> i64 {
    hash.split('$').nth(2).and_then(|cost| cost.parse().ok()).unwrap_or_default()
}

pub(super) fn new_user(user: &User, password_hash: &str) -> user::ActiveModel {
    user::ActiveModel {
        id: Set(user.id.0),
        email: Set(user.email.to_string()),
        password_hash: Set(password_hash.to_owned()),
        password_cost: Set(password_cost(password_hash)),
        created_at: Set(user.created_at.0),
        deleted_at: Set(None),
        next_digest_at: Set(None),
        disabled_at: Set(None),
        ..user_update(user)
    }
}

pub(super) fn project(row: project::Model, role: Option<Role>) -> Project {
    Project {
        id: ProjectId(row.id),
        name: ProjectName::new_unchecked(row.name),
        description: row.description.map(ProjectDescription::new_unchecked),
        color: row.color.map(Color::new_unchecked),
        archived: row.archived,
        owner_id: UserId(row.owner_id),
        role,
        deleted_at: row.deleted_at.map(Timestamp),
        task_counts: TaskCounts { total: row.task_total, done: row.task_done },
        completion_percentage: row.completion_percentage,
        version: row.version,
        created_at: Timestamp(row.created_at),
        updated_at: Timestamp(row.updated_at),
    }
}

/// Mutable columns of a project, without its task counts.
pub(super) fn project_update(project: &Project) -> project::ActiveModel {
    project::ActiveModel {
        // An explicit deletion or restoration no longer depends on the owner.
        deleted_with_owner: Set(false),
        owner_id: Set(project.owner_id.0),
        name: Set(project.name.to_string()),
        name_key: Set(fold(&project.name)),
        search_text: Set(search_text(&project.name, project.description.as_deref())),
        description: Set(project.description.as_deref().map(str::to_owned)),
        color: Set(project.color.as_deref().map(str::to_owned)),
        archived: Set(project.archived),
        deleted_at: Set(project.deleted_at.map(|time| time.0)),
        version: Set(project.version),
        updated_at: Set(project.updated_at.0),
        ..project::ActiveModel::default()
    }
}

pub(super) fn new_project(project: &Project) -> project::ActiveModel {
    project::ActiveModel {
        id: Set(project.id.0),
        created_at: Set(project.created_at.0),
        task_total: Set(project.task_counts.total),
        task_done: Set(project.task_counts.done),
        last_position: Set(String::new()),
        completion_percentage: Set(project.completion_percentage),
        ..project_update(project)
    }
}

pub(super) fn task(row: impl Into<TaskRow>) -> Result<Task, StoreError> {
    let row = row.into();
    Ok(Task {
        id: TaskId(row.id),
        project_id: ProjectId(row.project_id),
        title: TaskTitle::new_unchecked(row.title),
        description: row.description.map(TaskDescription::new_unchecked),
        status: status(&row.status)?,
        priority: priority(row.priority)?,
        due_at: row.due_at.map(Timestamp),
        assignee_id: row.assignee_id.map(UserId),
        labels: split_list(&row.labels).map(Label::new_unchecked).collect(),
        position: OrderKey::new_unchecked(row.position),
        created_by: row.created_by.map(UserId),
        completed_at: row.completed_at.map(Timestamp),
        deleted_at: row.deleted_at.map(Timestamp),
        version: row.version,
        created_at: Timestamp(row.created_at),
        updated_at: Timestamp(row.updated_at),
    })
}

pub(super) fn task_row(task: &Task) -> task::ActiveModel {
    task::ActiveModel {
        id: Set(task.id.0),
        project_id: Set(task.project_id.0),
        title: Set(task.title.to_string()),
        title_key: Set(fold(&task.title)),
        search_text: Set(search_text(&task.title, task.description.as_deref())),
        description: Set(task.description.as_deref().map(str::to_owned)),
        status: Set(status_str(task.status).to_owned()),
        priority: Set(priority_number(task.priority)),
        due_at: Set(task.due_at.map(|time| time.0)),
        due_key: Set(task.due_at.map_or(i64::MAX, |time| time.0)),
        assignee_id: Set(task.assignee_id.map(|id| id.0)),
        labels: Set(join_list(&task.labels)),
        position: Set(task.position.to_string()),
        created_by: Set(task.created_by.map(|id| id.0)),
        completed_at: Set(task.completed_at.map(|time| time.0)),
        deleted_at: Set(task.deleted_at.map(|time| time.0)),
        version: Set(task.version),
        created_at: Set(task.created_at.0),
        updated_at: Set(task.updated_at.0),
    }
}

/// Joins strings with commas around each, so that `,string,` can be searched for.
pub(super) fn join_list<S: Deref<Target = str>>(strings: &[S]) -> String {
    strings.iter().fold(String::from(","), |text, string| text + string + ",")
}

/// Splits a list that `join_list` has joined.
pub(super) fn split_list(stored: &str) -> impl Iterator<Item = &str> {
    stored.split(',').filter(|string| !string.is_empty())
}

/// Decodes the role of a reader, who may not be a member.
pub(super) fn optional_role(stored: Option<&str>) -> Result<Option<Role>, StoreError> {
    stored.map(role).transpose()
}
