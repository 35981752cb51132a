//! Notes which invitations were not answered in time. They count as expired by then anyway; now it is written down.

use crate::jobs::context::{JobContext, JobError};

/// As many rows go in one transaction.
const BATCH_SIZE: u64 = 500;

pub(super) async fn run(context: &JobContext) -> Result<(), JobError> {
    loop {
        let transaction = context.begin().await?;
        let expired = transaction.invitations().expire(context.now(), BATCH_SIZE).await?;
        if expired < BATCH_SIZE {
            return context.commit(transaction).await;
        }
        transaction.commit().await?;
    }
}
