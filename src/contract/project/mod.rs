//! Projects, and the roles that people have in them.

use poem_openapi::types::{Example, MaybeUndefined};
use poem_openapi::{Enum, Object};

use crate::contract::page::{Direction, Paging, SortField, list_type};
use crate::contract::strings::{Color, ProjectDescription, ProjectName, SearchText};
use crate::contract::{ProjectId, Timestamp, UserId};

pub mod invitation;
pub mod member;

/// What a person may do in a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
#[oai(rename_all = "lowercase")]
pub enum Role {
    /// Everything, also changing and deleting the project itself, and inviting others. Each project has one owner.
    Owner,
    /// Reading, changing tasks, and commenting on them.
    Editor,
    /// Reading.
    Viewer,
}

/// How many tasks a project has; those in the trash do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Object)]
#[oai(example)]
pub struct TaskCounts {
    /// All tasks.
    #[oai(validator(minimum(value = "0")))]
    pub total: i64,
    /// Those whose status is `done`.
    #[oai(validator(minimum(value = "0")))]
    pub done: i64,
}

impl Example for TaskCounts {
    fn example() -> Self {
        Self { total: 12, done: 5 }
    }
}

impl TaskCounts {
    /// The share of tasks that are done, in whole per cent, rounded down; 0 where there is no task.
    #[must_use]
    pub fn completion_percentage(self) -> i64 {
        if self.total == 0 { 0 } else { self.done * 100 / self.total }
    }
}

/// A project: a list of tasks that people share.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct Project {
    /// The id of the project.
    pub id: ProjectId,
    /// The name of the project.
    pub name: ProjectName,
    /// What the project is about.
    pub description: Option<ProjectDescription>,
    /// A colour to show the project in: `#` and six hexadecimal digits.
    pub color: Option<Color>,
    /// Whether the project can only be read.
    pub archived: bool,
    /// The user who owns the project.
    pub owner_id: UserId,
    /// The role of the caller in the project; null inside an event, which has many readers.
    pub role: Option<Role>,
    /// When the project was put into the trash; null unless it is there.
    pub deleted_at: Option<Timestamp>,
    /// How many tasks the project has.
    pub task_counts: TaskCounts,
    /// The share of tasks that are done, in whole per cent. It may lag behind a write by a moment.
    #[oai(validator(minimum(value = "0"), maximum(value = "100")))]
    pub completion_percentage: i64,
    /// Counts the changes of this resource, from 1.
    #[oai(validator(minimum(value = "1")))]
    pub version: i64,
    /// When the project was created.
    pub created_at: Timestamp,
    /// When the project was last changed.
    pub updated_at: Timestamp,
}

impl Example for Project {
    fn example() -> Self {
        let (new, task_counts) = (NewProject::example(), TaskCounts::example());
        Self {
            id: ProjectId::example(),
            name: new.name,
            description: new.description,
            color: new.color,
            archived: new.archived,
            owner_id: UserId::example(),
            role: Some(Role::Owner),
            deleted_at: None,
            task_counts,
            completion_percentage: task_counts.completion_percentage(),
            version: 1,
            created_at: Timestamp::example(),
            updated_at: Timestamp::example(),
        }
    }
}

/// What it takes to create a project.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, example)]
pub struct NewProject {
    /// The name of the project.
    pub name: ProjectName,
    /// What the project is about.
    #[oai(nullable)]
    pub description: Option<ProjectDescription>,
    /// A colour to show the project in: `#` and six hexadecimal digits.
    #[oai(nullable)]
    pub color: Option<Color>,
    /// Whether the project can only be read, from the start.
    #[oai(default)]
    pub archived: bool,
}

impl Example for NewProject {
    fn example() -> Self {
        Self {
            name: ProjectName::example(),
            description: Some(ProjectDescription::example()),
            color: Some(Color::example()),
            archived: false,
        }
    }
}

/// What changes about a project: what is absent stays, `null` clears.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, example)]
pub struct UpdateProject {
    /// The name of the project.
    pub name: Option<ProjectName>,
    /// What the project is about.
    #[oai(nullable)]
    pub description: MaybeUndefined<ProjectDescription>,
    /// A colour to show the project in: `#` and six hexadecimal digits.
    #[oai(nullable)]
    pub color: MaybeUndefined<Color>,
    /// Whether the project can only be read. While it is archived, only changes that come with `false` are accepted.
    pub archived: Option<bool>,
}

impl Example for UpdateProject {
    fn example() -> Self {
        Self {
            name: Some(ProjectName::example()),
            description: MaybeUndefined::Null,
            color: MaybeUndefined::Value(Color::example()),
            archived: Some(false),
        }
    }
}

list_type! {
    /// A page of projects.
    ProjectList of Project
}

/// What projects can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum ProjectSort {
    /// By the time the project was created.
    CreatedAt,
    /// By the time the project was last changed.
    UpdatedAt,
    /// By the name; upper and lower case are the same.
    Name,
}

impl SortField for ProjectSort {
    const DEFAULT: Self = Self::CreatedAt;

    fn default_direction(self) -> Direction {
        match self {
            Self::CreatedAt | Self::UpdatedAt => Direction::Desc,
            Self::Name => Direction::Asc,
        }
    }
}

/// Which projects to list, as query parameters.
#[derive(Debug, Clone, Object)]
pub struct ProjectQuery {
    /// Which part of the list.
    #[oai(flatten)]
    pub paging: Paging,
    /// What to sort by.
    #[oai(default = "ProjectSort::default_field")]
    pub sort: Option<ProjectSort>,
    /// The direction of the sort. Default: `desc` for `created_at` and `updated_at`, otherwise `asc`.
    pub dir: Option<Direction>,
    /// Only archived projects, or only those that are not.
    pub archived: Option<bool>,
    /// Only projects in which the caller has this role.
    pub role: Option<Role>,
    /// Words that must all occur in the name or the description, also inside of other words; upper and lower case are
    /// the same.
    pub q: Option<SearchText>,
    /// `true` lists the trash instead; only the owner can restore.
    #[oai(default)]
    pub deleted: bool,
}
