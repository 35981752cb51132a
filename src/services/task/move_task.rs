//! Moving a task to another place, of its own or of another project.

use std::collections::{BTreeSet, HashSet};

use super::fractional_index::{self, MAX_LENGTH};
use super::{ATTEMPTS, Tasks, access, assignee_within, done, live};
use crate::contract::error::Place;
use crate::contract::event::EventType;
use crate::contract::list::Direction;
use crate::contract::task::{MoveTask, Task};
use crate::contract::text::OrderKey;
use crate::contract::{ProjectId, TaskId, Timestamp};
use crate::repositories::{LockedProject, NewEvent, StoreError, TaskInProject};
use crate::services::error::Error;
use crate::services::event::publish::Cause;
use crate::services::permissions::{Action, require, require_for_change, require_owner_in_target};
use crate::services::project::counters::{Counted, count};
use crate::services::response::Answer;
use crate::services::unit_of_work::{Unit, Write};

/// As many tasks on either side are spread anew where keys have become long; more if that does not suffice.
const SPREAD: u64 = 16;

/// A task and where it stands.
type Placed = (TaskId, OrderKey);

/// The tasks next to a place, those in the trash too.
struct Gap {
    lower: Option<Placed>,
    upper: Option<Placed>,
}

impl Gap {
    fn keys(&self) -> (Option<&str>, Option<&str>) {
        (key(self.lower.as_ref()), key(self.upper.as_ref()))
    }

    fn has(&self, position: &str) -> bool {
        let (lower, upper) = self.keys();
        lower.is_none_or(|lower| lower < position) && upper.is_none_or(|upper| position < upper)
    }
}

fn key(placed: Option<&Placed>) -> Option<&str> {
    placed.map(|(_, position)| &**position)
}

impl Tasks {
    /// Moves a task. Where it is already, it stays as it is.
    pub async fn relocate(&self, write: &Write, id: TaskId, to: MoveTask) -> Result<Answer<Task>, Error> {
        let (unit, found, target) = self.lock_both(write, id, to.project_id).await?;
        let target = require_move(&unit, write, &found, target).await?;
        let task = found.task;
        let gap = gap(&unit, write, &task, &target, &to).await?;
        write.require_expected(&task)?;
        if target.project.id == task.project_id && is_there(&unit, &task, &gap, &to).await? {
            return Ok(Answer::found(&task));
        }
        let mut position = match gap.keys() {
            (None, None) => fractional_index::after(&target.last_position),
            (lower, upper) => fractional_index::between(lower, upper),
        };
        let mut greatest = position.clone();
        let cause = write.cause(self.shared().clock.now());
        let mut events = Vec::new();
        if position.len() > MAX_LENGTH || !gap.has(&position) {
            (position, greatest) = spread(&unit, &task, target.project.id, &gap, &cause, &mut events).await?;
        }
        let moved = Task {
            project_id: target.project.id,
            position: OrderKey::trusted(position),
            assignee_id: assignee_within(&*unit, task.assignee_id, target.project.id).await?,
            updated_at: cause.at,
            version: task.version + 1,
            ..task.clone()
        };
        unit.tasks().update(&moved).await?;
        count_both(&unit, &task, &target, &greatest, moved.updated_at).await?;
        // In the project that it leaves, and in the one that it comes to.
        for project in BTreeSet::from([task.project_id, moved.project_id]) {
            events.push(cause.changed(EventType::TaskMoved, project, &task, &moved));
        }
        unit.commit(Answer::found(&moved), access(&moved), events).await
    }

