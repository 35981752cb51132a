//! Moving a task to another position or project.

use std::collections::{BTreeSet, HashSet};

use super::fractional_index::{self, MAX_LEN};
use super::{MAX_LOCK_RETRIES, Tasks, done_delta, ensure_not_deleted, keep_assignee_if_member, replay_access};
use crate::contract::error::ErrorLocation;
use crate::contract::event::EventType;
use crate::contract::page::Direction;
use crate::contract::strings::OrderKey;
use crate::contract::task::{MoveTask, Task};
use crate::contract::{ProjectId, TaskId, Timestamp};
use crate::repositories::{LockedProject, NewEvent, StoreError, TaskInProject};
use crate::services::error::Error;
use crate::services::event::publish::EventContext;
use crate::services::permissions::{Action, require, require_for_change, require_owner_in_target};
use crate::services::project::counters::{self, CounterDelta};
use crate::services::response::Answer;
use crate::services::unit_of_work::{UnitOfWork, WriteContext};

/// Number of tasks on each side whose keys are rebalanced first; more if that is not enough.
const REBALANCE_WINDOW: u64 = 16;

/// Task and its position.
type Position = (TaskId, OrderKey);

/// Neighbours of the target position, including soft-deleted tasks.
struct InsertionPoint {
    lower: Option<Position>,
    upper: Option<Position>,
}

impl InsertionPoint {
    fn keys(&self) -> (Option<&str>, Option<&str>) {
        (key(self.lower.as_ref()), key(self.upper.as_ref()))
    }

    fn has(&self, position: &str) -> bool {
        let (lower, upper) = self.keys();
        lower.is_none_or(|lower| lower < position) && upper.is_none_or(|upper| position < upper)
    }
}

fn key(placed: Option<&Position>) -> Option<&str> {
    placed.map(|(_, position)| &**position)
}

impl Tasks {
    /// Moves a task. A task that is already in place is returned unchanged.
    pub async fn move_task(&self, write: &WriteContext, id: TaskId, to: MoveTask) -> Result<Answer<Task>, Error> {
        let (unit, found, target) = self.lock_both(write, id, to.project_id).await?;
        let target = require_move(&unit, write, &found, target).await?;
        let task = found.task;
        let point = insertion_point(&unit, write, &task, &target, &to).await?;
        write.check_if_match(&task)?;
        if target.project.id == task.project_id && is_already_there(&unit, &task, &point, &to).await? {
            return Ok(Answer::found(&task));
        }
        let mut position = match point.keys() {
            (None, None) => fractional_index::after(&target.last_position),
            (lower, upper) => fractional_index::between(lower, upper),
        };
        let mut greatest = position.clone();
        let context = write.event_context(self.shared().clock.now());
        let mut events = Vec::new();
        if position.len() > MAX_LEN || !point.has(&position) {
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
        update_counters(&unit, &task, &target, &greatest, moved.updated_at).await?;
        // Published in the source project and in the target project.
        for project in BTreeSet::from([task.project_id, moved.project_id]) {
            events.push(context.updated(EventType::TaskMoved, project, &task, &moved));
        }
        unit.commit(Answer::found(&moved), replay_access(&moved), events).await
    }

    /// Begins a write and locks the source and the target project.
    async fn lock_both<'a>(
        &'a self,
        write: &'a WriteContext,
        id: TaskId,
        target: Option<ProjectId>,
    ) -> Result<(UnitOfWork<'a>, TaskInProject, Option<LockedProject>), Error> {
        let user = write.caller.user;
        for _ in 0..MAX_LOCK_RETRIES {
            let unit = self.shared().begin(write).await?;
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
                return Ok((unit, found, locked));
            }
        }
        Err(StoreError::Overtaken.into())
    }
}

/// Returns the target project if the caller may move the task there.
///
/// Both projects are locked, so neither ownership nor membership can change before the commit. The owner of the source
/// has an active account: deleting an account also deletes its projects.
async fn require_move(
    unit: &UnitOfWork<'_>,
    write: &WriteContext,
    found: &TaskInProject,
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
        let places = unit.tasks().list_places(project, beyond, direction, 2).await?;
        Ok::<_, Error>(places.into_iter().find(|(id, _)| *id != task.id))
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

/// Returns whether only soft-deleted tasks are between the task and the named neighbour.
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
    Ok(unit.tasks().find_next(task.project_id, position, direction).await? == Some(task.id))
}

/// Finds the task that the request names as a neighbour.
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

/// Rebalances the order keys around an insertion point. Returns the key of the moved task and the greatest new key.
///
/// The neighbours keep their versions: their content has not changed, and concurrent edits must not fail. Their new
/// positions are published.
async fn rebalance(
    unit: &UnitOfWork<'_>,
    task: &Task,
    project: ProjectId,
    point: &InsertionPoint,
    context: &EventContext,
    events: &mut Vec<NewEvent>,
) -> Result<(String, String), Error> {
    let mut size = REBALANCE_WINDOW;
    loop {
        let (below, lower) = neighbours(unit, task, project, point.lower.as_ref(), Direction::Desc, size).await?;
        let (above, upper) = neighbours(unit, task, project, point.upper.as_ref(), Direction::Asc, size).await?;
        let count = below.len() + 1 + above.len();
        let old: HashSet<&str> =
            below.iter().chain(&above).map(|(_, position)| &**position).chain([&*task.position]).collect();
        let mut keys = fractional_index::distribute(lower.as_deref(), upper.as_deref(), count, &old);
        let is_short = keys.iter().all(|key| key.len() <= MAX_LEN / 2);
        if !is_short && (lower.is_some() || upper.is_some()) {
            size *= 4;
            continue;
        }
        let greatest = keys.last().cloned().unwrap_or_default();
        let own = keys.remove(below.len());
        for ((id, position), key) in below.iter().rev().chain(&above).zip(&keys) {
            if let Some(after) = unit.tasks().reposition(*id, key).await? {
                let before = Task { position: position.clone(), ..after.clone() };
                events.push(context.task_event(EventType::TaskUpdated, &before, &after));
            }
        }
        return Ok((own, greatest));
    }
}

/// Returns the tasks on one side of an insertion point, nearest first, and the position beyond them.
async fn neighbours(
    unit: &UnitOfWork<'_>,
    task: &Task,
    project: ProjectId,
    nearest: Option<&Position>,
    direction: Direction,
    size: u64,
) -> Result<(Vec<Position>, Option<OrderKey>), Error> {
    let Some(nearest) = nearest else { return Ok((Vec::new(), None)) };
    let mut places = vec![nearest.clone()];
    places.extend(unit.tasks().list_places(project, &nearest.1, direction, size).await?);
    let beyond = if places.len() as u64 > size { places.pop().map(|(_, position)| position) } else { None };
    places.retain(|(id, _)| *id != task.id);
    Ok((places, beyond))
}

/// Updates the task counters of both projects.
async fn update_counters(
    unit: &UnitOfWork<'_>,
    task: &Task,
    target: &LockedProject,
    greatest: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let last = Some(greatest).filter(|greatest| *greatest > target.last_position.as_str());
    if task.project_id == target.project.id {
        if last.is_some() {
            counters::apply(unit, task.project_id, CounterDelta::default(), last, None, now).await?;
        }
        return Ok(());
    }
    counters::apply(unit, task.project_id, CounterDelta { total: -1, done: -done_delta(task) }, None, None, now)
        .await?;
    counters::apply(
        unit,
        target.project.id,
        CounterDelta { total: 1, done: done_delta(task) },
        last,
        Some(&target.project),
        now,
    )
    .await
}
