//! Comments on tasks.

use poem_openapi::Object;

use crate::contract::macros::example;
use crate::contract::page::collection;
use crate::contract::strings::CommentBody;
use crate::contract::{CommentId, TaskId, Timestamp, UserId, world};

/// Comment on a task.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct Comment {
    /// Comment id.
    pub id: CommentId,
    /// Id of the task that the comment belongs to.
    pub task_id: TaskId,
    /// Author; null if the account was permanently deleted.
    pub author_id: Option<UserId>,
    /// Text of the comment.
    pub body: CommentBody,
    /// Version number, starting at 1. Every change increments it.
    #[oai(validator(minimum(value = "1")))]
    pub version: i64,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

example!(Comment {
    id,
    task_id,
    author_id: Some(UserId::example()),
    body,
    version: 1,
    created_at: world::january(14, 12, 15),
    updated_at: world::january(14, 12, 15)
});

/// Parameters for creating a comment.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, example)]
pub struct CreateComment {
    /// Text of the comment.
    pub body: CommentBody,
}

example!(CreateComment { body });

/// Changes to a comment. Absent fields keep their value.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, example)]
pub struct UpdateComment {
    /// Text of the comment.
    pub body: Option<CommentBody>,
}

example!(UpdateComment { body: Some(CommentBody::new_unchecked("The matte ones are back in stock. I ordered them.")) });

collection! {
    /// Page of comments.
    CommentList of Comment;

    /// Sort field of comments.
    CommentSort {
        /// Time of creation.
        CreatedAt: Desc,
    }

    /// Query parameters for listing comments.
    CommentQuery {
        /// Sort direction.
        #[oai(default = "crate::contract::page::newest_first")]
        dir,
    }
}
