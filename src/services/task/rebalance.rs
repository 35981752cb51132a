//! Rebalancing of order keys that have become long.

use std::collections::HashSet;

use super::fractional_index::{self, MAX_LEN};
use crate::contract::event::EventType;
use crate::contract::page::Direction;
use crate::contract::strings::OrderKey;
use crate::contract::task::Task;
use crate::contract::{ProjectId, TaskId};
use crate::repositories::NewEvent;
use crate::services::event::publish::EventContext;
use crate::services::{Error, UnitOfWork};

/// Number of tasks on each side that are rebalanced first.
const REBALANCE_WINDOW: u64 = 16;

pub(crate) type Position = (TaskId, OrderKey);

/// Neighbours of the target position, including soft-deleted tasks.
pub(crate) struct InsertionPoint {
    pub(crate) lower: Option<Position>,
    pub(crate) upper: Option<Position>,
}

impl InsertionPoint {
    pub(crate) fn keys(&self) -> (Option<&str>, Option<&str>) {
        (key(self.lower.as_ref()), key(self.upper.as_ref()))
    }

    pub(crate) fn contains(&self, position: &str) -> bool {
        let (lower, upper) = self.keys();
        lower.is_none_or(|lower| lower < position) && upper.is_none_or(|upper| position < upper)
    }
}

fn key(placed: Option<&Position>) -> Option<&str> {
    placed.map(|(_, position)| &**position)
}

/// Rebalances the order keys around an insertion point.
/// Returns the key of the moved task and the greatest new key. The neighbours keep their versions: their content has
/// not changed, and concurrent edits must not fail. Their new positions are published.
pub(crate) async fn rebalance(
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
            if let Some(after) = unit.tasks().set_position(*id, key).await? {
                let before = Task { position: position.clone(), ..after.clone() };
                events.push(context.task_event(EventType::TaskUpdated, &before, &after));
            }
        }
        return Ok((own, greatest));
    }
}

/// Returns the tasks on one side, nearest first, and the position beyond them.
async fn neighbours(
    unit: &UnitOfWork<'_>,
    task: &Task,
    project: ProjectId,
    nearest: Option<&Position>,
    direction: Direction,
    size: u64,
) -> Result<(Vec<Position>, Option<OrderKey>), Error> {
    let Some(nearest) = nearest else { return Ok((Vec::new(), None)) };
    let mut positions = vec![nearest.clone()];
    positions.extend(unit.tasks().list_positions(project, &nearest.1, direction, size).await?);
    let beyond = if positions.len() as u64 > size { positions.pop().map(|(_, position)| position) } else { None };
    positions.retain(|(id, _)| *id != task.id);
    Ok((positions, beyond))
}
