//! What people say about a task.

use poem_openapi::types::Example;
use poem_openapi::{Enum, Object};

use crate::contract::page::{Direction, Paging, SortField, list_type, newest_first};
use crate::contract::strings::CommentBody;
use crate::contract::{CommentId, TaskId, Timestamp, UserId};

/// A comment on a task.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct Comment {
    /// The id of the comment.
    pub id: CommentId,
    /// The task that it is about.
    pub task_id: TaskId,
    /// The user who wrote it; null when the account is gone for good.
    pub author_id: Option<UserId>,
    /// What it says.
    pub body: CommentBody,
    /// Counts the changes of this resource, from 1.
    #[oai(validator(minimum(value = "1")))]
    pub version: i64,
    /// When the comment was written.
    pub created_at: Timestamp,
    /// When the comment was last changed.
    pub updated_at: Timestamp,
}

impl Example for Comment {
    fn example() -> Self {
        Self {
            id: CommentId::example(),
            task_id: TaskId::example(),
            author_id: Some(UserId::example()),
            body: CommentBody::example(),
            version: 1,
            created_at: Timestamp::example(),
            updated_at: Timestamp::example(),
        }
    }
}

/// What it takes to comment on a task.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, example)]
pub struct NewComment {
    /// What it says.
    pub body: CommentBody,
}

impl Example for NewComment {
    fn example() -> Self {
        Self { body: CommentBody::example() }
    }
}

/// What changes about a comment: what is absent stays.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, example)]
pub struct UpdateComment {
    /// What it says.
    pub body: Option<CommentBody>,
}

impl Example for UpdateComment {
    fn example() -> Self {
        Self { body: Some(CommentBody::example()) }
    }
}

list_type! {
    /// A page of comments.
    CommentList of Comment
}

/// What comments can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum CommentSort {
    /// By the time the comment was written.
    CreatedAt,
}

impl SortField for CommentSort {
    const DEFAULT: Self = Self::CreatedAt;

    fn default_direction(self) -> Direction {
        match self {
            Self::CreatedAt => Direction::Desc,
        }
    }
}

/// Which comments to list, as query parameters.
#[derive(Debug, Clone, Object)]
pub struct CommentQuery {
    /// Which part of the list.
    #[oai(flatten)]
    pub paging: Paging,
    /// What to sort by.
    #[oai(default = "CommentSort::default_field")]
    pub sort: Option<CommentSort>,
    /// The direction of the sort.
    #[oai(default = "newest_first")]
    pub dir: Option<Direction>,
}
