//! Prunes rows past their retention period, requeues stalled webhooks, disables those of expired API tokens, and returns
//! the space of removed rows to the file system.

use std::time::Duration;

use strum::VariantArray as _;

use crate::jobs::context::{JobContext, JobResult};
use crate::repositories::Prunable;
use crate::services::{KNOWN_ADDRESS_TTL, Services};

const BATCH_SIZE: u64 = 500;

const DAY: Duration = Duration::from_hours(24);

/// Returns how long rows are kept after their end. `retention` is the configured period for what users can read.
fn retention_for(what: Prunable, retention: Duration) -> Duration {
    match what {
        // Counted from the claim; a key is valid for a day.
        Prunable::IdempotencyKeys => DAY + Duration::from_hours(1),
        // Of rate limits, longer than the clocks of the database and of this process may differ.
        Prunable::RefreshTokens | Prunable::EmailTokens | Prunable::RateLimits => Duration::from_hours(1),
        // An access token of an ended session is rejected until its own expiry, at most a day.
        Prunable::EndedSessions | Prunable::ExpiredSessions => DAY * 2,
        // Their end is the last moment at which they sign or count.
        Prunable::PreviousSecrets | Prunable::Counters | Prunable::StreamTickets => Duration::ZERO,
        Prunable::KnownAddresses => KNOWN_ADDRESS_TTL,
        // A client with a revoked or expired token receives that reason for as long as the row exists.
        Prunable::RevokedApiTokens | Prunable::ExpiredApiTokens | Prunable::Events | Prunable::Deliveries => retention,
        Prunable::AuditEntries => DAY * 365,
        // Longer than the events that refer to a text: the time of its last use is a day late at most.
        Prunable::LongTexts => retention + DAY * 2,
        // The same job can be enqueued twice within a week.
        Prunable::CompletedJobs => DAY * 8,
    }
}

pub(super) async fn run(services: &Services, context: &JobContext) -> JobResult {
    let mut beyond = services.deliveries.requeue_stalled(None).await?;
    while beyond.is_some() {
        beyond = services.deliveries.requeue_stalled(beyond).await?;
    }
    services.api_tokens.disable_expired_webhooks().await?;
    // Again, because a process with the former settings may have written in the meantime.
    services.key_rotation.enqueue().await?;
    let retention = services.retention();
    for &what in Prunable::VARIANTS {
        let before = context.now() - retention_for(what, retention);
        loop {
            let began = context.now();
            let transaction = context.begin().await?;
            let discarded = transaction.maintenance().prune(what, before, BATCH_SIZE).await?;
            transaction.commit().await?;
            if discarded < BATCH_SIZE {
                break;
            }
            context.pause_after(began).await;
        }
    }
    loop {
        let began = context.now();
        if !context.store.release_free_pages().await? {
            return Ok(());
        }
        context.pause_after(began).await;
    }
}
