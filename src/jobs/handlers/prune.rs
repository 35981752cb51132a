//! Throws away what has served its purpose, and looks after what was left lying.

use std::time::Duration;

use crate::jobs::context::{JobContext, JobError};
use crate::repositories::Prunable;
use crate::services::Services;

/// As many rows go in one transaction.
const BATCH_SIZE: u64 = 500;

const DAY: Duration = Duration::from_hours(24);

/// How long each is kept after its end. `retention` is how long the operator keeps what users may ask about.
fn retention_for(what: Prunable, retention: Duration) -> Duration {
    match what {
        // Counted from the claim; they are good for a day.
        Prunable::IdempotencyKeys => DAY + Duration::from_hours(1),
        Prunable::RefreshTokens | Prunable::EmailTokens => Duration::from_hours(1),
        // Access tokens of an ended session are refused as long as they would be good, a day at most.
        Prunable::EndedSessions | Prunable::ExpiredSessions => DAY * 2,
        // Nothing is signed with them from that moment on.
        Prunable::PreviousSecrets => Duration::ZERO,
        // So that whoever goes on to use one is told that it was revoked or has expired.
        // Deliveries are a log that their owners read.
        Prunable::RevokedApiTokens | Prunable::ExpiredApiTokens | Prunable::Events | Prunable::Deliveries => retention,
        // The longest time within which the same job may be promised twice is a week.
        Prunable::CompletedJobs => DAY * 8,
    }
}

pub(super) async fn run(services: &Services, context: &JobContext) -> Result<(), JobError> {
    let mut beyond = services.deliveries.requeue_stalled(None).await?;
    while beyond.is_some() {
        beyond = services.deliveries.requeue_stalled(beyond).await?;
    }
    let retention = services.retention();
    for what in Prunable::ALL {
        let before = context.now() - retention_for(what, retention);
        loop {
            let transaction = context.begin().await?;
            let discarded = transaction.maintenance().prune(what, before, BATCH_SIZE).await?;
            transaction.commit().await?;
            if discarded < BATCH_SIZE {
                break;
            }
        }
    }
    context.complete().await
}
