//! Job workers and the schedule, with handlers of the tests.

#![expect(clippy::expect_used, reason = "the helpers of a test fail it like the test itself")]

mod failures;
mod leases;
mod queues;
mod schedule;
mod shutdown;
mod waking;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use pocket_tasks::contract::{ProjectId, Timestamp};
use pocket_tasks::database::SeaStore;
use pocket_tasks::jobs::{Handler, JobContext, JobError, Runner, RunnerTimings};
use pocket_tasks::repositories::{Job, JobRecord, Store};
use pocket_tasks::services::Clock;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::repositories::fixtures::{TIMEOUT, commit, soon};
use crate::support::{POLL_INTERVAL, TestClock};

/// Disables lease expiry and polling.
const NEVER: Duration = Duration::from_hours(1);

const UNHURRIED: RunnerTimings =
    RunnerTimings { lease: NEVER, poll_interval: NEVER, wake_interval: Duration::ZERO, grace: NEVER };

/// Handler from a function.
struct Acts<F>(F);

#[async_trait]
impl<F> Handler for Acts<F>
where
    F: for<'a> Fn(Job, &'a JobContext) -> BoxFuture<'a, Result<(), JobError>> + Send + Sync,
{
    async fn handle(&self, job: Job, context: &JobContext) -> Result<(), JobError> {
        (self.0)(job, context).await
    }
}

/// Creates a handler from a function.
fn acts<F>(act: F) -> Arc<dyn Handler>
where
    F: for<'a> Fn(Job, &'a JobContext) -> BoxFuture<'a, Result<(), JobError>> + Send + Sync + 'static,
{
    Arc::new(Acts(act))
}

/// Clock that advances only manually, with millisecond precision.
#[derive(Clone)]
struct StoppedClock(Arc<AtomicI64>);

impl StoppedClock {
    fn new() -> Self {
        Self(Arc::new(AtomicI64::new(Timestamp::now().0)))
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    fn advance(&self, duration: Duration) {
        self.0.fetch_add(i64::try_from(duration.as_millis()).unwrap(), Ordering::SeqCst);
    }

    fn clock(&self) -> Clock {
        let this = self.clone();
        Clock::from_fn(move || this.now())
    }
}

/// Workers in a background task.
struct Workers {
    running: JoinHandle<()>,
    shutdown: CancellationToken,
}

impl Workers {
    fn start(store: &Arc<SeaStore>, handler: &Arc<dyn Handler>, workers: usize, timings: RunnerTimings) -> Self {
        let shutdown = CancellationToken::new();
        let clock = TestClock::default().clock();
        let runner = Runner::new(Arc::clone(store) as Arc<dyn Store>, clock, Arc::clone(handler), workers, timings);
        let running = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { runner.run(shutdown).await }
        });
        Self { running, shutdown }
    }

    /// Stops the workers after their running jobs.
    async fn stop(self) {
        self.shutdown.cancel();
        soon(self.running).await.expect("workers do not panic");
    }
}

/// Unique job of the default queue.
fn new_job() -> Job {
    Job::RecalculateCompletion { project: ProjectId::generate() }
}

/// Job of the e-mail queue.
const MAIL: Job = Job::PasswordResetEmail { user: None };

/// Enqueues a job that is due now.
async fn enqueue(store: &SeaStore, job: &Job) {
    let now = Timestamp::now();
    assert!(commit(store, async |transaction| transaction.jobs().enqueue(job, now, now).await).await.unwrap());
}

async fn unfinished(store: &SeaStore) -> Vec<JobRecord> {
    store.read().queue().list_unfinished().await.unwrap()
}

/// Polls until a condition holds.
async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !is_so().await {
        assert!(Instant::now() < deadline, "timeout while waiting until {what}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Waits until all jobs are complete.
async fn until_done(store: &SeaStore) {
    until("all jobs are done", async || unfinished(store).await.is_empty()).await;
}
