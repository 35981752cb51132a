//! Jobs that come by the clock.
//!
//! The clock only promises them, under the name of its tick: however many processes have one, a tick is one job. A tick
//! that everybody missed is made up for at the next start, or by the next tick; the jobs do whatever there is to do.

use std::sync::Arc;

use tokio_cron_scheduler::{Job as Tick, JobScheduler, JobSchedulerError};

use crate::contract::Timestamp;
use crate::repositories::{Job, Store, StoreError};
use crate::services::Clock;

/// As many messages the library keeps between its own parts, each of which has its room from the start.
const CHANNEL_CAPACITY: usize = 16;

const MINUTE: i64 = 60_000;

/// What comes when: a cron expression in UTC with seconds, the same in milliseconds, and the job.
///
/// Digests are planned every quarter of an hour, because there are time zones that differ from UTC by that.
const CRON_JOBS: [(&str, i64, Job); 4] = [
    ("0 */15 * * * *", 15 * MINUTE, Job::PlanDigests {}),
    ("0 5 * * * *", 60 * MINUTE, Job::ExpireInvitations {}),
    ("0 0 * * * *", 60 * MINUTE, Job::PurgeDeleted {}),
    ("0 30 * * * *", 60 * MINUTE, Job::Prune {}),
];

/// A clock that promises jobs.
pub struct Schedule {
    store: Arc<dyn Store>,
    clock: Clock,
}

impl Schedule {
    /// Promises jobs in a store, by a clock.
    #[must_use]
    pub const fn new(store: Arc<dyn Store>, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// Begins to tick, until what it gives is shut down. What should have come lately comes at once.
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
            tracing::warn!(%error, job.kind = job.kind(), "a tick is missed; the next one makes up for it");
        }
    }

    /// Promises the job of the tick that came last, if nobody has.
    pub async fn tick(&self, job: Job, period: i64) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let slot = Timestamp(now.0 - now.0.rem_euclid(period));
        let transaction = self.store.begin().await?;
        let promised = transaction.jobs().enqueue_once(&job, &format!("{} {slot}", job.kind()), now).await?;
        transaction.commit().await?;
        Ok(promised)
    }
}
