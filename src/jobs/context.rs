//! Context in which a handler runs a job, and the errors by which it fails.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::sleep;
use uuid::Uuid;

use crate::contract::Timestamp;
use crate::mail::MailError;
use crate::repositories::{Job, Lease, Queue, Store, StoreError, Transaction};
use crate::services::{self, Clock};

/// Duration of a pause, as a multiple of the work before it.
const PAUSE_FACTOR: u32 = 3;

/// Maximum duration of a pause.
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// A leased job and its means to read, write and complete itself.
pub struct JobContext {
    pub(in crate::jobs) lease: Lease,
    pub(in crate::jobs) queue: Queue,
    pub(in crate::jobs) store: Arc<dyn Store>,
    pub(in crate::jobs) clock: Clock,
}

/// Reason why a job was not completed.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The job is retried with backoff.
    #[error(transparent)]
    Transient(Box<dyn std::error::Error + Send + Sync>),
    /// The job is dead-lettered.
    #[error(transparent)]
    Permanent(Box<dyn std::error::Error + Send + Sync>),
    /// Another worker has claimed the job.
    #[error("the lease went to another worker")]
    LeaseLost,
}

/// Result of a step of a job.
pub type JobResult<T = ()> = Result<T, JobError>;

impl From<StoreError> for JobError {
    fn from(error: StoreError) -> Self {
        Self::Transient(Box::new(error))
    }
}

impl From<services::Error> for JobError {
    fn from(error: services::Error) -> Self {
        Self::Transient(Box::new(error))
    }
}

impl From<MailError> for JobError {
    fn from(error: MailError) -> Self {
        match error {
            MailError::Refused(_) | MailError::Template(_) => Self::Permanent(Box::new(error)),
            MailError::Failed(_) | MailError::Settings(_) => Self::Transient(Box::new(error)),
        }
    }
}

/// Runs jobs.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Enqueues the jobs that new events cause. Returns whether there may be more events.
    async fn enqueue_from_feed(&self) -> JobResult<bool> {
        Ok(false)
    }

    /// Runs one job and commits its completion.
    async fn handle(&self, job: Job, context: &JobContext) -> JobResult;
}

impl JobContext {
    /// Job id.
    #[must_use]
    pub const fn id(&self) -> Uuid {
        self.lease.id
    }

    /// Current time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Pauses after a portion of work that began at a time, so that requests do not wait for one portion after another.
    pub async fn pause_after(&self, began: Timestamp) {
        // Measured with the clock of the job, so that tests do not wait.
        sleep(pause_after(began, self.now())).await;
    }

    /// Opens a transaction.
    pub async fn begin(&self) -> JobResult<Box<dyn Transaction>> {
        Ok(self.store.begin().await?)
    }

    /// Commits the transaction together with the completion of the job. Nothing is committed if the lease was lost.
    pub async fn commit(&self, transaction: Box<dyn Transaction>) -> JobResult {
        if !transaction.queue().complete(self.lease, self.now()).await? {
            return Err(JobError::LeaseLost);
        }
        Ok(transaction.commit().await?)
    }

    /// Commits the transaction and requeues the job to run again at the given time.
    pub async fn requeue(&self, transaction: Box<dyn Transaction>, queue: Queue, at: Timestamp) -> JobResult {
        if !transaction.queue().requeue(self.lease, queue, at).await? {
            return Err(JobError::LeaseLost);
        }
        Ok(transaction.commit().await?)
    }

    /// Completes a job whose effect is already durable.
    pub async fn complete(&self) -> JobResult {
        self.commit(self.begin().await?).await
    }
}

/// Duration of the pause after work of this duration.
fn pause_after(began: Timestamp, now: Timestamp) -> Duration {
    let elapsed = Duration::from_millis((now.0 - began.0).max(0).unsigned_abs());
    elapsed.saturating_mul(PAUSE_FACTOR).min(MAX_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_a_multiple_of_the_work_before_it_and_bounded() {
        for (began, now, pause) in [(0, 0, 0), (5, 25, 60), (0, 3_000, 1_000), (9, 0, 0)] {
            assert_eq!(pause_after(Timestamp(began), Timestamp(now)), Duration::from_millis(pause));
        }
    }
}
