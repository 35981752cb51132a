//! Takes jobs from the queue and sees to it that each is done, put off or buried.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::{Id, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::backoff::backoff;
use super::context::{Handler, JobContext, JobError};
use crate::contract::Timestamp;
use crate::repositories::{Job, Lease, LeasedJob, Queue, Store, StoreError};
use crate::services::{Clock, error_chain};

/// How often a job is begun at most. With the pauses between, that is some seven hours.
const MAX_ATTEMPTS: u32 = 50;

/// How many webhooks are delivered to at once, in each of their two lanes. Many, because all that a run does is wait for
/// a receiver; what it takes while it waits is limited where it is done.
const MAX_CONCURRENT_DELIVERIES: usize = 128;

/// How long it may take to hand back what does not end.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long things take.
#[derive(Debug, Clone, Copy)]
pub struct RunnerTimings {
    /// How long a lease is good, unless it is extended: after so long the jobs of a worker that died go to another.
    pub lease: Duration,
    /// How often the queue is looked at when nobody rings.
    pub poll_interval: Duration,
    /// How long jobs may go on after the end was asked for.
    pub grace: Duration,
}

impl Default for RunnerTimings {
    fn default() -> Self {
        Self { lease: Duration::from_secs(30), poll_interval: Duration::from_secs(2), grace: Duration::from_secs(20) }
    }
}

/// Workers on a queue.
#[derive(Clone)]
pub struct Runner {
    store: Arc<dyn Store>,
    clock: Clock,
    handler: Arc<dyn Handler>,
    workers: usize,
    timings: RunnerTimings,
}

/// What runs, and what by.
type RunningJobs = HashMap<Id, (Queue, Lease)>;

