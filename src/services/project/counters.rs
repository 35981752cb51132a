//! Counters of a project: its tasks, and the bytes of its text.
//!
//! The counters change in the transaction of the tasks. A job computes the completion percentage from them, so the
//! percentage lags behind for a moment.

use crate::contract::{ProjectId, Timestamp};
use crate::repositories::{Completion, CounterDelta, Job, Write};
use crate::services::{Error, UnitOfWork};

/// Change of the counters of a locked project.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CounterChange<'a> {
    pub(crate) project: ProjectId,
    pub(crate) delta: CounterDelta,
    /// The greatest position, if it changes.
    pub(crate) last_position: Option<&'a str>,
    /// Completion of the project before the change.
    pub(crate) before: Completion,
    pub(crate) now: Timestamp,
}

impl<'a> CounterChange<'a> {
    /// Returns the write of the counters.
    pub(crate) const fn write(self) -> Write<'a> {
        let Self { project, delta, last_position, .. } = self;
        Write::AdjustCounters { project, delta, last_position }
    }

    /// Returns the job that recalculates the completion percentage, if it changes.
    fn recalculation(self) -> Option<Job> {
        let has_changed = (self.delta.total, self.delta.done) != (0, 0);
        let is_outdated = has_changed && self.before.is_outdated_by(self.delta);
        is_outdated.then_some(Job::RecalculateCompletion { project: self.project })
    }

    /// Returns all writes of the change.
    pub(crate) fn writes(self) -> impl Iterator<Item = Write<'a>> {
        let now = self.now;
        std::iter::once(self.write()).chain(self.recalculation().map(|job| Write::Enqueue { job, now }))
    }

    /// Applies the change before the last writes of the transaction.
    pub(crate) async fn apply(self, unit: &UnitOfWork<'_>) -> Result<(), Error> {
        unit.projects().adjust_counters(self.project, self.delta, self.last_position).await?;
        if let Some(job) = self.recalculation() {
            unit.jobs().enqueue(&job, self.now, self.now).await?;
        }
        Ok(())
    }
}
