//! The ways to list tasks: sorts and filters, as query parameters.

use std::borrow::Cow;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use poem_openapi::{Enum, Object};
use serde_json::Value;

use super::{Task, TaskPriority, TaskStatus};
use crate::contract::page::{CursorMeta, CursorParams, Direction, Paging, SortField};
use crate::contract::strings::{ASSIGNEE_PATTERN, Label, SearchText};
use crate::contract::{ProjectId, Timestamp, UserId};

/// What tasks can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum TaskSort {
    /// By the time the task was created.
    CreatedAt,
    /// By the time the task was last changed.
    UpdatedAt,
    /// By the time it should be done; tasks without one are last ascending and first descending.
    DueAt,
    /// By how much it matters, from `none` to `urgent`.
    Priority,
    /// By the title; upper and lower case are the same.
    Title,
    /// By the place in the project.
    Position,
}

impl SortField for TaskSort {
    const DEFAULT: Self = Self::CreatedAt;

    fn default_direction(self) -> Direction {
        match self {
            Self::CreatedAt | Self::UpdatedAt => Direction::Desc,
            Self::DueAt | Self::Priority | Self::Title | Self::Position => Direction::Asc,
        }
    }
}

/// Whose tasks: a user's, the caller's own, or those that nobody has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssigneeFilter {
    /// Those of the caller.
    Me,
    /// Those without an assignee.
    Nobody,
    /// Those of this user.
    User(UserId),
}

impl Type for AssigneeFilter {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "string_assignee".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            pattern: Some(ASSIGNEE_PATTERN.into()),
            example: Some("me".into()),
            ..MetaSchema::new("string")
        }))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ParseFromJSON for AssigneeFilter {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value.as_ref().and_then(Value::as_str) {
            Some("me") => Ok(Self::Me),
            Some("none") => Ok(Self::Nobody),
            Some(text) => UserId::parse(text).map(Self::User).ok_or_else(ParseError::expected_input),
            None => Err(ParseError::expected_input()),
        }
    }
}

impl ToJSON for AssigneeFilter {
    fn to_json(&self) -> Option<Value> {
        Some(match self {
            Self::Me => "me".into(),
            Self::Nobody => "none".into(),
            Self::User(id) => id.to_string().into(),
        })
    }
}

/// Which tasks, as query parameters; all conditions must hold.
#[derive(Debug, Clone, Object)]
pub struct TaskFilterParams {
    /// Only tasks with one of these statuses, separated by commas.
    #[oai(validator(min_items = 1))]
    pub status: Option<Vec<TaskStatus>>,
    /// Only tasks with one of these priorities, separated by commas.
    #[oai(validator(min_items = 1))]
    pub priority: Option<Vec<TaskPriority>>,
    /// Only tasks of this user (an id), of the caller (`me`) or of nobody (`none`). A user who is no member is a 400.
    pub assignee_id: Option<AssigneeFilter>,
    /// Only tasks that have all of these labels, separated by commas; upper and lower case are different.
    #[oai(validator(min_items = 1, max_items = 20))]
    pub label: Option<Vec<Label>>,
    /// Only tasks that are due before this time, not at it.
    pub due_before: Option<Timestamp>,
    /// Only tasks that are due after this time, not at it.
    pub due_after: Option<Timestamp>,
    /// Only tasks that were created after this time, not at it.
    pub created_after: Option<Timestamp>,
    /// Only tasks that were changed after this time, not at it.
    pub updated_after: Option<Timestamp>,
    /// Words that must all occur in the title or the description, also inside of other words; upper and lower case are
    /// the same.
    pub q: Option<SearchText>,
    /// `true` lists the trash instead. Tasks that were deleted with their project are not in it: restore the project.
    #[oai(default)]
    pub deleted: bool,
}

/// Which tasks of a project to list, as query parameters.
#[derive(Debug, Clone, Object)]
pub struct ProjectTaskQuery {
    /// Which part of the list.
    #[oai(flatten)]
    pub paging: Paging,
    /// What to sort by.
    #[oai(default = "TaskSort::default_field")]
    pub sort: Option<TaskSort>,
    /// The direction of the sort. Default: `desc` for `created_at` and `updated_at`, otherwise `asc`.
    pub dir: Option<Direction>,
    /// Which tasks.
    #[oai(flatten)]
    pub conditions: TaskFilterParams,
}

/// Which of all visible tasks to list, as query parameters.
#[derive(Debug, Clone, Object)]
pub struct TaskQuery {
    /// Which part of the list.
    #[oai(flatten)]
    pub paging: Paging,
    /// What to sort by.
    #[oai(default = "TaskSort::default_field")]
    pub sort: Option<TaskSort>,
    /// The direction of the sort. Default: `desc` for `created_at` and `updated_at`, otherwise `asc`.
    pub dir: Option<Direction>,
    /// Only tasks of this project. One that does not exist is a 400, one of which you are no member a 403.
    pub project_id: Option<ProjectId>,
    /// Which tasks.
    #[oai(flatten)]
    pub conditions: TaskFilterParams,
}

/// Which tasks of a project to walk, as query parameters.
#[derive(Debug, Clone, Object)]
pub struct ProjectTaskCursorQuery {
    /// Which part of the list.
    #[oai(flatten)]
    pub paging: CursorParams,
    /// What to sort by.
    #[oai(default = "TaskSort::default_field")]
    pub sort: Option<TaskSort>,
    /// The direction of the sort. Default: `desc` for `created_at` and `updated_at`, otherwise `asc`.
    pub dir: Option<Direction>,
    /// Which tasks.
    #[oai(flatten)]
    pub conditions: TaskFilterParams,
}

/// Which of all visible tasks to walk, as query parameters.
#[derive(Debug, Clone, Object)]
pub struct TaskCursorQuery {
    /// Which part of the list.
    #[oai(flatten)]
    pub paging: CursorParams,
    /// What to sort by.
    #[oai(default = "TaskSort::default_field")]
    pub sort: Option<TaskSort>,
    /// The direction of the sort. Default: `desc` for `created_at` and `updated_at`, otherwise `asc`.
    pub dir: Option<Direction>,
    /// Only tasks of this project. One that does not exist is a 400, one of which you are no member a 403.
    pub project_id: Option<ProjectId>,
    /// Which tasks.
    #[oai(flatten)]
    pub conditions: TaskFilterParams,
}

/// A page of tasks, and where the list goes on.
#[derive(Debug, Clone, Object)]
pub struct TaskCursorPage {
    /// The items of this page.
    pub data: Vec<Task>,
    /// Where the list goes on.
    pub meta: CursorMeta,
}
