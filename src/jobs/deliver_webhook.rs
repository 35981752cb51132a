//! Delivers to one webhook what is due, and goes on as long as there is anything to come.

use super::{Assignment, Failure, Work};
use crate::contract::WebhookId;

impl Work {
    /// One run. Before its end it holds the job and then looks what is to come: who promises a delivery meanwhile
    /// either is seen, or waits for the end and has the job run again. So none is forgotten.
    pub(super) async fn deliver_webhook(&self, webhook: WebhookId, assignment: &Assignment) -> Result<(), Failure> {
        let round = self.services.deliveries.send_due(webhook).await?;
        let transaction = assignment.begin().await?;
        assignment.hold(&*transaction).await?;
        match self.services.deliveries.note(&*transaction, round).await? {
            Some((lane, at)) => assignment.go_on(transaction, lane, at).await,
            None => assignment.commit(transaction).await,
        }
    }
}
