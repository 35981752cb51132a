//! Tasks.

pub(crate) mod batch;
pub(crate) mod comments;
pub(crate) mod cursor;
pub(crate) mod fractional_index;
pub(crate) mod list;
pub(crate) mod move_task;
pub(crate) mod rebalance;

use std::sync::Arc;

use poem_openapi::types::MaybeUndefined;

use crate::contract::error::ErrorLocation;
use crate::contract::event::EventType;
use crate::contract::strings::OrderKey;
use crate::contract::task::{CreateTask, Task, TaskStatus, UpdateTask};
use crate::contract::{ProjectId, TaskId, Timestamp, UserId};
use crate::repositories::{
    Completion, CounterDelta, LockedProject, NewEvent, Repositories, ResourceRef, StoreError, TaskWithContext, Write,
    task_bytes,
};
use crate::services::idempotency::{KeyState, fresh};
use crate::services::patch::merge;
use crate::services::permissions::{Action, require, require_for_change};
use crate::services::project::counters::CounterChange;
use crate::services::{Caller, Error, ReplayAccess, ServiceContext, UnitOfWork, WriteContext, WriteOutcome};

/// Number of times that a concurrently moving task is followed to its project.
pub(crate) const MAX_LOCK_RETRIES: usize = 10;

/// Tasks.
#[derive(Clone)]
pub struct Tasks(pub(crate) Arc<ServiceContext>);

impl Tasks {
    /// Returns a task.
    pub async fn get(&self, caller: Caller, id: TaskId) -> Result<Task, Error> {
        let found = ensure_not_deleted(self.0.store.read().tasks().find(id, caller.user).await?)?;
        require(found.role, Action::Read)?;
        Ok(found.task)
    }

    /// Creates a task at the end of a project.
    pub async fn create(
        &self,
        write: &WriteContext,
        project_id: ProjectId,
        new: CreateTask,
    ) -> Result<WriteOutcome<Task>, Error> {
        let unit = fresh!(self.0.begin(write).await?);
        let locked = lock_project_for_write(&unit, write.caller, project_id).await?;
        require_member(&*unit, project_id, new.assignee_id).await?;
        let task = new_task(write.caller.user, project_id, new, &locked.last_position, self.0.clock.now());
        let quotas = &self.0.policy.quotas;
        quotas.require_tasks(locked.project.task_counts.total, 1)?;
        let delta = CounterDelta { total: 1, done: done_delta(&task), bytes: task_bytes(&task) };
        quotas.check_text(locked.owner_bytes, delta.bytes)?;
        let counters = CounterChange {
            project: project_id,
            delta,
            last_position: Some(&task.position),
            before: Completion::from(&locked.project),
            now: task.created_at,
        };
        let event = write.event_context(task.created_at).created(EventType::TaskCreated, project_id, &task);
        unit.write_and_commit(
            WriteOutcome::current(&task).created(ResourceRef::Task(task.id)),
            replay_access(&task),
            std::iter::once(Write::AddTask(&task)).chain(counters.writes()),
            &[event],
        )
        .await
    }

    /// Updates the fields of a task that the patch contains.
    pub async fn update(
        &self,
        write: &WriteContext,
        id: TaskId,
        patch: UpdateTask,
    ) -> Result<WriteOutcome<Task>, Error> {
        let (unit, found) = fresh!(lock(&self.0, write, id).await?);
        let found = ensure_not_deleted(found)?;
        require(found.role, Action::WriteTasks)?;
        let task = found.task;
        let is_confirmed = confirms_assignee(&task, &patch);
        let changed = apply_patch(&task, patch, self.0.clock.now());
        if let Some(changed) = &changed {
            require_for_change(found.role, Action::WriteTasks, found.project_archived)?;
            if changed.assignee_id != task.assignee_id {
                require_member(&*unit, task.project_id, changed.assignee_id).await?;
            }
        }
        if is_confirmed {
            require_membership_of(&*unit, task.project_id, task.assignee_id).await?;
        }
        write.check_if_match(&task)?;
        let Some(changed) = changed else { return unit.unchanged(WriteOutcome::current(&task)).await };
        let delta = CounterDelta {
            total: 0,
            done: done_delta(&changed) - done_delta(&task),
            bytes: task_bytes(&changed) - task_bytes(&task),
        };
        self.0.policy.quotas.require_text(&*unit, found.project_owner, delta.bytes).await?;
        let event = write.event_context(changed.updated_at).task_event(EventType::TaskUpdated, &task, &changed);
        update_and_commit(unit, WriteOutcome::current(&changed), &changed, delta, found.completion, event).await
    }

