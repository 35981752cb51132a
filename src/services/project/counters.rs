//! What a project knows about its tasks: how many there are, and how much of it is done.
//!
//! The counts change with the tasks. The share is computed from them by a job, so that it costs a writer nothing; a job
//! is promised whenever the share may have become another one, so it lags behind for a moment and never for good.

use crate::contract::project::{Project, TaskCounts};
use crate::contract::{ProjectId, Timestamp};
use crate::repositories::Job;
use crate::services::error::Error;
use crate::services::unit_of_work::UnitOfWork;

/// By how much the counts change.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CounterDelta {
    pub(crate) total: i64,
    pub(crate) done: i64,
}

impl CounterDelta {
    const fn is_zero(self) -> bool {
        self.total == 0 && self.done == 0
    }
}

/// Changes the counts of a project that is locked, and moves the greatest order key.
///
/// Who has the project at hand as it was `before` gives it: most changes leave the share as it is.
pub(crate) async fn apply(
    unit: &UnitOfWork<'_>,
    project: ProjectId,
    delta: CounterDelta,
    last_position: Option<&str>,
    before: Option<&Project>,
    now: Timestamp,
) -> Result<(), Error> {
    unit.projects().count_tasks(project, delta.total, delta.done, last_position).await?;
    let stays = before.is_some_and(|before| {
        let TaskCounts { total, done } = before.task_counts;
        let after = TaskCounts { total: total + delta.total, done: done + delta.done };
        after.completion_percentage() == before.completion_percentage
    });
    if !stays && !delta.is_zero() {
        unit.jobs().enqueue(&Job::RecalculateCompletion { project }, now, now).await?;
    }
    Ok(())
}
