//! Cost of the job queue: latency between the commit and the start of a job, and jobs a second.
//!
//! Runs in this process: a store, a runner with the default timings, and a handler like the one that computes the completion
//! of a project. Compared with bare transactions on the same store that change one row. A job takes two transactions: one
//! claims it, and one completes it with its effect.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use async_trait::async_trait;
use pocket_tasks::contract::{ProjectId, Timestamp};
use pocket_tasks::database::SeaStore;
use pocket_tasks::jobs::{Handler, JobContext, JobError, Runner, RunnerTimings};
use pocket_tasks::repositories::{Job, Store};
use pocket_tasks::services::Clock;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::compare::median;
use crate::data::Databases;
use crate::library::{INSERT_BATCH_SIZE, fill, on_threads, per_second, transact};

/// Concurrent jobs, and concurrent bare transactions.
const WORKERS: usize = 4;
/// Number of jobs enqueued one at a time.
const SINGLE: usize = 2_000;
/// Number of pending jobs when the runner starts.
const WAITING: usize = 5_000;
/// Number of rounds.
const ROUNDS: usize = 3;

/// Handler like the product's that reports when each job started.
struct Recalculation(UnboundedSender<Instant>);

#[async_trait]
impl Handler for Recalculation {
    async fn handle(&self, job: Job, context: &JobContext) -> Result<(), JobError> {
        let begun = Instant::now();
        let Job::RecalculateCompletion { project } = job else {
            return Err(JobError::Permanent("nobody promised this job".into()));
        };
        let transaction = context.begin().await?;
        transaction.projects().recalculate_completion(project).await?;
        context.commit(transaction).await?;
        // The receiver is closed only after an abandoned measurement.
        let _ = self.0.send(begun);
        Ok(())
    }
}

/// Running runner.
struct Working {
    begun: UnboundedReceiver<Instant>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Working {
    fn begin(store: &Arc<SeaStore>) -> Self {
        let (sender, begun) = unbounded_channel();
        let store = Arc::clone(store) as Arc<dyn Store>;
        let handler = Arc::new(Recalculation(sender));
        let runner = Runner::new(store, Clock::system(), handler, WORKERS, RunnerTimings::default());
        let shutdown = CancellationToken::new();
        let stopping = shutdown.clone();
        Self { begun, shutdown, task: tokio::spawn(async move { runner.run(stopping).await }) }
    }

    /// Waits until the next job is complete, and returns when it started.
    async fn next(&mut self) -> Result<Instant> {
        self.begun.recv().await.context("the runner ended")
    }

    async fn end(self) -> Result<()> {
        self.shutdown.cancel();
        Ok(self.task.await?)
    }
}

/// Prints the header of the table.
pub(crate) fn head() {
    println!("{:<38} {:<10} {:>10} {:>10} {:>8}", "case, bare transaction : job", "engine", "bare", "job", "ratio");
}

/// Prints the results of one engine.
pub(crate) async fn measure(engine: &str, databases: &Databases) -> Result<()> {
    on_threads(databases, engine, work).await
}

async fn work(engine: String, store: Arc<SeaStore>) -> Result<()> {
    let projects = fill(&store, WAITING).await.context("making projects")?;
    latency(&engine, &store, &projects).await?;
    rate(&engine, &store, &projects).await
}

/// Latency of single jobs on an empty queue, each followed by a bare transaction.
async fn latency(engine: &str, store: &Arc<SeaStore>, projects: &[ProjectId]) -> Result<()> {
    let mut working = Working::begin(store);
    let (mut bare, mut before, mut after) = (Vec::new(), Vec::new(), Vec::new());
    for project in projects.iter().cycle().take(SINGLE) {
        let transaction = store.begin().await?;
        let (job, now) = (Job::RecalculateCompletion { project: *project }, Timestamp::now());
        ensure!(transaction.jobs().enqueue(&job, now, now).await?, "the job was there already");
        let committing = Instant::now();
        transaction.commit().await?;
        let committed = Instant::now();
        let begun = working.next().await?;
        before.push(microseconds(begun.saturating_duration_since(committing)));
        after.push(microseconds(begun.saturating_duration_since(committed)));

        let start = Instant::now();
        transact(store, *project).await?;
        bare.push(microseconds(start.elapsed()));
    }
    working.end().await?;
    for (name, job) in [("start after the commit", after), ("start after begin of commit", before)] {
        for percent in [50, 99] {
            let [bare, job] = [&bare, &job].map(|times| percentile(times, percent));
            let (name, ratio) = (format!("p{percent} µs, {name}"), job / bare);
            println!("{name:<38} {engine:<10} {bare:>10.0} {job:>10.0} {ratio:>6.1} x");
        }
    }
    Ok(())
}

/// Rate of jobs from a full queue, alternating with bare transactions.
async fn rate(engine: &str, store: &Arc<SeaStore>, projects: &[ProjectId]) -> Result<()> {
    let (mut bare, mut jobs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // Both orders are equally frequent.
        let (transactions, done) = if round % 2 == 0 {
            let transactions = bare_round(store, projects).await?;
            (transactions, job_round(store, projects).await?)
        } else {
            let done = job_round(store, projects).await?;
            (bare_round(store, projects).await?, done)
        };
        ratios.push(done / transactions);
        bare.push(transactions);
        jobs.push(done);
    }
    let (bare, jobs, ratio) = (median(bare)?, median(jobs)?, median(ratios)?);
    let name = format!("a second, {WORKERS} at once");
    println!("{name:<38} {engine:<10} {bare:>10.0} {jobs:>10.0} {ratio:>6.2} x");
    Ok(())
}

/// Jobs a second.
async fn job_round(store: &Arc<SeaStore>, projects: &[ProjectId]) -> Result<f64> {
    for projects in projects.chunks(INSERT_BATCH_SIZE) {
        let transaction = store.begin().await?;
        for project in projects {
            let now = Timestamp::now();
            transaction.jobs().enqueue(&Job::RecalculateCompletion { project: *project }, now, now).await?;
        }
        transaction.commit().await?;
    }
    let begin = Instant::now();
    let mut working = Working::begin(store);
    for _ in projects {
        working.next().await?;
    }
    let time = begin.elapsed();
    working.end().await?;
    let left = store.read().queue().list_unfinished().await?;
    if let Some(job) = left.first() {
        bail!("{} jobs are left, one with {:?}", left.len(), job.last_error);
    }
    Ok(per_second(projects.len(), time))
}

/// Bare transactions a second.
async fn bare_round(store: &Arc<SeaStore>, projects: &[ProjectId]) -> Result<f64> {
    let mut tasks = JoinSet::new();
    let begin = Instant::now();
    for projects in projects.chunks(projects.len().div_ceil(WORKERS)) {
        let (store, projects) = (Arc::clone(store), projects.to_vec());
        tasks.spawn(async move {
            for project in projects {
                transact(&store, project).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(per_second(projects.len(), begin.elapsed()))
}

fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Percentile of the times.
fn percentile(times: &[f64], percent: usize) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times[(times.len() - 1) * percent / 100]
}
