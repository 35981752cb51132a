//! Tasks, and the ways to list them.

use std::borrow::Cow;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{Example, MaybeUndefined, ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use poem_openapi::{Enum, Object};
use serde_json::Value;

use super::list::{Direction, Paging, SortField};
use super::text::{ASSIGNEE_PATTERN, Label, OrderKey, SearchText, TaskDescription, TaskTitle};
use super::{ProjectId, TaskId, Timestamp, UserId};

/// How far a task has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
#[oai(rename_all = "snake_case")]
pub enum TaskStatus {
    /// Not begun.
    Todo,
    /// Begun.
    InProgress,
    /// Finished.
    Done,
}

/// How much a task matters, from the least to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Enum)]
#[oai(rename_all = "lowercase")]
pub enum TaskPriority {
    /// Nobody has said.
    None,
    /// It can wait.
    Low,
    /// As usual.
    Medium,
    /// Before others.
    High,
    /// Now.
    Urgent,
}

/// A task in a project.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct Task {
    /// The id of the task.
    pub id: TaskId,
    /// The project that the task is in.
    pub project_id: ProjectId,
    /// What is to be done.
    pub title: TaskTitle,
    /// The details.
    pub description: Option<TaskDescription>,
    /// How far the task has come.
    pub status: TaskStatus,
    /// How much the task matters.
    pub priority: TaskPriority,
    /// When the task should be done.
    pub due_at: Option<Timestamp>,
    /// The member of the project who is to do it.
    pub assignee_id: Option<UserId>,
    /// Words to find the task by.
    #[oai(validator(max_items = 20))]
    pub labels: Vec<Label>,
    /// Where the task stands in its project: an opaque text, to be compared byte by byte.
    pub position: OrderKey,
    /// The user who created the task.
    pub created_by: UserId,
    /// When the task was done; null unless its status is `done`.
    pub completed_at: Option<Timestamp>,
    /// When the task was put into the trash; null unless it is there.
    pub deleted_at: Option<Timestamp>,
    /// Counts the changes of this resource, from 1.
    #[oai(validator(minimum(value = "1")))]
    pub version: i64,
    /// When the task was created.
    pub created_at: Timestamp,
    /// When the task was last changed.
    pub updated_at: Timestamp,
}

impl Example for Task {
    fn example() -> Self {
        let new = NewTask::example();
        Self {
            id: TaskId::example(),
            project_id: ProjectId::example(),
            title: new.title,
            description: new.description,
            status: new.status,
            priority: new.priority,
            due_at: new.due_at,
            assignee_id: new.assignee_id,
            labels: new.labels,
            position: OrderKey::example(),
            created_by: UserId::example(),
            completed_at: None,
            deleted_at: None,
            version: 1,
            created_at: Timestamp::example(),
            updated_at: Timestamp::example(),
        }
    }
}

/// What it takes to create a task.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, example)]
pub struct NewTask {
    /// What is to be done.
    pub title: TaskTitle,
    /// The details.
    #[oai(nullable)]
    pub description: Option<TaskDescription>,
    /// How far the task has come.
    #[oai(default = "default_status")]
    pub status: TaskStatus,
    /// How much the task matters.
    #[oai(default = "default_priority")]
    pub priority: TaskPriority,
    /// When the task should be done. Any offset is taken; the answer is in UTC.
    #[oai(nullable)]
    pub due_at: Option<Timestamp>,
    /// The member of the project who is to do it.
    #[oai(nullable)]
    pub assignee_id: Option<UserId>,
    /// Words to find the task by, each only once, without commas.
    #[oai(default, validator(max_items = 20, unique_items))]
    pub labels: Vec<Label>,
}

impl Example for NewTask {
    fn example() -> Self {
        Self {
            title: TaskTitle::example(),
            description: Some(TaskDescription::example()),
            status: TaskStatus::Todo,
            priority: TaskPriority::High,
            due_at: Some(Timestamp::example()),
            assignee_id: None,
            labels: vec![Label::example()],
        }
    }
}

const fn default_status() -> TaskStatus {
    TaskStatus::Todo
}

const fn default_priority() -> TaskPriority {
    TaskPriority::None
}

/// What changes about a task: what is absent stays, `null` clears.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, example)]
pub struct UpdateTask {
    /// What is to be done.
    pub title: Option<TaskTitle>,
    /// The details.
    #[oai(nullable)]
    pub description: MaybeUndefined<TaskDescription>,
    /// How far the task has come.
    pub status: Option<TaskStatus>,
    /// How much the task matters.
    pub priority: Option<TaskPriority>,
    /// When the task should be done. Any offset is taken; the answer is in UTC.
    #[oai(nullable)]
    pub due_at: MaybeUndefined<Timestamp>,
    /// The member of the project who is to do it.
    #[oai(nullable)]
    pub assignee_id: MaybeUndefined<UserId>,
    /// Words to find the task by, each only once. They replace all that were there.
    #[oai(validator(max_items = 20, unique_items))]
    pub labels: Option<Vec<Label>>,
}

impl Example for UpdateTask {
    fn example() -> Self {
        Self {
            title: Some(TaskTitle::example()),
            description: MaybeUndefined::Value(TaskDescription::example()),
            status: Some(TaskStatus::InProgress),
            priority: Some(TaskPriority::Urgent),
            due_at: MaybeUndefined::Null,
            assignee_id: MaybeUndefined::Null,
            labels: Some(vec![Label::example()]),
        }
    }
}

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

    fn usual_direction(self) -> Direction {
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
pub struct TaskConditions {
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
    /// What to sort by. Default: `created_at`.
    pub sort: Option<TaskSort>,
    /// The direction of the sort. Default: `desc` for `created_at` and `updated_at`, otherwise `asc`.
    pub dir: Option<Direction>,
    /// Which tasks.
    #[oai(flatten)]
    pub conditions: TaskConditions,
}

/// Which of all visible tasks to list, as query parameters.
#[derive(Debug, Clone, Object)]
pub struct TaskQuery {
    /// Which part of the list.
    #[oai(flatten)]
    pub paging: Paging,
    /// What to sort by. Default: `created_at`.
    pub sort: Option<TaskSort>,
    /// The direction of the sort. Default: `desc` for `created_at` and `updated_at`, otherwise `asc`.
    pub dir: Option<Direction>,
    /// Only tasks of this project. One that does not exist is a 400, one of which you are no member a 403.
    pub project_id: Option<ProjectId>,
    /// Which tasks.
    #[oai(flatten)]
    pub conditions: TaskConditions,
}
