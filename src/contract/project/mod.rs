//! Projects, roles, members and invitations.

use poem_openapi::types::{Example, MaybeUndefined};
use poem_openapi::{Enum, Object};

use crate::contract::macros::example;
use crate::contract::page::collection;
use crate::contract::strings::{Color, ProjectDescription, ProjectName, SearchText};
use crate::contract::{ProjectId, Timestamp, UserId, world};

pub mod invitation;
pub mod member;

/// Role of a member in a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
#[oai(rename_all = "lowercase")]
pub enum Role {
    /// Full access, including managing the project and its members. One per project.
    Owner,
    /// Read access, plus creating and changing tasks and comments.
    Editor,
    /// Read access.
    Viewer,
}

/// Number of tasks in a project, excluding the trash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Object)]
#[oai(example)]
pub struct TaskCounts {
    /// Number of tasks.
    #[oai(validator(minimum(value = "0")))]
    pub total: i64,
    /// Number of tasks whose status is `done`.
    #[oai(validator(minimum(value = "0")))]
    pub done: i64,
}

example!(TaskCounts { total: 0, done: 0 });

impl TaskCounts {
    /// Returns the percentage of completed tasks, rounded down; 0 without tasks.
    #[must_use]
    pub fn completion_percentage(self) -> i64 {
        if self.total == 0 { 0 } else { self.done * 100 / self.total }
    }
}

/// Project: a list of tasks shared by its members.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct Project {
    /// Project id.
    pub id: ProjectId,
    /// Name of the project.
    pub name: ProjectName,
    /// Description of the project.
    pub description: Option<ProjectDescription>,
    /// Display color: `#` followed by six hexadecimal digits.
    pub color: Option<Color>,
    /// True if the project is archived and therefore read-only.
    pub archived: bool,
    /// User who owns the project.
    pub owner_id: UserId,
    /// Role of the caller in the project; null in events.
    pub role: Option<Role>,
    /// Time of deletion; null unless the project is in the trash.
    pub deleted_at: Option<Timestamp>,
    /// Number of tasks, in total and completed.
    pub task_counts: TaskCounts,
    /// Percentage of completed tasks, rounded down. May lag slightly behind changes.
    #[oai(validator(minimum(value = "0"), maximum(value = "100")))]
    pub completion_percentage: i64,
    /// Version number, starting at 1. Every change increments it.
    #[oai(validator(minimum(value = "1")))]
    pub version: i64,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

impl Example for Project {
    fn example() -> Self {
        let (new, task_counts) = (CreateProject::example(), TaskCounts::example());
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
            created_at: world::january(12, 9, 0),
            updated_at: world::january(12, 9, 0),
        }
    }
}

/// Parameters for creating a project.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, example)]
pub struct CreateProject {
    /// Name of the project.
    pub name: ProjectName,
    /// Description of the project.
    #[oai(nullable)]
    pub description: Option<ProjectDescription>,
    /// Display color: `#` followed by six hexadecimal digits.
    #[oai(nullable)]
    pub color: Option<Color>,
    /// Creates the project as archived, which makes it read-only.
    #[oai(default)]
    pub archived: bool,
}

example!(CreateProject {
    name,
    description: Some(ProjectDescription::example()),
    color: Some(Color::example()),
    archived: false
});

/// Changes to a project. Absent fields keep their value; `null` clears a field.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, example)]
pub struct UpdateProject {
    /// Name of the project.
    pub name: Option<ProjectName>,
    /// Description of the project.
    #[oai(nullable)]
    pub description: MaybeUndefined<ProjectDescription>,
    /// Display color: `#` followed by six hexadecimal digits.
    #[oai(nullable)]
    pub color: MaybeUndefined<Color>,
    /// Archives or unarchives the project. An archived project rejects every update without `archived: false`.
    pub archived: Option<bool>,
}

example!(UpdateProject {
    name: None,
    description: MaybeUndefined::Null,
    color: MaybeUndefined::Value(Color::new_unchecked("#f59e0b")),
    archived: None
});

collection! {
    /// Page of projects.
    ProjectList of Project;

    /// Sort field of projects.
    ProjectSort {
        /// Time of creation.
        CreatedAt: Desc,
        /// Time of the last change.
        UpdatedAt: Desc,
        /// Name, case-insensitive.
        Name: Asc,
    }

    /// Query parameters for listing projects.
    ProjectQuery {
        /// Sort direction. Default: `desc` for `created_at` and `updated_at`, otherwise `asc`.
        dir,
        /// Filters by whether the project is archived.
        archived: Option<bool>,
        /// Filters by the role of the caller.
        role: Option<Role>,
        /// Search terms, all of which must occur in the name or the description.
        /// Case-insensitive; terms also match within words.
        q: Option<SearchText>,
        /// `true` lists the trash instead. Only the owner can restore a project.
        #[oai(default)]
        deleted: bool,
    }
}