    /// Soft-deletes a task.
    pub async fn delete(&self, write: &WriteContext, id: TaskId) -> Result<WriteOutcome<()>, Error> {
        let (unit, found) = fresh!(lock(&self.0, write, id).await?);
        let found = ensure_not_deleted(found)?;
        require_for_change(found.role, Action::WriteTasks, found.project_archived)?;
        write.check_if_match(&found.task)?;
        let deleted = soft_deleted(found.task.clone(), self.0.clock.now());
        let delta = CounterDelta { total: -1, done: -done_delta(&deleted), bytes: 0 };
        let event = write.event_context(deleted.updated_at).task_event(EventType::TaskDeleted, &found.task, &deleted);
        update_and_commit(unit, WriteOutcome::done(), &deleted, delta, found.completion, event).await
    }

    /// Restores a soft-deleted task. A task that is not deleted is returned unchanged.
    pub async fn restore(&self, write: &WriteContext, id: TaskId) -> Result<WriteOutcome<Task>, Error> {
        let (unit, found) = fresh!(lock(&self.0, write, id).await?);
        let since = self.0.trash_cutoff();
        let found = found
            .filter(|found| !found.is_project_deleted && found.task.deleted_at.is_none_or(|at| at > since))
            .ok_or(Error::NotFound("task"))?;
        require_for_change(found.role, Action::WriteTasks, found.project_archived)?;
        let task = found.task;
        if task.deleted_at.is_none() {
            return unit.unchanged(WriteOutcome::current(&task)).await;
        }
        self.0.policy.quotas.require_tasks(found.completion.task_counts.total, 1)?;
        // The assignee may have left the project in the meantime.
        let assignee = keep_assignee_if_member(&*unit, task.assignee_id, task.project_id).await?;
        let restored = Task {
            deleted_at: None,
            assignee_id: assignee,
            updated_at: self.0.clock.now(),
            version: task.version + 1,
            ..task.clone()
        };
        let delta = CounterDelta { total: 1, done: done_delta(&restored), bytes: 0 };
        let event = write.event_context(restored.updated_at).task_event(EventType::TaskRestored, &task, &restored);
        update_and_commit(unit, WriteOutcome::current(&restored), &restored, delta, found.completion, event).await
    }
}

/// Updates a task and the counters of its locked project, publishes the event and commits.
async fn update_and_commit<T>(
    unit: UnitOfWork<'_>,
    outcome: WriteOutcome<T>,
    task: &Task,
    delta: CounterDelta,
    before: Completion,
    event: NewEvent,
) -> Result<WriteOutcome<T>, Error> {
    let counters = CounterChange { project: task.project_id, delta, last_position: None, before, now: task.updated_at };
    let counters = (delta != CounterDelta::default()).then(|| counters.writes());
    let writes = std::iter::once(Write::UpdateTask(task)).chain(counters.into_iter().flatten());
    unit.write_and_commit(outcome, replay_access(task), writes, &[event]).await
}

/// Begins a write and locks the current project of a task.
pub(crate) async fn lock<'a>(
    context: &'a ServiceContext,
    write: &'a WriteContext,
    id: TaskId,
) -> Result<KeyState<(UnitOfWork<'a>, Option<TaskWithContext>)>, Error> {
    for _ in 0..MAX_LOCK_RETRIES {
        let unit = fresh!(context.begin(write).await?);
        match unit.tasks().lock(id, write.caller.user).await {
            Err(StoreError::ConcurrentMove) => {}
            found => return Ok(KeyState::Fresh((unit, found?))),
        }
    }
    Err(StoreError::ConcurrentMove.into())
}

pub(crate) const fn replay_access(task: &Task) -> ReplayAccess {
    ReplayAccess::Task(task.id, task.project_id, Action::WriteTasks)
}

