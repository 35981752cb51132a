//! Comments on tasks.

use async_trait::async_trait;

use super::StoreError;
use crate::contract::page::{Page, Paging, Sort};
use crate::contract::project::Role;
use crate::contract::task::comment::{Comment, CommentSort};
use crate::contract::{CommentId, ProjectId, TaskId, UserId};

/// A comment, with what is needed to decide who may do what with it.
#[derive(Debug, Clone)]
pub struct CommentWithContext {
    /// The comment.
    pub comment: Comment,
    /// The project of its task.
    pub project_id: ProjectId,
    /// The role of the reader in the project, `None` for a stranger.
    pub role: Option<Role>,
    /// Whether the project can only be read.
    pub project_archived: bool,
    /// Whether the task is in the trash, by itself or with its project.
    pub in_trash: bool,
}

/// Comments on tasks. Whoever writes one locks the project of its task first.
///
/// Comments on tasks in the trash are found too.
#[async_trait]
pub trait CommentRepository: Send + Sync {
    /// The comment with this id.
    async fn find(&self, id: CommentId, reader: UserId) -> Result<Option<CommentWithContext>, StoreError>;

    /// The comments on a task.
    async fn list(&self, task: TaskId, sort: Sort<CommentSort>, paging: Paging) -> Result<Page<Comment>, StoreError>;

    /// Adds a comment.
    async fn add(&self, comment: &Comment) -> Result<(), StoreError>;

    /// Writes what can change about a comment.
    async fn update(&self, comment: &Comment) -> Result<(), StoreError>;

    /// Removes a comment for good.
    async fn remove(&self, id: CommentId) -> Result<(), StoreError>;
}
