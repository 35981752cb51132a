//! What people say about tasks.

use std::sync::Arc;

use super::ATTEMPTS;
use crate::contract::comment::{Comment, CommentQuery, NewComment, UpdateComment};
use crate::contract::event::EventType;
use crate::contract::list::{Page, Sort};
use crate::contract::{CommentId, TaskId};
use crate::repositories::{CommentOnTask, StoreError};
use crate::services::error::Error;
use crate::services::permissions::{Action, deletion_of, require, require_author, require_for_change};
use crate::services::unit_of_work::{Access, Unit, Write};
use crate::services::{Answer, Caller, Shared};

/// Comments on tasks.
#[derive(Clone)]
pub struct Comments(Arc<Shared>);

impl Comments {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// The comments on a task.
    pub async fn list(&self, caller: Caller, task: TaskId, query: &CommentQuery) -> Result<Page<Comment>, Error> {
        let found = super::live(self.0.store.read().tasks().find(task, caller.user).await?)?;
        require(found.role, Action::Read)?;
        let repositories = self.0.read_unindexed(caller.user).await?;
        Ok(repositories.comments().list(task, Sort::new(query.sort, query.dir), query.paging).await?)
    }

    /// One comment.
    pub async fn get(&self, caller: Caller, id: CommentId) -> Result<Comment, Error> {
        let found = live(self.0.store.read().comments().find(id, caller.user).await?)?;
        require(found.role, Action::Read)?;
        Ok(found.comment)
    }

    /// Says something about a task.
    pub async fn create(&self, write: &Write, task: TaskId, new: NewComment) -> Result<Answer<Comment>, Error> {
        let (unit, found) = super::lock(&self.0, write, task).await?;
        let found = super::live(found)?;
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
        unit.comments().add(&comment).await?;
        let project = found.task.project_id;
        let event = write.cause(now).made(EventType::CommentCreated, project, &comment);
        unit.commit(Answer::created(&comment), Access::On(task, project, Action::Comment), vec![event]).await
    }

    /// Changes the body of a comment, which only its author may do.
    pub async fn update(&self, write: &Write, id: CommentId, patch: UpdateComment) -> Result<Answer<Comment>, Error> {
        let (unit, found) = self.lock(write, id).await?;
        let action = Action::ChangeOwnComment;
        require(found.role, action)?;
        require_author(&found.comment, write.caller.user)?;
        let body = patch.body.unwrap_or_else(|| found.comment.body.clone());
        let is_changed = body != found.comment.body;
        require_for_change(found.role, action, found.project_archived && is_changed)?;
        write.require_expected(&found.comment)?;
        if !is_changed {
            return Ok(Answer::found(&found.comment));
        }
        let version = found.comment.version + 1;
        let changed = Comment { body, version, updated_at: self.0.clock.now(), ..found.comment.clone() };
        unit.comments().update(&changed).await?;
        let cause = write.cause(changed.updated_at);
        let event = cause.changed(EventType::CommentUpdated, found.project_id, &found.comment, &changed);
        unit.commit(Answer::found(&changed), Access::On(changed.task_id, found.project_id, action), vec![event]).await
    }

    /// Deletes a comment permanently, which its author and the owner of the project may do.
    pub async fn delete(&self, write: &Write, id: CommentId) -> Result<Answer<()>, Error> {
        let (unit, found) = self.lock(write, id).await?;
        let action = deletion_of(&found.comment, write.caller.user);
        require_for_change(found.role, action, found.project_archived)?;
        write.require_expected(&found.comment)?;
        unit.comments().remove(id).await?;
        let cause = write.cause(self.0.clock.now());
        let event = cause.removed(EventType::CommentDeleted, found.project_id, &found.comment);
        unit.commit(Answer::done(), Access::On(found.comment.task_id, found.project_id, action), vec![event]).await
    }

    /// Opens the transaction of a write and locks the project of a comment, wherever its task goes meanwhile.
    async fn lock<'a>(&'a self, write: &'a Write, id: CommentId) -> Result<(Unit<'a>, CommentOnTask), Error> {
        let user = write.caller.user;
        for _ in 0..ATTEMPTS {
            let unit = self.0.open(write).await?;
            let seen = live(unit.comments().find(id, user).await?)?;
            match unit.tasks().lock(seen.comment.task_id, user).await {
                Err(StoreError::Overtaken) => {}
                locked => {
                    locked?;
                    // Only what is read after the wait for the lock is as it is now.
                    let found = live(unit.comments().find(id, user).await?)?;
                    return Ok((unit, found));
                }
            }
        }
        Err(StoreError::Overtaken.into())
    }
}

/// A comment on a task in the trash is not found.
fn live(found: Option<CommentOnTask>) -> Result<CommentOnTask, Error> {
    found.filter(|found| !found.in_trash).ok_or(Error::NotFound("comment"))
}
