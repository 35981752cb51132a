//! Delivers to one webhook what is due, and goes on as long as there is anything to come.

use super::JobHandlers;
use super::purge_deleted::purge_deliveries;
use crate::contract::WebhookId;
use crate::jobs::context::{JobContext, JobError};
use crate::services::DispatchResult;

impl JobHandlers {
    /// One run. Before its end it holds the job and then looks what is to come: who promises a delivery meanwhile
    /// either is seen, or waits for the end and has the job run again. So none is forgotten.
    pub(super) async fn deliver_webhook(&self, webhook: WebhookId, context: &JobContext) -> Result<(), JobError> {
        let deliveries = &self.services.deliveries;
        let mut round = match deliveries.dispatch_due(webhook, context.lane).await? {
            DispatchResult::Sent(round) => round,
            DispatchResult::Deferred(lane, at) => return context.requeue(context.begin().await?, lane, at).await,
            DispatchResult::WebhookDeleted => return remove(webhook, context).await,
        };
        let _turn = deliveries.acquire_db().await;
        let transaction = context.begin().await?;
        context.lock(&*transaction).await?;
        let next = deliveries.record_attempts(&*transaction, &round).await?;
        if let Some(failure) = round.take_failure() {
            // What was sent is noted all the same.
            transaction.commit().await?;
            return Err(failure.into());
        }
        match next {
            Some((lane, at)) => context.requeue(transaction, lane, at).await,
            None => context.commit(transaction).await,
        }
    }
}

/// Removes what is left of a webhook that was removed. It does not hold the job, because whoever has the webhook to
/// promise something to it may wait for that.
async fn remove(webhook: WebhookId, context: &JobContext) -> Result<(), JobError> {
    purge_deliveries(webhook, context).await?;
    let transaction = context.begin().await?;
    transaction.webhook_maintenance().purge_webhook(webhook).await?;
    transaction.commit().await?;
    context.complete().await
}
