//! Expiry of unanswered invitations.

use crate::jobs::context::{JobContext, JobResult};

const BATCH_SIZE: u64 = 500;

/// Marks unanswered invitations as expired. Readers already treat them as expired by their expiry time.
pub(super) async fn run(context: &JobContext) -> JobResult {
    loop {
        let transaction = context.begin().await?;
        let expired = transaction.invitations().expire(context.now(), BATCH_SIZE).await?;
        if expired < BATCH_SIZE {
            return context.commit(transaction).await;
        }
        transaction.commit().await?;
    }
}
