//! Claims jobs from the queue, runs them, and completes, retries or dead-letters each.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use strum::IntoStaticStr;
use tokio::task::{Id, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use tracing::field::Empty;

use super::backoff::backoff;
use super::context::{Handler, JobContext, JobError, JobResult};
use crate::contract::Timestamp;
use crate::repositories::{Job, Lease, LeasedJob, Queue, Store, StoreError};
use crate::services::{Clock, error_chain};
use crate::telemetry;

/// Attempts before a job is dead-lettered. With backoff, they span about seven hours.
const MAX_ATTEMPTS: u32 = 50;

/// Webhook jobs that run at once in each of the two webhook queues. They mostly wait for receivers; the webhook services
/// limit what they use in that time.
const MAX_CONCURRENT_DELIVERIES: usize = 128;

/// Time after a shutdown begins for a running claim of jobs.
const CLAIM_GRACE: Duration = Duration::from_secs(2);

/// Time limit for releasing unfinished jobs at shutdown.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

/// Durations used by a runner.
#[derive(Debug, Clone, Copy)]
pub struct RunnerTimings {
    /// Lease duration. The jobs of a crashed worker are claimed by another after this time.
    pub lease: Duration,
    /// Interval of polling when no notification arrives.
    pub poll_interval: Duration,
    /// Minimum time between two rounds that commits cause, each of which serves all commits since the last one.
    pub wake_interval: Duration,
    /// Time for running jobs to finish at shutdown.
    pub grace: Duration,
}

impl Default for RunnerTimings {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            poll_interval: Duration::from_secs(2),
            wake_interval: Duration::from_millis(50),
            grace: Duration::from_secs(20),
        }
    }
}

/// Pool of workers on the job queue.
#[derive(Clone)]
pub struct Runner {
    store: Arc<dyn Store>,
    clock: Clock,
    handler: Arc<dyn Handler>,
    workers: usize,
    timings: RunnerTimings,
}

/// Outcome of a run of a job, with its name in metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
enum JobOutcome {
    Completed,
    Retried,
    Dead,
    LeaseLost,
}

/// Queue and lease of each running task.
type RunningJobs = HashMap<Id, (Queue, Lease)>;

