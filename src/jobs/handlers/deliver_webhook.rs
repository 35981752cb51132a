//! Delivery of the due messages of a webhook.

use super::job_handlers::JobHandlers;
use super::purge_deleted::purge_deliveries;
use crate::contract::WebhookId;
use crate::jobs::context::{JobContext, JobResult};
use crate::services::DispatchResult;

impl JobHandlers {
    /// Sends the due deliveries of a webhook, records their outcome, and requeues the job while more are to come.
    pub(super) async fn deliver_webhook(&self, webhook: WebhookId, context: &JobContext) -> JobResult {
        let deliveries = &self.services.deliveries;
        let mut batch = match deliveries.dispatch_due(webhook, context.queue).await? {
            DispatchResult::Sent(batch) => batch,
            DispatchResult::Deferred(queue, at) => return context.requeue(context.begin().await?, queue, at).await,
            DispatchResult::WebhookDeleted => return purge_webhook(webhook, context).await,
        };
        let _db_permit = deliveries.acquire_db().await;
        let transaction = context.begin().await?;
        let next = deliveries.record_attempts(&*transaction, &batch).await?;
        if let Some(failure) = batch.take_failure() {
            // The outcome of what was sent is recorded even if the rest of the run failed.
            transaction.commit().await?;
            return Err(failure.into());
        }
        match next {
            Some((queue, at)) => context.requeue(transaction, queue, at).await,
            None => context.commit(transaction).await,
        }
    }
}

/// Removes the rows of a deleted webhook.
async fn purge_webhook(webhook: WebhookId, context: &JobContext) -> JobResult {
    purge_deliveries(webhook, context).await?;
    let transaction = context.begin().await?;
    transaction.webhook_maintenance().purge_webhook(webhook).await?;
    context.commit(transaction).await
}
