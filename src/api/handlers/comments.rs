//! What people say about tasks.

use poem_openapi::OpenApi;
use poem_openapi::param::Path;

use super::extract::{Auth, IdempotentWrite, IfMatch, IfNoneMatch, JsonBody, MergePatch, QueryParams};
use super::respond::{Changing, Done, Failure, Found, Fresh, Made, Matching, Reaching, Tagged};
use super::{Service, Tag};
use crate::contract::page::ListOf as _;
use crate::contract::resource::StaleComment;
use crate::contract::task::comment::{Comment, CommentList, CommentQuery, NewComment, UpdateComment};
use crate::contract::{CommentId, TaskId};
use crate::services::{Answer, WriteContext};

pub(in crate::api) struct CommentsApi;

#[OpenApi(prefix_path = "/v1", tag = "Tag::Comments")]
impl CommentsApi {
    /// List the comments on a task
    ///
    /// Lists what was said about a task. Every member of its project may read it.
    #[oai(path = "/tasks/:task_id/comments", method = "get", operation_id = "listComments")]
    async fn list(
        &self,
        caller: Auth,
        services: Service<'_>,
        task_id: Path<TaskId>,
        query: QueryParams<CommentQuery>,
    ) -> Result<Found<CommentList>, Failure<Reaching>> {
        let page = services.comments.list(caller.0, task_id.0, &query.0).await?;
        Ok(Found(CommentList::new(page, query.0.paging)))
    }

    /// Comment on a task
    ///
    /// Says something about a task. Editors and the owner may, unless the project is archived.
    #[oai(path = "/tasks/:task_id/comments", method = "post", operation_id = "createComment")]
    async fn create(
        &self,
        #[oai(name = "Idempotency-Key")] write: IdempotentWrite,
        services: Service<'_>,
        task_id: Path<TaskId>,
        body: JsonBody<NewComment>,
    ) -> Result<Made<Comment>, Failure<Changing>> {
        Ok(Made(services.comments.create(&write.0, task_id.0, body.0).await?))
    }

    /// Get a comment
    ///
    /// Gives a comment on a task of a project of which the caller is a member.
    #[oai(path = "/comments/:comment_id", method = "get", operation_id = "getComment")]
    async fn get(
        &self,
        caller: Auth,
        services: Service<'_>,
        #[oai(name = "If-None-Match")] known: IfNoneMatch,
        comment_id: Path<CommentId>,
    ) -> Result<Fresh<Comment>, Failure<Reaching>> {
        let comment = services.comments.get(caller.0, comment_id.0).await?;
        Ok(Fresh { answer: Answer::found(&comment), known: known.0 })
    }

    /// Update a comment
    ///
    /// Changes the body of a comment. Only its author can do this, as a member of the project in any role; other
    /// callers, including the owner of the project, get 403. A comment whose author's account was removed cannot be
    /// changed. Archived projects reject changes.
    #[oai(path = "/comments/:comment_id", method = "patch", operation_id = "updateComment")]
    async fn update(
        &self,
        #[oai(name = "Idempotency-Key")] write: IdempotentWrite,
        services: Service<'_>,
        #[oai(name = "If-Match")] expected: IfMatch,
        comment_id: Path<CommentId>,
        body: MergePatch<UpdateComment>,
    ) -> Result<Tagged<Comment>, Failure<Matching<Changing, StaleComment>>> {
        let write = WriteContext { if_match: expected.0, ..write.0 };
        Ok(Tagged(services.comments.update(&write, comment_id.0, body.0).await?))
    }

    /// Delete a comment
    ///
    /// Deletes a comment permanently; comments have no trash. Members can delete their own comments, and the owner of
    /// the project can delete any comment. Archived projects reject the request.
    #[oai(path = "/comments/:comment_id", method = "delete", operation_id = "deleteComment")]
    async fn delete(
        &self,
        #[oai(name = "Idempotency-Key")] write: IdempotentWrite,
        services: Service<'_>,
        #[oai(name = "If-Match")] expected: IfMatch,
        comment_id: Path<CommentId>,
    ) -> Result<Done, Failure<Matching<Changing, StaleComment>>> {
        let write = WriteContext { if_match: expected.0, ..write.0 };
        services.comments.delete(&write, comment_id.0).await?;
        Ok(Done)
    }
}
