//! One job in the hands of a worker.

use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use crate::contract::Timestamp;
use crate::mail::MailError;
use crate::repositories::{Job, Lease, Queue, Store, StoreError, Transaction};
use crate::services::{self, Clock};

/// One job in the hands of a worker, who ends it by a commit.
pub struct JobContext {
    pub(in crate::jobs) lease: Lease,
    pub(in crate::jobs) lane: Queue,
    pub(in crate::jobs) store: Arc<dyn Store>,
    pub(in crate::jobs) clock: Clock,
}

/// Why a job was not done.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// Another attempt may succeed.
    #[error(transparent)]
    Transient(Box<dyn std::error::Error + Send + Sync>),
    /// No attempt will.
    #[error(transparent)]
    Permanent(Box<dyn std::error::Error + Send + Sync>),
    /// The lease went to somebody else, who does it now.
    #[error("the lease went to another worker")]
    LeaseLost,
}

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
            MailError::Refused(_) => Self::Permanent(Box::new(error)),
            MailError::Failed(_) | MailError::Settings(_) => Self::Transient(Box::new(error)),
        }
    }
}

impl From<askama::Error> for JobError {
    fn from(error: askama::Error) -> Self {
        Self::Permanent(Box::new(error))
    }
}

/// Runs jobs.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Runs one job and commits its completion.
    async fn handle(&self, job: Job, context: &JobContext) -> Result<(), JobError>;
}

impl JobContext {
    /// Tells this job from all others.
    #[must_use]
    pub const fn id(&self) -> Uuid {
        self.lease.id
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Opens a transaction.
    pub async fn begin(&self) -> Result<Box<dyn Transaction>, JobError> {
        Ok(self.store.begin().await?)
    }

    /// Makes the last changes durable together with the end of the job; neither where the lease was lost.
    pub async fn commit(&self, transaction: Box<dyn Transaction>) -> Result<(), JobError> {
        if !transaction.queue().complete(self.lease, self.now()).await? {
            return Err(JobError::LeaseLost);
        }
        Ok(transaction.commit().await?)
    }

    /// Keeps others from promising or ending the job until the end of the transaction.
    pub async fn lock(&self, transaction: &dyn Transaction) -> Result<(), JobError> {
        if transaction.queue().lock(self.lease).await? { Ok(()) } else { Err(JobError::LeaseLost) }
    }

    /// Makes the last changes durable, and has the job go on later.
    pub async fn requeue(&self, transaction: Box<dyn Transaction>, lane: Queue, at: Timestamp) -> Result<(), JobError> {
        if !transaction.queue().requeue(self.lease, lane, at).await? {
            return Err(JobError::LeaseLost);
        }
        Ok(transaction.commit().await?)
    }

    /// Notes that the job is done, whose effect was outside.
    pub async fn complete(&self) -> Result<(), JobError> {
        self.commit(self.begin().await?).await
    }
}