    /// Opens the transaction of a move and locks the project of the task and the one it goes to.
    async fn lock_both<'a>(
        &'a self,
        write: &'a Write,
        id: TaskId,
        target: Option<ProjectId>,
    ) -> Result<(Unit<'a>, TaskInProject, Option<LockedProject>), Error> {
        let user = write.caller.user;
        for _ in 0..ATTEMPTS {
            let unit = self.shared().open(write).await?;
            let seen = live(unit.tasks().find(id, user).await?)?;
            require(seen.role, Action::WriteTasks)?;
            // Always in the same order, so that two moves in opposite directions do not wait for each other.
            let source = seen.task.project_id;
            let target = target.unwrap_or(source);
            let mut locked = None;
            for project in BTreeSet::from([source, target]) {
                let found = unit.projects().lock(project, user).await?;
                if project == target {
                    locked = found;
                }
            }
            let found = live(unit.tasks().find(id, user).await?)?;
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
/// always has a live account here: deleting an account also deletes its projects.
async fn require_move(
    unit: &Unit<'_>,
    write: &Write,
    found: &TaskInProject,
    target: Option<LockedProject>,
) -> Result<LockedProject, Error> {
    require(found.role, Action::WriteTasks)?;
    let target = target
        .filter(|target| target.project.deleted_at.is_none())
        .ok_or_else(|| Error::reference(Place::Body, "project_id", "names no project."))?;
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

/// The tasks between which the task is to stand.
async fn gap(unit: &Unit<'_>, write: &Write, task: &Task, target: &LockedProject, to: &MoveTask) -> Result<Gap, Error> {
    let project = target.project.id;
    let nearest = async |beyond: &str, direction| {
        // One more, because the task itself does not count.
        let places = unit.tasks().list_places(project, beyond, direction, 2).await?;
        Ok::<_, Error>(places.into_iter().find(|(id, _)| *id != task.id))
    };
    if let Some(id) = to.before_id {
        let upper = neighbour(unit, write, task, project, "before_id", id).await?;
        return Ok(Gap { lower: nearest(&upper.1, Direction::Desc).await?, upper: Some(upper) });
    }
    if let Some(id) = to.after_id {
        let lower = neighbour(unit, write, task, project, "after_id", id).await?;
        return Ok(Gap { upper: nearest(&lower.1, Direction::Asc).await?, lower: Some(lower) });
    }
    Ok(Gap { lower: None, upper: None })
}

/// Whether the task stands there already, with nothing but trash between it and the neighbour that was named.
async fn is_there(unit: &Unit<'_>, task: &Task, gap: &Gap, to: &MoveTask) -> Result<bool, Error> {
    let (neighbour, direction) = match (&to.before_id, &to.after_id) {
        (Some(_), _) => (&gap.upper, Direction::Desc),
        (None, Some(_)) => (&gap.lower, Direction::Asc),
        (None, None) => return Ok(true),
    };
    let Some((_, position)) = neighbour else { return Ok(false) };
    Ok(unit.tasks().find_next(task.project_id, position, direction).await? == Some(task.id))
}

/// The task that the request names as a neighbour.
async fn neighbour(
    unit: &Unit<'_>,
    write: &Write,
    task: &Task,
    project: ProjectId,
    field: &str,
    id: TaskId,
) -> Result<Placed, Error> {
    let refused = |why| Err(Error::reference(Place::Body, field, why));
    let Ok(found) = live(unit.tasks().find(id, write.caller.user).await?) else { return refused("names no task.") };
    require(found.role, Action::Read)?;
    if id == task.id {
        return refused("must name another task than the one that is moved.");
    }
    if found.task.project_id != project {
        return refused("names a task of another project.");
    }
    Ok((id, found.task.position))
}

/// Makes place where the keys have become long: spreads those of the tasks nearby, and gives the key of the task that
/// is moved and the greatest that was given out.
///
/// The tasks nearby keep their versions. Nobody has changed anything about them, they only write their order anew, and
/// whoever edits one of them must not be refused for it. Whoever shows them in order is told all the same.
async fn spread(
    unit: &Unit<'_>,
    task: &Task,
    project: ProjectId,
    gap: &Gap,
    cause: &Cause,
    events: &mut Vec<NewEvent>,
) -> Result<(String, String), Error> {
    let mut size = SPREAD;
    loop {
        let (below, lower) = side(unit, task, project, gap.lower.as_ref(), Direction::Desc, size).await?;
        let (above, upper) = side(unit, task, project, gap.upper.as_ref(), Direction::Asc, size).await?;
        let count = below.len() + 1 + above.len();
        let old: HashSet<&str> =
            below.iter().chain(&above).map(|(_, position)| &**position).chain([&*task.position]).collect();
        let mut keys = fractional_index::spread(lower.as_deref(), upper.as_deref(), count, &old);
        let is_short = keys.iter().all(|key| key.len() <= MAX_LENGTH / 2);
        if !is_short && (lower.is_some() || upper.is_some()) {
            size *= 4;
            continue;
        }
        let greatest = keys.last().cloned().unwrap_or_default();
        let own = keys.remove(below.len());
        for ((id, position), key) in below.iter().rev().chain(&above).zip(&keys) {
            if let Some(after) = unit.tasks().reposition(*id, key).await? {
                let before = Task { position: position.clone(), ..after.clone() };
                events.push(cause.task(EventType::TaskUpdated, &before, &after));
            }
        }
        return Ok((own, greatest));
    }
}

/// The tasks on one side of a gap, the nearest first, and the key of the one beyond them.
async fn side(
    unit: &Unit<'_>,
    task: &Task,
    project: ProjectId,
    nearest: Option<&Placed>,
    direction: Direction,
    size: u64,
) -> Result<(Vec<Placed>, Option<OrderKey>), Error> {
    let Some(nearest) = nearest else { return Ok((Vec::new(), None)) };
    let mut places = vec![nearest.clone()];
    places.extend(unit.tasks().list_places(project, &nearest.1, direction, size).await?);
    let beyond = if places.len() as u64 > size { places.pop().map(|(_, position)| position) } else { None };
    places.retain(|(id, _)| *id != task.id);
    Ok((places, beyond))
}

/// Keeps what the projects know about their tasks.
async fn count_both(
    unit: &Unit<'_>,
    task: &Task,
    target: &LockedProject,
    greatest: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let last = Some(greatest).filter(|greatest| *greatest > target.last_position.as_str());
    if task.project_id == target.project.id {
        if last.is_some() {
            count(unit, task.project_id, Counted::default(), last, None, now).await?;
        }
        return Ok(());
    }
    count(unit, task.project_id, Counted { total: -1, done: -done(task) }, None, None, now).await?;
    count(unit, target.project.id, Counted { total: 1, done: done(task) }, last, Some(&target.project), now).await
}