/// Locks a project that is not deleted, and checks that the caller may write tasks.
pub(crate) async fn lock_project_for_write(
    unit: &UnitOfWork<'_>,
    caller: Caller,
    id: ProjectId,
) -> Result<LockedProject, Error> {
    let locked = unit.projects().lock_with_membership(id, caller.user).await?;
    let locked = locked.filter(|locked| locked.project.deleted_at.is_none()).ok_or(Error::NotFound("project"))?;
    require_for_change(locked.project.role, Action::WriteTasks, locked.project.archived)?;
    Ok(locked)
}

/// Creates a task after the greatest position of its project.
pub(crate) fn new_task(
    creator: UserId,
    project_id: ProjectId,
    new: CreateTask,
    last_position: &str,
    now: Timestamp,
) -> Task {
    Task {
        id: TaskId::generate(),
        project_id,
        title: new.title,
        description: new.description,
        status: new.status,
        priority: new.priority,
        due_at: new.due_at,
        assignee_id: new.assignee_id,
        labels: new.labels,
        position: OrderKey::new_unchecked(fractional_index::after(last_position)),
        created_by: Some(creator),
        completed_at: completion(new.status, None, now),
        deleted_at: None,
        version: 1,
        created_at: now,
        updated_at: now,
    }
}

/// Returns the next version of a task, or `None` if the patch changes nothing.
pub(crate) fn apply_patch(task: &Task, patch: UpdateTask, now: Timestamp) -> Option<Task> {
    let status = patch.status.unwrap_or(task.status);
    let changed = Task {
        title: patch.title.unwrap_or_else(|| task.title.clone()),
        description: merge(patch.description, task.description.as_ref()),
        status,
        priority: patch.priority.unwrap_or(task.priority),
        due_at: merge(patch.due_at, task.due_at.as_ref()),
        assignee_id: merge(patch.assignee_id, task.assignee_id.as_ref()),
        labels: patch.labels.unwrap_or_else(|| task.labels.clone()),
        completed_at: completion(status, task.completed_at, now),
        ..task.clone()
    };
    (changed != *task).then(|| Task { version: task.version + 1, updated_at: now, ..changed })
}

pub(crate) fn soft_deleted(task: Task, now: Timestamp) -> Task {
    Task { deleted_at: Some(now), updated_at: now, version: task.version + 1, ..task }
}

/// Tasks that are soft-deleted, or whose project is, are not found.
pub(crate) fn ensure_not_deleted(found: Option<TaskWithContext>) -> Result<TaskWithContext, Error> {
    found.filter(|found| found.task.deleted_at.is_none() && !found.is_project_deleted).ok_or(Error::NotFound("task"))
}

/// Returns `completed_at` of a task with this status.
fn completion(status: TaskStatus, before: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    (status == TaskStatus::Done).then(|| before.unwrap_or(now))
}

/// Returns the contribution of a task to the counter of completed tasks.
pub(crate) fn done_delta(task: &Task) -> i64 {
    i64::from(task.status == TaskStatus::Done)
}

pub(crate) async fn require_member(
    repositories: &dyn Repositories,
    project: ProjectId,
    assignee: Option<UserId>,
) -> Result<(), Error> {
    let Some(user) = assignee else { return Ok(()) };
    let member = repositories.members().find(project, user).await?;
    member.map(|_| ()).ok_or_else(not_a_member)
}

/// Returns whether a patch names the assignee that the task already has.
pub(crate) fn confirms_assignee(task: &Task, patch: &UpdateTask) -> bool {
    matches!(patch.assignee_id, MaybeUndefined::Value(user) if task.assignee_id == Some(user))
}

/// Refuses to confirm the assignee of a task after the member was removed: the task may not be unassigned yet.
pub(crate) async fn require_membership_of(
    repositories: &dyn Repositories,
    project: ProjectId,
    assignee: Option<UserId>,
) -> Result<(), Error> {
    if keep_assignee_if_member(repositories, assignee, project).await? == assignee {
        return Ok(());
    }
    Err(not_a_member())
}

fn not_a_member() -> Error {
    Error::reference(ErrorLocation::Body, "assignee_id", "must be a member of the project.")
}

/// Returns the assignee if still a member of the project.
/// Members whose account is soft-deleted count.
pub(crate) async fn keep_assignee_if_member(
    repositories: &dyn Repositories,
    assignee: Option<UserId>,
    project: ProjectId,
) -> Result<Option<UserId>, Error> {
    let Some(user) = assignee else { return Ok(None) };
    Ok(repositories.projects().find_role(project, user).await?.map(|_| user))
}
