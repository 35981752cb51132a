//! The durable queue: jobs that were promised, as who promises them, workers and operators see them.
//!
//! A job waits until its time, is leased to a worker, and then is done, put off for another attempt, or buried with
//! what went wrong. Whoever holds a lease holds it by its token: who comes back after the lease went to somebody else
//! changes nothing any more. A lease that ends by itself makes the job due again, which is all that a crash takes.

use async_trait::async_trait;
use uuid::Uuid;

use super::{Job, Queue, StoreError};
use crate::contract::{Timestamp, WebhookId};

/// A job that was leased to a worker.
#[derive(Debug)]
pub struct LeasedJob {
    /// By which it is finished.
    pub lease: Lease,
    /// Where it waited.
    pub queue: Queue,
    /// The name of its kind.
    pub kind: String,
    /// What is to be done, if this program can read it.
    pub job: Result<Job, StoreError>,
    /// How often it was begun, this time included.
    pub attempts: u32,
}

/// The right to finish a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The job.
    pub id: Uuid,
    /// Who holds it.
    pub token: Uuid,
}

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// For its time.
    Pending,
    /// Leased to a worker.
    Running,
    /// It failed too often, or in a way that no other attempt would mend.
    Dead,
}

/// A job that is not done, as an operator sees it.
#[derive(Debug, Clone)]
pub struct JobRecord {
    /// By which it can be retried.
    pub id: Uuid,
    /// The name of its kind.
    pub kind: String,
    /// What it is about, as JSON.
    pub payload: String,
    /// How it stands.
    pub state: JobState,
    /// How often it was begun.
    pub attempts: u32,
    /// When it may be taken; of a running one, when its lease ends.
    pub run_at: Timestamp,
    /// When it was promised.
    pub created_at: Timestamp,
    /// What went wrong the last time.
    pub last_error: Option<String>,
}

/// Promises of jobs.
#[async_trait]
pub trait JobRepository: Send + Sync {
    /// Promises a job for `run_at`; `false` when one like it is there already.
    ///
    /// The one that is there is not begun before the end of this transaction, so it sees what this transaction changed.
    async fn enqueue(&self, job: &Job, now: Timestamp, run_at: Timestamp) -> Result<bool, StoreError>;

    /// Promises the jobs that deliver to these webhooks, each in its queue, and says how many are new; one that is there
    /// already stays in its own queue. All are locked, in the order in which they are named.
    async fn enqueue_deliveries(&self, webhooks: &[(WebhookId, Queue)], now: Timestamp) -> Result<usize, StoreError>;

    /// Promises a job once for a key of the caller's, such as the tick of a schedule.
    async fn enqueue_once(&self, job: &Job, key: &str, now: Timestamp) -> Result<bool, StoreError>;
}

/// The queue, as workers and operators see it.
#[async_trait]
pub trait QueueRepository: Send + Sync {
    /// Leases at most so many jobs of these queues that are due, the oldest first, until `until`. Kinds that this
    /// program does not know are left to those that do.
    async fn claim(
        &self,
        queues: &[Queue],
        limit: u64,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<LeasedJob>, StoreError>;

    /// When the next job of these queues becomes due, if there is one.
    async fn next_due(&self, queues: &[Queue]) -> Result<Option<Timestamp>, StoreError>;

    /// Makes a lease last longer; `false` when it was lost.
    async fn extend_lease(&self, lease: Lease, until: Timestamp) -> Result<bool, StoreError>;

    /// Keeps all others from promising or ending this job until the end of the transaction; `false` when its lease was
    /// lost.
    async fn lock(&self, lease: Lease) -> Result<bool, StoreError>;

    /// Notes that a job is done; `false` when its lease was lost: then its effect must not be committed.
    async fn complete(&self, lease: Lease, now: Timestamp) -> Result<bool, StoreError>;

    /// Puts a job off for another attempt; `false` when its lease was lost.
    async fn retry_later(&self, lease: Lease, run_at: Timestamp, error: &str) -> Result<bool, StoreError>;

    /// Has a job that went well go on at `run_at` in a queue, with all its attempts; `false` when its lease was lost.
    async fn requeue(&self, lease: Lease, queue: Queue, run_at: Timestamp) -> Result<bool, StoreError>;

    /// Puts a job aside for good, until an operator retries it; `false` when its lease was lost.
    async fn dead_letter(&self, lease: Lease, now: Timestamp, error: &str) -> Result<bool, StoreError>;

    /// Gives a job back as if it had not been begun.
    async fn release(&self, lease: Lease, now: Timestamp) -> Result<(), StoreError>;

    /// The jobs that are not done, the oldest first.
    async fn list_unfinished(&self) -> Result<Vec<JobRecord>, StoreError>;

    /// Makes a job that waits or is dead due now, with all its attempts; `false` when there is no such job.
    async fn retry(&self, id: Uuid, now: Timestamp) -> Result<bool, StoreError>;
}
