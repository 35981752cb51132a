//! Writes at the end of a transaction.

use super::idempotency::StoredResponse;
use super::job::Job;
use super::projects::CounterDelta;
use crate::contract::task::Task;
use crate::contract::{ProjectId, Timestamp, UserId};

/// A write whose result nothing depends on, so that it can share a round trip with others.
///
/// The writes of one call concern different rows, each of which must exist unless the write adds it.
#[derive(Debug, Clone, Copy)]
pub enum Write<'a> {
    /// Adds a task.
    AddTask(&'a Task),
    /// Updates the mutable fields of a task.
    UpdateTask(&'a Task),
    /// Adds to the counters of a project.
    AdjustCounters {
        /// The project, which is locked.
        project: ProjectId,
        /// Change of its counters.
        delta: CounterDelta,
        /// The greatest order key, if it changes.
        last_position: Option<&'a str>,
    },
    /// Enqueues a job for `now`, unless it is pending.
    Enqueue {
        /// The job.
        job: Job,
        /// Current time.
        now: Timestamp,
    },
    /// Stores the response with the idempotency key that this transaction has claimed.
    StoreResponse {
        /// Owner of the key.
        user: UserId,
        /// The key.
        key: &'a str,
        /// The response.
        response: &'a StoredResponse,
    },
}