impl Runner {
    /// Creates a runner of at most `workers` concurrent jobs, not counting webhook jobs.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Clock,
        handler: Arc<dyn Handler>,
        workers: usize,
        timings: RunnerTimings,
    ) -> Self {
        Self { store, clock, handler, workers: workers.max(1), timings }
    }

    /// Runs jobs until `shutdown`, then waits for running jobs to finish and releases the rest.
    pub async fn run(&self, shutdown: CancellationToken) {
        let mut running = JoinSet::new();
        let mut leases = RunningJobs::new();
        // The end of a job is no reason to read the feed.
        let (mut may_have_events, mut woken) = (true, Instant::now());
        while !shutdown.is_cancelled() {
            // Other processes may have committed while jobs ended here one after the other.
            may_have_events |= woken.elapsed() >= self.timings.poll_interval;
            if may_have_events {
                woken = Instant::now();
            }
            let step = async {
                let has_more_events = may_have_events && self.enqueue_from_feed().await;
                (has_more_events, self.claim_jobs(&mut running, &mut leases).await)
            };
            // A shutdown does not wait for a database that does not respond. A job whose claim is abandoned runs when its
            // lease expires.
            let abandoned = async {
                shutdown.cancelled().await;
                sleep(CLAIM_GRACE).await;
            };
            let (has_more_events, claimed) = tokio::select! {
                ended = step => ended,
                () = abandoned => break,
            };
            let pause = match claimed {
                Ok(_) if has_more_events => Duration::ZERO,
                Ok(pause) => pause,
                Err(error) => {
                    tracing::warn!(%error, "failed to claim jobs");
                    self.timings.poll_interval
                }
            };
            may_have_events = tokio::select! {
                () = shutdown.cancelled() => false,
                Some(ended) = running.join_next_with_id() => {
                    untrack(&mut leases, &ended);
                    false
                }
                () = self.wait_for_commit(woken) => true,
                () = sleep(pause) => true,
            } || has_more_events;
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
            let releasing = async {
                for (_, lease) in leases.into_values() {
                    self.release(lease).await?;
                }
                Ok::<_, StoreError>(())
            };
            match timeout(RELEASE_TIMEOUT, releasing).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%error, "failed to release jobs; they will be retried when their leases expire");
                }
                Err(_) => tracing::warn!("timed out releasing jobs; they will be retried when their leases expire"),
            }
        }
    }

    /// Waits for a commit, not too soon after the workers were woken the last time.
    async fn wait_for_commit(&self, woken: Instant) {
        sleep(self.timings.wake_interval.saturating_sub(woken.elapsed())).await;
        self.store.wait_for_jobs().await;
    }

    /// Starts due jobs while there are free workers. Returns the time until the next poll.
    async fn claim_jobs(&self, running: &mut JoinSet<()>, leases: &mut RunningJobs) -> Result<Duration, StoreError> {
        loop {
            // A read is cheap; the writer is needed only if a job is due.
            let due = self.store.read().queue().list_due(Queue::ALL).await?;
            let now = self.clock.now();
            let (mut pause, mut has_claimed) = (self.timings.poll_interval, false);
            for (queue, due) in due {
                match (due, self.capacity(queue, leases)) {
                    (None, _) | (_, 0) => {}
                    (Some(due), _) if due > now => {
                        pause = pause.min(Duration::from_millis((due.0 - now.0).unsigned_abs()));
                    }
                    (Some(_), free) => {
                        let claimed = self.claim(&[queue], free).await?;
                        has_claimed |= !claimed.is_empty();
                        for job in claimed {
                            let (this, lease) = (self.clone(), job.lease);
                            let task = running.spawn(async move { this.run_job(job).await });
                            leases.insert(task.id(), (queue, lease));
                        }
                    }
                }
            }
            if !has_claimed {
                return Ok(pause);
            }
        }
    }

    /// Enqueues the jobs that new events cause. Returns whether there may be more events.
    async fn enqueue_from_feed(&self) -> bool {
        self.handler.enqueue_from_feed().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "failed to enqueue the jobs of new events");
            false
        })
    }

    /// Number of jobs of a queue that can start now.
    fn capacity(&self, queue: Queue, leases: &RunningJobs) -> usize {
        let busy = |wanted: &[Queue]| leases.values().filter(|(queue, _)| wanted.contains(queue)).count();
        match queue {
            Queue::Default | Queue::Mail => {
                // Each of the two leaves a worker to the other, if there is more than one.
                let max = (self.workers - 1).max(1);
                let free = self.workers.saturating_sub(busy(&[Queue::Default, Queue::Mail]));
                free.min(max.saturating_sub(busy(&[queue])))
            }
            Queue::Webhooks | Queue::WebhooksDegraded => MAX_CONCURRENT_DELIVERIES.saturating_sub(busy(&[queue])),
        }
    }

    /// Runs all due jobs of these queues one after the other. Returns their number.
    pub async fn run_due(&self, queues: &[Queue]) -> Result<usize, StoreError> {
        let mut count = 0;
        loop {
            while self.enqueue_from_feed().await {}
            let Some(job) = self.claim(queues, 1).await?.pop() else { return Ok(count) };
            self.run_job(job).await;
            count += 1;
        }
    }

    async fn claim(&self, queues: &[Queue], limit: usize) -> Result<Vec<LeasedJob>, StoreError> {
        let now = self.clock.now();
        let transaction = self.store.begin().await?;
        let leased = transaction.queue().claim(queues, limit as u64, now, now + self.timings.lease).await?;
        if !leased.is_empty() {
            transaction.commit().await?;
        }
        Ok(leased)
    }

    /// Runs a job and records its result.
    async fn run_job(&self, leased: LeasedJob) {
        let LeasedJob { lease: Lease { id, .. }, kind, attempts, .. } = leased;
        // The deliveries of a webhook are for the events of many requests.
        let is_shared = matches!(leased.queue, Queue::Webhooks | Queue::WebhooksDegraded);
        let span = tracing::error_span!("job", job.id = %id, job.kind = kind, job.attempt = attempts, trace.id = Empty);
        // Within the span of the log, so that lines below the trace are within it too.
        let trace = span.in_scope(|| telemetry::job_span(kind, id, attempts, leased.traceparent.as_deref(), is_shared));
        span.record("trace.id", telemetry::trace_id(&trace));
        let begun = Instant::now();
        let outcome = self.run_in_span(leased).instrument(trace.clone()).instrument(span).await;
        telemetry::record_job(kind, outcome.into(), begun.elapsed());
        if matches!(outcome, JobOutcome::Retried | JobOutcome::Dead) {
            telemetry::fail_span(&trace);
        }
    }

    async fn run_in_span(&self, leased: LeasedJob) -> JobOutcome {
        let LeasedJob { lease, queue, job, attempts, .. } = leased;
        let result = match job {
            Err(error) => Err(JobError::Permanent(Box::new(error))),
            Ok(_) if attempts > MAX_ATTEMPTS => {
                Err(JobError::Permanent(format!("worker crashed {MAX_ATTEMPTS} times while running this job").into()))
            }
            Ok(job) => self.run_handler(job, lease, queue).await,
        };
        let (outcome, recorded) = match result {
            Ok(()) => {
                tracing::debug!("job completed");
                (JobOutcome::Completed, Ok(()))
            }
            Err(JobError::LeaseLost) => {
                tracing::info!("another worker has claimed the job");
                (JobOutcome::LeaseLost, Ok(()))
            }
            Err(JobError::Transient(error)) if attempts < MAX_ATTEMPTS => {
                let (error, delay) = (error_chain(&*error), backoff(attempts));
                tracing::warn!(error, "job failed, retrying later");
                (JobOutcome::Retried, self.retry_later(lease, self.clock.now() + delay, &error).await)
            }
            Err(JobError::Transient(error) | JobError::Permanent(error)) => {
                let error = error_chain(&*error);
                tracing::error!(error, "job failed permanently");
                (JobOutcome::Dead, self.dead_letter(lease, &error).await)
            }
        };
        if let Err(error) = recorded {
            tracing::warn!(%error, "failed to record the job result; the job will be retried when its lease expires");
        }
        outcome
    }

    /// Runs the handler of a job, and extends the lease in the meantime.
    async fn run_handler(&self, job: Job, lease: Lease, queue: Queue) -> JobResult {
        let context = JobContext { lease, queue, store: Arc::clone(&self.store), clock: self.clock.clone() };
        let work = AssertUnwindSafe(self.handler.handle(job, &context)).catch_unwind();
        tokio::select! {
            result = work => result.unwrap_or_else(|_| Err(JobError::Transient("the handler panicked".into()))),
            () = self.heartbeat(lease) => Err(JobError::LeaseLost),
        }
    }

    /// Extends a lease periodically. Returns when it is lost.
    async fn heartbeat(&self, lease: Lease) {
        let mut pause = self.timings.lease / 3;
        loop {
            sleep(pause).await;
            pause = match self.extend(lease).await {
                Ok(true) => self.timings.lease / 3,
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(%error, "failed to extend the lease");
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

fn untrack(leases: &mut RunningJobs, ended: &Result<(Id, ()), tokio::task::JoinError>) {
    let id = ended.as_ref().map_or_else(tokio::task::JoinError::id, |(id, ())| *id);
    leases.remove(&id);
}
