//! Delivers to one webhook what is due, and goes on as long as there is anything to come.

use super::purge_deleted::purge_deliveries;
use super::{Assignment, Failure, Work};
use crate::contract::WebhookId;
use crate::services::Run;

impl Work {
    /// One run. Before its end it holds the job and then looks what is to come: who promises a delivery meanwhile
    /// either is seen, or waits for the end and has the job run again. So none is forgotten.
    pub(super) async fn deliver_webhook(&self, webhook: WebhookId, assignment: &Assignment) -> Result<(), Failure> {
        let deliveries = &self.services.deliveries;
        let mut round = match deliveries.send_due(webhook, assignment.lane).await? {
            Run::Made(round) => round,
            Run::Elsewhere(lane, at) => return assignment.go_on(assignment.begin().await?, lane, at).await,
            Run::Removed => return remove(webhook, assignment).await,
        };
        let _turn = deliveries.turn().await;
        let transaction = assignment.begin().await?;
        assignment.hold(&*transaction).await?;
        let next = deliveries.note(&*transaction, &round).await?;
        if let Some(failure) = round.take_failure() {
            // What was sent is noted all the same.
            transaction.commit().await?;
            return Err(failure.into());
        }
        match next {
            Some((lane, at)) => assignment.go_on(transaction, lane, at).await,
            None => assignment.commit(transaction).await,
        }
    }
}

/// Removes what is left of a webhook that was removed. It does not hold the job, because whoever has the webhook to
/// promise something to it may wait for that.
async fn remove(webhook: WebhookId, assignment: &Assignment) -> Result<(), Failure> {
    purge_deliveries(webhook, assignment).await?;
    let transaction = assignment.begin().await?;
    transaction.upkeep().purge_webhook(webhook).await?;
    transaction.commit().await?;
    assignment.done().await
}
