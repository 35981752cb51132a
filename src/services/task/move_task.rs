//! Moving a task to another position or project.

use std::collections::BTreeSet;

use super::fractional_index::{self, MAX_LEN};
use super::rebalance::{InsertionPoint, Position, rebalance};
use super::{MAX_LOCK_RETRIES, Tasks, done_delta, ensure_not_deleted, keep_assignee_if_member, replay_access};
use crate::contract::error::ErrorLocation;
use crate::contract::event::EventType;
use crate::contract::page::Direction;
use crate::contract::strings::OrderKey;
use crate::contract::task::{MoveTask, Task};
use crate::contract::{ProjectId, TaskId, Timestamp, UserId};
use crate::repositories::{Completion, CounterDelta, LockedProject, StoreError, TaskWithContext, task_bytes};
use crate::services::idempotency::{KeyState, fresh};
use crate::services::permissions::{Action, require, require_for_change, require_owner_in_target};
use crate::services::project::counters::CounterChange;
use crate::services::{Error, UnitOfWork, WriteContext, WriteOutcome};

impl Tasks {
    /// Moves a task. A task that is already in place is returned unchanged.
    pub async fn move_task(&self, write: &WriteContext, id: TaskId, to: MoveTask) -> Result<WriteOutcome<Task>, Error> {
        let (unit, found, target) = fresh!(self.lock_both(write, id, to.project_id).await?);
        let target = require_move(&unit, write, &found, target).await?;
        let (task, owner, completion) = (found.task, found.project_owner, found.completion);
        let point = insertion_point(&unit, write, &task, &target, &to).await?;
        write.check_if_match(&task)?;
        if target.project.id == task.project_id && is_already_there(&unit, &task, &point, &to).await? {
            return unit.unchanged(WriteOutcome::current(&task)).await;
        }
        let bytes = self.require_room(&unit, owner, &task, &target).await?;
        let mut position = match point.keys() {
            (None, None) => fractional_index::after(&target.last_position),
            (lower, upper) => fractional_index::between(lower, upper),
        };
        let mut greatest = position.clone();
        let context = write.event_context(self.0.clock.now());
        let mut events = Vec::new();
        if position.len() > MAX_LEN || !point.contains(&position) {
            (position, greatest) = rebalance(&unit, &task, target.project.id, &point, &context, &mut events).await?;
        }
        let moved = Task {
            project_id: target.project.id,
            position: OrderKey::new_unchecked(position),
            assignee_id: keep_assignee_if_member(&*unit, task.assignee_id, target.project.id).await?,
            updated_at: context.at,
            version: task.version + 1,
            ..task.clone()
        };
        unit.tasks().update(&moved).await?;
        update_counters(&unit, &task, bytes, completion, &target, &greatest, moved.updated_at).await?;
        // Published in the source project and in the target project.
        for project in BTreeSet::from([task.project_id, moved.project_id]) {
            events.push(context.updated(EventType::TaskMoved, project, &task, &moved));
        }
        unit.publish_and_commit(WriteOutcome::current(&moved), replay_access(&moved), &events).await
    }

    /// Refuses a task that would exceed the quotas of another project. Returns the bytes of text that move with it.
    async fn require_room(
        &self,
        unit: &UnitOfWork<'_>,
        owner: UserId,
        task: &Task,
        target: &LockedProject,
    ) -> Result<i64, Error> {
        let LockedProject { project: target, owner_bytes, .. } = target;
        if target.id == task.project_id {
            return Ok(0);
        }
        let bytes = task_bytes(task) + unit.comments().stored_bytes(task.id).await?;
        self.0.policy.quotas.require_tasks(target.task_counts.total, 1)?;
        if target.owner_id != owner {
            self.0.policy.quotas.check_text(*owner_bytes, bytes)?;
        }
        Ok(bytes)
    }

    /// Begins a write and locks the source and the target project.
    async fn lock_both<'a>(
        &'a self,
        write: &'a WriteContext,
        id: TaskId,
        target: Option<ProjectId>,
    ) -> Result<KeyState<(UnitOfWork<'a>, TaskWithContext, Option<LockedProject>)>, Error> {
        let user = write.caller.user;
        for _ in 0..MAX_LOCK_RETRIES {
            let unit = fresh!(self.0.begin(write).await?);
            let seen = ensure_not_deleted(unit.tasks().find(id, user).await?)?;
            require(seen.role, Action::WriteTasks)?;
            // Locked in ID order, so that opposite moves do not deadlock.
            let source = seen.task.project_id;
            let target = target.unwrap_or(source);
            let mut locked = None;
            for project in BTreeSet::from([source, target]) {
                let found = unit.projects().lock(project, user).await?;
                if project == target {
                    locked = found;
                }
            }
            let found = ensure_not_deleted(unit.tasks().find(id, user).await?)?;
            if found.task.project_id == source {
                return Ok(KeyState::Fresh((unit, found, locked)));
            }
        }
        Err(StoreError::ConcurrentMove.into())
    }
}

