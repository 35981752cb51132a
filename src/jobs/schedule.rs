//! Cron schedule.
//!
//! The schedule only enqueues jobs, deduplicated by their tick: a tick is one job, regardless of the number of processes.
//! The next start or the next tick makes up for a missed one, because the jobs process everything that is due.

use std::sync::Arc;

use tokio_cron_scheduler::{Job as Tick, JobScheduler, JobSchedulerError};

use crate::contract::Timestamp;
use crate::repositories::{Job, Store, StoreError};
use crate::services::Clock;

/// Capacity of the library's internal channels, which it allocates up front.
const CHANNEL_CAPACITY: usize = 16;

const MINUTE: i64 = 60_000;

/// Cron jobs: a cron expression in UTC with seconds, its period in milliseconds, and the job.
///
/// Digests are planned every quarter of an hour because some timezones are offset from UTC by that.
const CRON_JOBS: [(&str, i64, Job); 4] = [
    ("0 */15 * * * *", 15 * MINUTE, Job::PlanDigests {}),
    ("0 5 * * * *", 60 * MINUTE, Job::ExpireInvitations {}),
    ("0 0 * * * *", 60 * MINUTE, Job::PurgeDeleted {}),
    ("0 30 * * * *", 60 * MINUTE, Job::Prune {}),
];

/// Enqueues the cron jobs.
pub struct Schedule {
    store: Arc<dyn Store>,
    clock: Clock,
}

impl Schedule {
    /// Creates a schedule over a store.
    #[must_use]
    pub const fn new(store: Arc<dyn Store>, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// Enqueues the latest tick of each job and starts the scheduler, which runs until it is shut down.
    pub async fn start(self) -> Result<JobScheduler, JobSchedulerError> {
        let this = Arc::new(self);
        let scheduler = JobScheduler::new_with_channel_size(CHANNEL_CAPACITY).await?;
        for (expression, period, job) in CRON_JOBS {
            this.enqueue_tick(job, period).await;
            let this = Arc::clone(&this);
            let tick = Tick::new_async(expression, move |_, _| {
                let this = Arc::clone(&this);
                Box::pin(async move { this.enqueue_tick(job, period).await })
            })?;
            scheduler.add(tick).await?;
        }
        scheduler.start().await?;
        Ok(scheduler)
    }

    async fn enqueue_tick(&self, job: Job, period: i64) {
        if let Err(error) = self.tick(job, period).await {
            tracing::warn!(%error, job.kind = job.kind(), "failed to enqueue a cron job; the next tick will make up for it");
        }
    }

    /// Enqueues the job of the latest tick, and returns false if that tick was enqueued before.
    pub async fn tick(&self, job: Job, period: i64) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let slot = Timestamp(now.0 - now.0.rem_euclid(period));
        let transaction = self.store.begin().await?;
        let enqueued = transaction.jobs().enqueue_once(&job, &format!("{} {slot}", job.kind()), now).await?;
        transaction.commit().await?;
        Ok(enqueued)
    }
}
