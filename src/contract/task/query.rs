//! Queries that list tasks: sort fields, filters and pagination.

use std::fmt;

use poem_openapi::Object;
use poem_openapi::registry::MetaSchema;
use poem_openapi::types::{ParseFromJSON, ToJSON};

use super::{Task, TaskPriority, TaskStatus};
use crate::contract::macros::{json_string, json_type};
use crate::contract::page::{CursorMeta, CursorParams, Direction, Paging, SortField as _, sort_fields};
use crate::contract::strings::{ASSIGNEE_PATTERN, Label, SearchText};
use crate::contract::{ProjectId, Timestamp, UserId};

sort_fields! {
    /// Sort field of tasks.
    TaskSort {
        /// Time of creation.
        CreatedAt: Desc,
        /// Time of the last change.
        UpdatedAt: Desc,
        /// Due date; tasks without one come last when ascending.
        DueAt: Asc,
        /// Priority, from `none` to `urgent`.
        Priority: Asc,
        /// Title, case-insensitive.
        Title: Asc,
        /// Position within the project.
        Position: Asc,
    }
}

/// Filter by assignee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssigneeFilter {
    /// Assigned to the caller.
    Me,
    /// Unassigned.
    Unassigned,
    /// Assigned to this user.
    User(UserId),
}

impl AssigneeFilter {
    /// Parses `me`, `none` or a user id.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "me" => Some(Self::Me),
            "none" => Some(Self::Unassigned),
            id => UserId::parse(id).map(Self::User),
        }
    }
}

impl fmt::Display for AssigneeFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Me => f.write_str("me"),
            Self::Unassigned => f.write_str("none"),
            Self::User(id) => id.fmt(f),
        }
    }
}

json_type!(
    AssigneeFilter,
    "string_assignee",
    MetaSchema { pattern: Some(ASSIGNEE_PATTERN.into()), example: Some("me".into()), ..MetaSchema::new("string") }
);
json_string!(AssigneeFilter);

/// Filters of tasks, as query parameters. Tasks must match all of them.
#[derive(Debug, Clone, Object)]
pub struct TaskFilterParams {
    /// Statuses, of which a task must have one.
    #[oai(validator(min_items = 1))]
    pub status: Option<Vec<TaskStatus>>,
    /// Priorities, of which a task must have one.
    #[oai(validator(min_items = 1))]
    pub priority: Option<Vec<TaskPriority>>,
    /// Assignee: a user id, `me` for the caller, or `none` for unassigned tasks.
    /// Responds with 400 if the user is not a member.
    pub assignee_id: Option<AssigneeFilter>,
    /// Labels, all of which a task must have. Case-sensitive.
    #[oai(validator(min_items = 1, max_items = 20))]
    pub label: Option<Vec<Label>>,
    /// Due before this time (exclusive).
    pub due_before: Option<Timestamp>,
    /// Due after this time (exclusive).
    pub due_after: Option<Timestamp>,
    /// Created after this time (exclusive).
    pub created_after: Option<Timestamp>,
    /// Last changed after this time (exclusive).
    pub updated_after: Option<Timestamp>,
    /// Search terms, all of which must occur in the title or the description.
    /// Case-insensitive in every alphabet; terms also match within words.
    pub q: Option<SearchText>,
    /// `true` lists the trash instead.
    /// Tasks that were deleted with their project are not listed; restore the project instead.
    #[oai(default)]
    pub deleted: bool,
}

/// Query parameters for listing the tasks of a project, with one kind of pagination.
#[derive(Debug, Clone, Object)]
pub struct ProjectTaskParams<P: ParseFromJSON + ToJSON> {
    /// Pagination.
    #[oai(flatten)]
    pub paging: P,
    /// Field to sort by.
    #[oai(default = "TaskSort::default_field")]
    pub sort: Option<TaskSort>,
    /// Sort direction. Default: `desc` for `created_at` and `updated_at`, otherwise `asc`.
    pub dir: Option<Direction>,
    /// Filters.
    #[oai(flatten)]
    pub filter: TaskFilterParams,
}

/// Query parameters for listing tasks across projects, with one kind of pagination.
#[derive(Debug, Clone, Object)]
pub struct TaskParams<P: ParseFromJSON + ToJSON> {
    /// Pagination.
    #[oai(flatten)]
    pub paging: P,
    /// Field to sort by.
    #[oai(default = "TaskSort::default_field")]
    pub sort: Option<TaskSort>,
    /// Sort direction. Default: `desc` for `created_at` and `updated_at`, otherwise `asc`.
    pub dir: Option<Direction>,
    /// Filters by project.
    /// Responds with 400 if the project does not exist and 403 if you are not a member.
    pub project_id: Option<ProjectId>,
    /// Filters.
    #[oai(flatten)]
    pub filter: TaskFilterParams,
}

/// Query parameters for listing the tasks of a project by page number.
pub type ProjectTaskQuery = ProjectTaskParams<Paging>;
/// Query parameters for listing tasks across projects by page number.
pub type TaskQuery = TaskParams<Paging>;
/// Query parameters for listing the tasks of a project by cursor.
pub type ProjectTaskCursorQuery = ProjectTaskParams<CursorParams>;
/// Query parameters for listing tasks across projects by cursor.
pub type TaskCursorQuery = TaskParams<CursorParams>;

/// Page of tasks in a list that is paginated by cursor.
#[derive(Debug, Clone, Object, serde::Serialize)]
pub struct TaskCursorPage {
    /// Items of this page.
    pub data: Vec<Task>,
    /// Continuation of the list.
    pub meta: CursorMeta,
}
