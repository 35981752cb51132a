//! Comments on tasks.

use std::sync::Arc;

use super::MAX_LOCK_RETRIES;
use crate::contract::event::EventType;
use crate::contract::page::{Page, Sort};
use crate::contract::task::comment::{Comment, CommentQuery, CreateComment, UpdateComment};
use crate::contract::{CommentId, ProjectId, TaskId};
use crate::repositories::{CommentWithContext, CounterDelta, ResourceRef, StoreError, comment_bytes};
use crate::services::idempotency::{KeyState, fresh};
use crate::services::permissions::{Action, deletion_action, require, require_author, require_for_change};
use crate::services::{Caller, Error, ReplayAccess, ServiceContext, UnitOfWork, WriteContext, WriteOutcome};

/// Comments on tasks.
#[derive(Clone)]
pub struct Comments(pub(crate) Arc<ServiceContext>);

impl Comments {
    /// Lists the comments of a task.
    pub async fn list(&self, caller: Caller, task: TaskId, query: &CommentQuery) -> Result<Page<Comment>, Error> {
        let found = super::ensure_not_deleted(self.0.store.read().tasks().find(task, caller.user).await?)?;
        require(found.role, Action::Read)?;
        let repositories = self.0.read_unindexed(caller.user).await?;
        Ok(repositories.comments().list(task, Sort::new(query.sort, query.dir), query.paging).await?)
    }

    /// Returns a comment.
    pub async fn get(&self, caller: Caller, id: CommentId) -> Result<Comment, Error> {
        let found = ensure_not_deleted(self.0.store.read().comments().find(id, caller.user).await?)?;
        require(found.role, Action::Read)?;
        Ok(found.comment)
    }

    /// Creates a comment on a task.
    pub async fn create(
        &self,
        write: &WriteContext,
        task: TaskId,
        new: CreateComment,
    ) -> Result<WriteOutcome<Comment>, Error> {
        let (unit, found) = fresh!(super::lock(&self.0, write, task).await?);
        let found = super::ensure_not_deleted(found)?;
        require_for_change(found.role, Action::Comment, found.project_archived)?;
        let now = self.0.clock.now();
        let comment = Comment {
            id: CommentId::generate(),
            task_id: task,
            author_id: Some(write.caller.user),
            body: new.body,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        let quotas = &self.0.policy.quotas;
        quotas.require_comment(&*unit, task).await?;
        quotas.require_text(&*unit, found.project_owner, comment_bytes(&comment)).await?;
        unit.comments().add(&comment).await?;
        let project = found.task.project_id;
        adjust_bytes(&unit, project, comment_bytes(&comment)).await?;
        let event = write.event_context(now).created(EventType::CommentCreated, project, &comment);
        unit.publish_and_commit(
            WriteOutcome::current(&comment).created(ResourceRef::Comment(comment.id)),
            ReplayAccess::Task(task, project, Action::Comment),
            &[event],
        )
        .await
    }

    /// Changes the body of a comment. Author only.
    pub async fn update(
        &self,
        write: &WriteContext,
        id: CommentId,
        patch: UpdateComment,
    ) -> Result<WriteOutcome<Comment>, Error> {
        let (unit, found) = fresh!(self.lock(write, id).await?);
        let action = Action::ChangeOwnComment;
        require(found.role, action)?;
        require_author(&found.comment, write.caller.user)?;
        let body = patch.body.unwrap_or_else(|| found.comment.body.clone());
        let is_changed = body != found.comment.body;
        require_for_change(found.role, action, found.project_archived && is_changed)?;
        write.check_if_match(&found.comment)?;
        if !is_changed {
            return unit.unchanged(WriteOutcome::current(&found.comment)).await;
        }
        let version = found.comment.version + 1;
        let changed = Comment { body, version, updated_at: self.0.clock.now(), ..found.comment.clone() };
        let bytes = comment_bytes(&changed) - comment_bytes(&found.comment);
        self.0.policy.quotas.require_text(&*unit, found.project_owner, bytes).await?;
        unit.comments().update(&changed).await?;
        adjust_bytes(&unit, found.project_id, bytes).await?;
        let context = write.event_context(changed.updated_at);
        let event = context.updated(EventType::CommentUpdated, found.project_id, &found.comment, &changed);
        unit.publish_and_commit(
            WriteOutcome::current(&changed),
            ReplayAccess::Task(changed.task_id, found.project_id, action),
            &[event],
        )
        .await
    }

    /// Permanently deletes a comment. Author or project owner only.
    pub async fn delete(&self, write: &WriteContext, id: CommentId) -> Result<WriteOutcome<()>, Error> {
        let (unit, found) = fresh!(self.lock(write, id).await?);
        let action = deletion_action(&found.comment, write.caller.user);
        require_for_change(found.role, action, found.project_archived)?;
        write.check_if_match(&found.comment)?;
        unit.comments().remove(id).await?;
        adjust_bytes(&unit, found.project_id, -comment_bytes(&found.comment)).await?;
        let context = write.event_context(self.0.clock.now());
        let event = context.deleted(EventType::CommentDeleted, found.project_id, &found.comment);
        unit.publish_and_commit(
            WriteOutcome::done(),
            ReplayAccess::Task(found.comment.task_id, found.project_id, action),
            &[event],
        )
        .await
    }

    /// Begins a write and locks the current project of the comment's task.
    async fn lock<'a>(
        &'a self,
        write: &'a WriteContext,
        id: CommentId,
    ) -> Result<KeyState<(UnitOfWork<'a>, CommentWithContext)>, Error> {
        let user = write.caller.user;
        for _ in 0..MAX_LOCK_RETRIES {
            let unit = fresh!(self.0.begin(write).await?);
            let seen = ensure_not_deleted(unit.comments().find(id, user).await?)?;
            match unit.tasks().lock(seen.comment.task_id, user).await {
                Err(StoreError::ConcurrentMove) => {}
                locked => {
                    locked?;
                    // Read again, because the comment may have changed during the wait for the lock.
                    let found = ensure_not_deleted(unit.comments().find(id, user).await?)?;
                    return Ok(KeyState::Fresh((unit, found)));
                }
            }
        }
        Err(StoreError::ConcurrentMove.into())
    }
}

/// Adds to the bytes of text of a locked project.
async fn adjust_bytes(unit: &UnitOfWork<'_>, project: ProjectId, bytes: i64) -> Result<(), StoreError> {
    unit.projects().adjust_counters(project, CounterDelta { bytes, ..CounterDelta::default() }, None).await
}

/// Comments on soft-deleted tasks are not found.
fn ensure_not_deleted(found: Option<CommentWithContext>) -> Result<CommentWithContext, Error> {
    found.filter(|found| !found.is_in_trash).ok_or(Error::NotFound("comment"))
}
