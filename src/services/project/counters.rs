//! Counters of a project: its tasks, and the bytes of its text.
//!
//! The counters change in the transaction of the tasks. A job computes the completion percentage from them, so the
//! percentage lags behind for a moment.

use crate::contract::project::{Project, TaskCounts};
use crate::contract::{ProjectId, Timestamp};
use crate::repositories::{CounterDelta, Job};
use crate::services::{Error, UnitOfWork};

/// Updates the counters of a locked project and, if given, its greatest position.
///
/// Enqueues `recalculate_completion`, unless `before`, the project before the change, shows that the percentage stays the
/// same.
pub(crate) async fn apply(
    unit: &UnitOfWork<'_>,
    project: ProjectId,
    delta: CounterDelta,
    last_position: Option<&str>,
    before: Option<&Project>,
    now: Timestamp,
) -> Result<(), Error> {
    unit.projects().adjust_counters(project, delta, last_position).await?;
    let stays = before.is_some_and(|before| {
        let TaskCounts { total, done } = before.task_counts;
        let after = TaskCounts { total: total + delta.total, done: done + delta.done };
        after.completion_percentage() == before.completion_percentage
    });
    if !stays && (delta.total, delta.done) != (0, 0) {
        unit.jobs().enqueue(&Job::RecalculateCompletion { project }, now, now).await?;
    }
    Ok(())
}
