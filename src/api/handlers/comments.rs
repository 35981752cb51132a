//! Comments on tasks.

use std::sync::Arc;

use poem_openapi::OpenApi;

use super::tag::Tag;
use crate::api::errors::Reply;
use crate::api::extract::{Auth, AuthWrite, JsonBody, PathParam, QueryParams};
use crate::api::respond::{Created, NoContent, OkJson};
use crate::contract::page::ListOf as _;
use crate::contract::task::comment::{Comment, CommentList, CommentQuery, CreateComment, UpdateComment};
use crate::contract::{CommentId, TaskId};
use crate::services::Services;

pub(in crate::api) struct CommentsApi {
    pub(super) services: Arc<Services>,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Comments")]
impl CommentsApi {
    /// List the comments on a task
    ///
    /// Returns the comments on a task. Members of its project only.
    #[oai(path = "/tasks/:task_id/comments", method = "get", operation_id = "listComments")]
    async fn list(
        &self,
        auth: Auth,
        task_id: PathParam<TaskId>,
        query: QueryParams<CommentQuery>,
    ) -> Reply<OkJson<CommentList>> {
        let page = self.services.comments.list(auth.0, task_id.0, &query.0).await?;
        Ok(OkJson::new(&CommentList::new(page, query.0.paging)))
    }

    /// Create a comment
    ///
    /// Adds a comment to a task. Archived projects reject the request.
    #[oai(path = "/tasks/:task_id/comments", method = "post", operation_id = "createComment")]
    async fn create(
        &self,
        write: AuthWrite,
        task_id: PathParam<TaskId>,
        body: JsonBody<CreateComment>,
    ) -> Reply<Created<Comment>> {
        Ok(self.services.comments.create(&write.0, task_id.0, body.0).await?.into())
    }

    /// Get a comment
    ///
    /// Returns a comment. Members of its project only.
    #[oai(path = "/comments/:comment_id", method = "get", operation_id = "getComment")]
    async fn get(&self, auth: Auth, comment_id: PathParam<CommentId>) -> Reply<OkJson<Comment>> {
        Ok(OkJson::with_etag(&self.services.comments.get(auth.0, comment_id.0).await?))
    }

    /// Update a comment
    ///
    /// Changes the body of a comment. Only its author can do this, as a member of the project in any role; other
    /// callers, including the owner of the project, get 403. A comment whose author's account was removed cannot be
    /// changed. Archived projects reject the request.
    #[oai(path = "/comments/:comment_id", method = "patch", operation_id = "updateComment")]
    async fn update(
        &self,
        write: AuthWrite,
        comment_id: PathParam<CommentId>,
        body: JsonBody<UpdateComment>,
    ) -> Reply<OkJson<Comment>> {
        Ok(self.services.comments.update(&write.0, comment_id.0, body.0).await?.into())
    }

    /// Delete a comment
    ///
    /// Deletes a comment permanently; comments have no trash. Members can delete their own comments, and the owner of
    /// the project can delete any comment. Archived projects reject the request.
    #[oai(path = "/comments/:comment_id", method = "delete", operation_id = "deleteComment")]
    async fn delete(&self, write: AuthWrite, comment_id: PathParam<CommentId>) -> Reply<NoContent> {
        Ok(self.services.comments.delete(&write.0, comment_id.0).await?.into())
    }
}
