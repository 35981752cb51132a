//! One job in the hands of a worker.

use std::sync::Arc;

use uuid::Uuid;

use crate::contract::Timestamp;
use crate::mail::MailError;
use crate::repositories::{Lane, Lease, Store, StoreError, Transaction};
use crate::services::{self, Clock};

/// One job in the hands of a worker, who ends it by a commit.
pub struct Assignment {
    pub(super) lease: Lease,
    pub(super) lane: Lane,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Clock,
}

/// Why a job was not done.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Another attempt may succeed.
    #[error(transparent)]
    Passing(Box<dyn std::error::Error + Send + Sync>),
    /// No attempt will.
    #[error(transparent)]
    Final(Box<dyn std::error::Error + Send + Sync>),
    /// The lease went to somebody else, who does it now.
    #[error("the lease went to another worker")]
    Lost,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Passing(Box::new(error))
    }
}

impl From<services::Error> for Failure {
    fn from(error: services::Error) -> Self {
        Self::Passing(Box::new(error))
    }
}

impl From<MailError> for Failure {
    fn from(error: MailError) -> Self {
        match error {
            MailError::Refused(_) => Self::Final(Box::new(error)),
            MailError::Failed(_) | MailError::Settings(_) => Self::Passing(Box::new(error)),
        }
    }
}

impl From<askama::Error> for Failure {
    fn from(error: askama::Error) -> Self {
        Self::Final(Box::new(error))
    }
}

impl Assignment {
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
    pub async fn begin(&self) -> Result<Box<dyn Transaction>, Failure> {
        Ok(self.store.begin().await?)
    }

    /// Makes the last changes durable together with the end of the job; neither where the lease was lost.
    pub async fn commit(&self, transaction: Box<dyn Transaction>) -> Result<(), Failure> {
        if !transaction.queue().finish(self.lease, self.now()).await? {
            return Err(Failure::Lost);
        }
        Ok(transaction.commit().await?)
    }

    /// Keeps others from promising or ending the job until the end of the transaction.
    pub async fn hold(&self, transaction: &dyn Transaction) -> Result<(), Failure> {
        if transaction.queue().hold(self.lease).await? { Ok(()) } else { Err(Failure::Lost) }
    }

    /// Makes the last changes durable, and has the job go on later.
    pub async fn go_on(&self, transaction: Box<dyn Transaction>, lane: Lane, at: Timestamp) -> Result<(), Failure> {
        if !transaction.queue().go_on(self.lease, lane, at).await? {
            return Err(Failure::Lost);
        }
        Ok(transaction.commit().await?)
    }

    /// Notes that the job is done, whose effect was outside.
    pub async fn done(&self) -> Result<(), Failure> {
        self.commit(self.begin().await?).await
    }
}