impl Runner {
    /// At most `workers` jobs run at once, beside those that deliver to webhooks.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Clock,
        handler: Arc<dyn Handler>,
        workers: usize,
        timings: RunnerTimings,
    ) -> Self {
        Self { store, clock, handler, workers: workers.max(1), timings }
    }

    /// Works until `shutdown`; then lets what runs go on for a while, and hands back the rest.
    pub async fn run(&self, shutdown: CancellationToken) {
        let mut running = JoinSet::new();
        let mut leases = RunningJobs::new();
        while !shutdown.is_cancelled() {
            let pause = match self.claim_jobs(&mut running, &mut leases).await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::warn!(%error, "the queue of jobs cannot be read");
                    self.timings.poll_interval
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => {}
                Some(ended) = running.join_next_with_id() => untrack(&mut leases, &ended),
                () = self.store.wait_for_jobs() => {}
                () = sleep(pause) => {}
            }
            while let Some(ended) = running.try_join_next_with_id() {
                untrack(&mut leases, &ended);
            }
        }
        let finishing = async {
            while let Some(ended) = running.join_next_with_id().await {
                untrack(&mut leases, &ended);
            }
        };
        if timeout(self.timings.grace, finishing).await.is_err() {
            running.shutdown().await;
            let handing_back = async {
                for (_, lease) in leases.into_values() {
                    self.release(lease).await?;
                }
                Ok::<_, StoreError>(())
            };
            match timeout(RELEASE_TIMEOUT, handing_back).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "jobs are not handed back; they go on when their leases end"),
                Err(_) => tracing::warn!("handing jobs back takes too long; they go on when their leases end"),
            }
        }
    }

    /// Begins as many jobs as there are workers for, and says how long to wait for the next.
    async fn claim_jobs(&self, running: &mut JoinSet<()>, leases: &mut RunningJobs) -> Result<Duration, StoreError> {
        let mut pause = self.timings.poll_interval;
        for lane in Queue::ALL {
            loop {
                let free = self.capacity(lane, leases);
                if free == 0 {
                    break;
                }
                // Looking costs a reader; only who finds something waits for the writer.
                let Some(due) = self.store.read().queue().next_due(&[lane]).await? else { break };
                let now = self.clock.now();
                if due > now {
                    pause = pause.min(Duration::from_millis((due.0 - now.0).unsigned_abs()));
                    break;
                }
                let taken = self.claim(&[lane], free).await?;
                if taken.is_empty() {
                    break;
                }
                for job in taken {
                    let (this, lease) = (self.clone(), job.lease);
                    let task = running.spawn(async move { this.run_job(job).await });
                    leases.insert(task.id(), (lane, lease));
                }
            }
        }
        Ok(pause)
    }

    /// How many more jobs of a lane may begin.
    fn capacity(&self, lane: Queue, leases: &RunningJobs) -> usize {
        let busy = |wanted: &[Queue]| leases.values().filter(|(lane, _)| wanted.contains(lane)).count();
        match lane {
            Queue::Default | Queue::Mail => {
                // Each of the two leaves a worker to the other, if there is more than one.
                let most = (self.workers - 1).max(1);
                let free = self.workers.saturating_sub(busy(&[Queue::Default, Queue::Mail]));
                free.min(most.saturating_sub(busy(&[lane])))
            }
            // They wait for receivers and do little else: they have places of their own, and those that fail take none
            // of the others.
            Queue::Webhooks | Queue::WebhooksDegraded => MAX_CONCURRENT_DELIVERIES.saturating_sub(busy(&[lane])),
        }
    }

    /// Does all jobs of these lanes that are due now, one after the other, and says how many.
    pub async fn run_due(&self, lanes: &[Queue]) -> Result<usize, StoreError> {
        let mut count = 0;
        while let Some(job) = self.claim(lanes, 1).await?.pop() {
            self.run_job(job).await;
            count += 1;
        }
        Ok(count)
    }

    async fn claim(&self, lanes: &[Queue], limit: usize) -> Result<Vec<LeasedJob>, StoreError> {
        let now = self.clock.now();
        let transaction = self.store.begin().await?;
        let leased = transaction.queue().claim(lanes, limit as u64, now, now + self.timings.lease).await?;
        if !leased.is_empty() {
            transaction.commit().await?;
        }
        Ok(leased)
    }

    /// Does one job, and notes what became of it.
    async fn run_job(&self, leased: LeasedJob) {
        let LeasedJob { lease, queue, kind, job, attempts } = leased;
        let result = match job {
            Err(error) => Err(JobError::Permanent(Box::new(error))),
            Ok(_) if attempts > MAX_ATTEMPTS => Err(JobError::Permanent("its workers die of it".into())),
            Ok(job) => self.run_handler(job, lease, queue).await,
        };
        let noted = match result {
            Ok(()) => {
                tracing::debug!(job.id = %lease.id, job.kind = kind, job.attempts = attempts, "a job is done");
                Ok(())
            }
            Err(JobError::LeaseLost) => {
                tracing::info!(job.id = %lease.id, job.kind = kind, "the lease of a job went to another worker");
                Ok(())
            }
            Err(JobError::Transient(error)) if attempts < MAX_ATTEMPTS => {
                let (error, pause) = (error_chain(&*error), backoff(attempts));
                tracing::warn!(job.id = %lease.id, job.kind = kind, job.attempts = attempts, error, "a job is put off");
                self.retry_later(lease, self.clock.now() + pause, &error).await
            }
            Err(JobError::Transient(error) | JobError::Permanent(error)) => {
                let error = error_chain(&*error);
                tracing::error!(job.id = %lease.id, job.kind = kind, job.attempts = attempts, error, "a job is dead");
                self.dead_letter(lease, &error).await
            }
        };
        if let Err(error) = noted {
            tracing::warn!(%error, job.id = %lease.id, "what became of a job is not noted; it goes on when its lease ends");
        }
    }

    /// Does one job, whatever happens, and keeps its lease as long as that takes.
    async fn run_handler(&self, job: Job, lease: Lease, lane: Queue) -> Result<(), JobError> {
        let context = JobContext { lease, lane, store: Arc::clone(&self.store), clock: self.clock.clone() };
        let work = AssertUnwindSafe(self.handler.handle(job, &context)).catch_unwind();
        tokio::select! {
            result = work => result.unwrap_or_else(|_| Err(JobError::Transient("it panicked".into()))),
            () = self.heartbeat(lease) => Err(JobError::LeaseLost),
        }
    }

    /// Extends a lease until it is lost.
    async fn heartbeat(&self, lease: Lease) {
        let mut pause = self.timings.lease / 3;
        loop {
            sleep(pause).await;
            pause = match self.extend(lease).await {
                Ok(true) => self.timings.lease / 3,
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(%error, job.id = %lease.id, "a lease is not extended");
                    // While it lasts there is time to try again.
                    self.timings.lease / 30
                }
            };
        }
    }

    async fn extend(&self, lease: Lease) -> Result<bool, StoreError> {
        let transaction = self.store.begin().await?;
        let extended = transaction.queue().extend_lease(lease, self.clock.now() + self.timings.lease).await?;
        transaction.commit().await?;
        Ok(extended)
    }

    async fn retry_later(&self, lease: Lease, run_at: Timestamp, error: &str) -> Result<(), StoreError> {
        let transaction = self.store.begin().await?;
        transaction.queue().retry_later(lease, run_at, error).await?;
        transaction.commit().await
    }

    async fn dead_letter(&self, lease: Lease, error: &str) -> Result<(), StoreError> {
        let transaction = self.store.begin().await?;
        transaction.queue().dead_letter(lease, self.clock.now(), error).await?;
        transaction.commit().await
    }

    async fn release(&self, lease: Lease) -> Result<(), StoreError> {
        let transaction = self.store.begin().await?;
        transaction.queue().release(lease, self.clock.now()).await?;
        transaction.commit().await
    }
}

/// A worker is free again.
fn untrack(leases: &mut RunningJobs, ended: &Result<(Id, ()), tokio::task::JoinError>) {
    let id = ended.as_ref().map_or_else(tokio::task::JoinError::id, |(id, ())| *id);
    leases.remove(&id);
}
