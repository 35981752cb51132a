//! Comments on tasks.

use async_trait::async_trait;

use super::error::StoreError;
use crate::contract::page::{Page, Paging, Sort};
use crate::contract::project::Role;
use crate::contract::task::comment::{Comment, CommentSort};
use crate::contract::{CommentId, ProjectId, TaskId, UserId};

/// A comment, with what is needed to authorize access to it.
#[derive(Debug, Clone)]
pub struct CommentWithContext {
    /// The comment.
    pub comment: Comment,
    /// Project of the task.
    pub project_id: ProjectId,
    /// Owner of the project.
    pub project_owner: UserId,
    /// Role of the reader in the project; `None` for a non-member.
    pub role: Option<Role>,
    /// True if the project is archived.
    pub project_archived: bool,
    /// True if the task or its project is soft-deleted.
    pub is_in_trash: bool,
}

/// Comments on tasks, including soft-deleted tasks.
///
/// A writer locks the project of the task first.
#[async_trait]
pub trait CommentRepository: Send + Sync {
    /// Finds a comment by id.
    async fn find(&self, id: CommentId, reader: UserId) -> Result<Option<CommentWithContext>, StoreError>;

    /// Lists the comments on a task.
    async fn list(&self, task: TaskId, sort: Sort<CommentSort>, paging: Paging) -> Result<Page<Comment>, StoreError>;

    /// Counts the comments on a task, up to a limit.
    async fn count(&self, task: TaskId, limit: u64) -> Result<u64, StoreError>;

    /// Returns the bytes of text in the comments on a task.
    async fn stored_bytes(&self, task: TaskId) -> Result<i64, StoreError>;

    /// Adds a comment.
    async fn add(&self, comment: &Comment) -> Result<(), StoreError>;

    /// Updates the mutable fields of a comment.
    async fn update(&self, comment: &Comment) -> Result<(), StoreError>;

    /// Removes a comment permanently.
    async fn remove(&self, id: CommentId) -> Result<(), StoreError>;
}
