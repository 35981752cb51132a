//! Tasks, one at a time, with their trash; lists are in `task_lists`.

use std::sync::Arc;

use super::error::Error;
use super::order_key;
use super::permissions::{Action, require, require_for_change};
use super::projects::merged;
use super::{Caller, Shared};
use crate::contract::error::Place;
use crate::contract::task::{NewTask, Task, TaskStatus, UpdateTask};
use crate::contract::text::OrderKey;
use crate::contract::{ProjectId, TaskId, Timestamp, UserId};
use crate::repositories::{Repositories, Store, TaskInProject};

/// Tasks, with their trash.
#[derive(Clone)]
pub struct Tasks(Arc<Shared>);

impl Tasks {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    pub(super) fn store(&self) -> &dyn Store {
        &*self.0.store
    }

    pub(super) fn trash_since(&self) -> Timestamp {
        self.0.trash_since()
    }

    /// One task.
    pub async fn get(&self, caller: Caller, id: TaskId) -> Result<Task, Error> {
        let found = live(self.0.store.read().tasks().find(id, caller.user).await?)?;
        require(found.role, Action::Read)?;
        Ok(found.task)
    }

    /// Makes a task at the end of a project.
    pub async fn create(&self, caller: Caller, project_id: ProjectId, new: NewTask) -> Result<Task, Error> {
        let transaction = self.0.store.begin().await?;
        let locked = transaction.projects().lock(project_id, caller.user).await?;
        let locked = locked.filter(|locked| locked.project.deleted_at.is_none()).ok_or(Error::NotFound("project"))?;
        require_for_change(locked.project.role, Action::WriteTasks, locked.project.archived)?;
        require_member(&*transaction, project_id, new.assignee_id).await?;
        let now = self.0.clock.now();
        let task = Task {
            id: TaskId::generate(),
            project_id,
            title: new.title,
            description: new.description,
            status: new.status,
            priority: new.priority,
            due_at: new.due_at,
            assignee_id: new.assignee_id,
            labels: new.labels,
            position: OrderKey::trusted(order_key::after(&locked.last_position)),
            created_by: caller.user,
            completed_at: completion(new.status, None, now),
            deleted_at: None,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        transaction.tasks().add(&task).await?;
        transaction.projects().count_tasks(project_id, 1, done(&task), Some(&task.position)).await?;
        transaction.commit().await?;
        Ok(task)
    }

    /// Changes a task: what the patch does not name stays.
    pub async fn update(&self, caller: Caller, id: TaskId, patch: UpdateTask) -> Result<Task, Error> {
        let transaction = self.0.store.begin().await?;
        let found = live(transaction.tasks().lock(id, caller.user).await?)?;
        require(found.role, Action::WriteTasks)?;
        let task = found.task;
        let now = self.0.clock.now();
        let status = patch.status.unwrap_or(task.status);
        let mut changed = Task {
            title: patch.title.unwrap_or_else(|| task.title.clone()),
            description: merged(patch.description, task.description.as_ref()),
            status,
            priority: patch.priority.unwrap_or(task.priority),
            due_at: merged(patch.due_at, task.due_at.as_ref()),
            assignee_id: merged(patch.assignee_id, task.assignee_id.as_ref()),
            labels: patch.labels.unwrap_or_else(|| task.labels.clone()),
            completed_at: completion(status, task.completed_at, now),
            ..task.clone()
        };
        if changed == task {
            return Ok(task);
        }
        require_for_change(found.role, Action::WriteTasks, found.project_archived)?;
        if changed.assignee_id != task.assignee_id {
            require_member(&*transaction, task.project_id, changed.assignee_id).await?;
        }
        changed.version += 1;
        changed.updated_at = now;
        transaction.tasks().update(&changed).await?;
        if done(&changed) != done(&task) {
            transaction.projects().count_tasks(task.project_id, 0, done(&changed) - done(&task), None).await?;
        }
        transaction.commit().await?;
        Ok(changed)
    }

    /// Puts a task into the trash.
    pub async fn delete(&self, caller: Caller, id: TaskId) -> Result<(), Error> {
        let transaction = self.0.store.begin().await?;
        let found = live(transaction.tasks().lock(id, caller.user).await?)?;
        require_for_change(found.role, Action::WriteTasks, found.project_archived)?;
        let now = self.0.clock.now();
        let task = found.task;
        let deleted = Task { deleted_at: Some(now), updated_at: now, version: task.version + 1, ..task };
        transaction.tasks().update(&deleted).await?;
        transaction.projects().count_tasks(deleted.project_id, -1, -done(&deleted), None).await?;
        Ok(transaction.commit().await?)
    }

    /// Takes a task out of the trash. One that is not there stays as it is.
    pub async fn restore(&self, caller: Caller, id: TaskId) -> Result<Task, Error> {
        let transaction = self.0.store.begin().await?;
        let since = self.0.trash_since();
        let found = transaction.tasks().lock(id, caller.user).await?;
        let found = found
            .filter(|found| !found.project_deleted && found.task.deleted_at.is_none_or(|at| at > since))
            .ok_or(Error::NotFound("task"))?;
        require_for_change(found.role, Action::WriteTasks, found.project_archived)?;
        let task = found.task;
        if task.deleted_at.is_none() {
            return Ok(task);
        }
        // Who it is assigned to may have left the project while the task was in the trash.
        let assignee = match task.assignee_id {
            Some(id) => transaction.projects().find_role(task.project_id, id).await?.map(|_| id),
            None => None,
        };
        let restored = Task {
            deleted_at: None,
            assignee_id: assignee,
            updated_at: self.0.clock.now(),
            version: task.version + 1,
            ..task
        };
        transaction.tasks().update(&restored).await?;
        transaction.projects().count_tasks(restored.project_id, 1, done(&restored), None).await?;
        transaction.commit().await?;
        Ok(restored)
    }
}

/// A task in the trash, or in a project that is there, is not found.
fn live(found: Option<TaskInProject>) -> Result<TaskInProject, Error> {
    found.filter(|found| found.task.deleted_at.is_none() && !found.project_deleted).ok_or(Error::NotFound("task"))
}

/// When a task with this status was done: as before if it was done before, else now.
fn completion(status: TaskStatus, before: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    (status == TaskStatus::Done).then(|| before.unwrap_or(now))
}

/// How much a task adds to the count of those that are done.
fn done(task: &Task) -> i64 {
    i64::from(task.status == TaskStatus::Done)
}

/// An assignee must be a member of the project.
async fn require_member(
    repositories: &dyn Repositories,
    project: ProjectId,
    assignee: Option<UserId>,
) -> Result<(), Error> {
    match assignee {
        Some(user) if repositories.projects().find_role(project, user).await?.is_none() => {
            Err(Error::reference(Place::Body, "assignee_id", "names no member of the project."))
        }
        _ => Ok(()),
    }
}