/// Returns the target project if the caller may move the task there.
///
/// Both projects are locked, so neither ownership nor membership can change before the commit. The owner of the source
/// has an active account: deleting an account also deletes its projects.
async fn require_move(
    unit: &UnitOfWork<'_>,
    write: &WriteContext,
    found: &TaskWithContext,
    target: Option<LockedProject>,
) -> Result<LockedProject, Error> {
    require(found.role, Action::WriteTasks)?;
    let target = target
        .filter(|target| target.project.deleted_at.is_none())
        .ok_or_else(|| Error::reference(ErrorLocation::Body, "project_id", "must refer to an existing project."))?;
    let project = &target.project;
    require(project.role, Action::WriteTasks)?;
    if project.id != found.task.project_id && found.project_owner != write.caller.user {
        require_owner_in_target(unit.projects().find_role(project.id, found.project_owner).await?)?;
    }
    // Only a caller who may move the task at all learns that a project is archived.
    require_for_change(found.role, Action::WriteTasks, found.project_archived)?;
    require_for_change(project.role, Action::WriteTasks, project.archived)?;
    Ok(target)
}

/// Finds the neighbours of the requested position.
async fn insertion_point(
    unit: &UnitOfWork<'_>,
    write: &WriteContext,
    task: &Task,
    target: &LockedProject,
    to: &MoveTask,
) -> Result<InsertionPoint, Error> {
    let project = target.project.id;
    let nearest = async |beyond: &str, direction| {
        // Two, because the task itself does not count.
        let positions = unit.tasks().list_positions(project, beyond, direction, 2).await?;
        Ok::<_, Error>(positions.into_iter().find(|(id, _)| *id != task.id))
    };
    if let Some(id) = to.before_id {
        let upper = neighbour(unit, write, task, project, "before_id", id).await?;
        return Ok(InsertionPoint { lower: nearest(&upper.1, Direction::Desc).await?, upper: Some(upper) });
    }
    if let Some(id) = to.after_id {
        let lower = neighbour(unit, write, task, project, "after_id", id).await?;
        return Ok(InsertionPoint { upper: nearest(&lower.1, Direction::Asc).await?, lower: Some(lower) });
    }
    Ok(InsertionPoint { lower: None, upper: None })
}

/// Returns whether the task is already next to the named neighbour.
async fn is_already_there(
    unit: &UnitOfWork<'_>,
    task: &Task,
    point: &InsertionPoint,
    to: &MoveTask,
) -> Result<bool, Error> {
    let (neighbour, direction) = match (&to.before_id, &to.after_id) {
        (Some(_), _) => (&point.upper, Direction::Desc),
        (None, Some(_)) => (&point.lower, Direction::Asc),
        (None, None) => return Ok(true),
    };
    let Some((_, position)) = neighbour else { return Ok(false) };
    Ok(unit.tasks().find_adjacent(task.project_id, position, direction).await? == Some(task.id))
}

async fn neighbour(
    unit: &UnitOfWork<'_>,
    write: &WriteContext,
    task: &Task,
    project: ProjectId,
    field: &str,
    id: TaskId,
) -> Result<Position, Error> {
    let refused = |why| Err(Error::reference(ErrorLocation::Body, field, why));
    let Ok(found) = ensure_not_deleted(unit.tasks().find(id, write.caller.user).await?) else {
        return refused("must refer to an existing task.");
    };
    require(found.role, Action::Read)?;
    if id == task.id {
        return refused("must refer to a task other than the moved one.");
    }
    if found.task.project_id != project {
        return refused("must refer to a task of the same project.");
    }
    Ok((id, found.task.position))
}

async fn update_counters(
    unit: &UnitOfWork<'_>,
    task: &Task,
    bytes: i64,
    source: Completion,
    target: &LockedProject,
    greatest: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let last_position = Some(greatest).filter(|greatest| *greatest > target.last_position.as_str());
    let added = CounterDelta { total: 1, done: done_delta(task), bytes };
    let removed = CounterDelta { total: -1, done: -added.done, bytes: -bytes };
    let project = target.project.id;
    let into = CounterChange { project, delta: added, last_position, before: Completion::from(&target.project), now };
    if task.project_id != project {
        let out_of =
            CounterChange { project: task.project_id, delta: removed, last_position: None, before: source, now };
        out_of.apply(unit).await?;
        return into.apply(unit).await;
    }
    if last_position.is_some() {
        CounterChange { delta: CounterDelta::default(), ..into }.apply(unit).await?;
    }
    Ok(())
}
