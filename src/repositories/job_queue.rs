//! The durable job queue, as producers, workers and operators see it.
//!
//! A pending job is claimed under a lease, then completed, scheduled for a retry, or moved to the dead letters. All of
//! these require the token of the lease, so a worker whose job was claimed again cannot change it. An expired lease
//! makes the job due again, which is how jobs survive a crash.

use async_trait::async_trait;
use strum::{EnumString, IntoStaticStr};
use uuid::Uuid;

use super::error::StoreError;
use super::job::{Job, Queue};
use crate::contract::{Timestamp, WebhookId};

/// A job claimed by a worker.
#[derive(Debug)]
pub struct LeasedJob {
    /// The lease under which it runs.
    pub lease: Lease,
    /// Queue from which it was claimed.
    pub queue: Queue,
    /// Name of its kind.
    pub kind: &'static str,
    /// The job, if this version can decode it.
    pub job: Result<Job, StoreError>,
    /// Number of attempts, including this one.
    pub attempts: u32,
    /// Trace in which it was enqueued (W3C Trace Context).
    pub traceparent: Option<String>,
}

/// Exclusive right to finish a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Id of the job.
    pub id: Uuid,
    /// Token of the holder.
    pub token: Uuid,
}

/// State of an unfinished job. The names of the variants are stored and shown to operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum JobState {
    /// Waits for its time.
    Pending,
    /// Leased to a worker.
    Running,
    /// Out of attempts, or failed permanently.
    Dead,
}

/// An unfinished job, as an operator sees it.
#[derive(Debug, Clone)]
pub struct JobRecord {
    /// Id of the job.
    pub id: Uuid,
    /// Name of its kind.
    pub kind: String,
    /// Arguments, as JSON.
    pub payload: String,
    /// State of the job.
    pub state: JobState,
    /// Number of attempts so far.
    pub attempts: u32,
    /// Time from which it may be claimed; for a running job, the end of its lease.
    pub run_at: Timestamp,
    /// Time at which it was enqueued.
    pub created_at: Timestamp,
    /// Error of the last failed attempt.
    pub last_error: Option<String>,
}

/// Producer side of the queue.
#[async_trait]
pub trait JobRepository: Send + Sync {
    /// Enqueues a job for `run_at`; `false` if it was deduplicated.
    ///
    /// An existing job is not claimed before the end of this transaction, so it sees the changes of this transaction.
    async fn enqueue(&self, job: &Job, now: Timestamp, run_at: Timestamp) -> Result<bool, StoreError>;

    /// Enqueues and locks the delivery jobs of webhooks, and returns how many are new.
    ///
    /// An existing job stays in its queue.
    async fn enqueue_deliveries(&self, webhooks: &[(WebhookId, Queue)], now: Timestamp) -> Result<usize, StoreError>;

    /// Enqueues a job at most once per key, such as the tick of a schedule.
    async fn enqueue_once(&self, job: &Job, key: &str, now: Timestamp) -> Result<bool, StoreError>;
}

/// Worker and operator side of the queue.
#[async_trait]
pub trait QueueRepository: Send + Sync {
    /// Claims at most `limit` due jobs, the oldest first, under a lease.
    ///
    /// Kinds that this version does not know are skipped: a newer version may be running beside it.
    async fn claim(
        &self,
        queues: &[Queue],
        limit: u64,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<LeasedJob>, StoreError>;

    /// Returns for each of some queues when its next job becomes due.
    async fn list_due(&self, queues: &[Queue]) -> Result<Vec<(Queue, Option<Timestamp>)>, StoreError>;

    /// Extends a lease; `false` if it was lost.
    async fn extend_lease(&self, lease: Lease, until: Timestamp) -> Result<bool, StoreError>;

    /// Completes a job; `false` if the lease was lost: the caller must roll back.
    async fn complete(&self, lease: Lease, now: Timestamp) -> Result<bool, StoreError>;

    /// Schedules another attempt after a failure; `false` if the lease was lost.
    async fn retry_later(&self, lease: Lease, run_at: Timestamp, error: &str) -> Result<bool, StoreError>;

    /// Returns a successful job to a queue, with all its attempts.
    async fn requeue(&self, lease: Lease, queue: Queue, run_at: Timestamp) -> Result<bool, StoreError>;

    /// Moves a job to the dead letters; `false` if the lease was lost.
    async fn dead_letter(&self, lease: Lease, now: Timestamp, error: &str) -> Result<bool, StoreError>;

    /// Releases a job as if it had not been claimed.
    async fn release(&self, lease: Lease, now: Timestamp) -> Result<(), StoreError>;

    /// Lists the unfinished jobs, the oldest first.
    async fn list_unfinished(&self) -> Result<Vec<JobRecord>, StoreError>;

    /// Counts the unfinished jobs by kind and state. Kinds that this version does not know are `unknown`.
    async fn count_unfinished(&self) -> Result<Vec<(&'static str, JobState, i64)>, StoreError>;

    /// Makes a pending or dead job due now; `false` if there is no such job.
    async fn retry(&self, id: Uuid, now: Timestamp) -> Result<bool, StoreError>;
}
