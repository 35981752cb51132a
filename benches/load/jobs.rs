//! What the queue costs: how soon a job begins after the commit that promised it, and how many are done in a second.
//!
//! In this process, by the library: a store, a runner with the usual pace, and a handler that does what the real one
//! does to compute how much of a project is done. Beside each stands a bare transaction on the same store: begin, change
//! one row, commit. A job takes two of them, one that leases it and one that ends it with its effect.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use async_trait::async_trait;
use pocket_tasks::contract::project::{Project, TaskCounts};
use pocket_tasks::contract::text::{Email, PersonName, ProjectName, TimeZone};
use pocket_tasks::contract::user::User;
use pocket_tasks::contract::{ProjectId, Timestamp, UserId};
use pocket_tasks::database::{SeaStore, Settings};
use pocket_tasks::jobs::{Assignment, Failure, Handler, Pace, Runner};
use pocket_tasks::repositories::{Job, Store};
use pocket_tasks::services::Clock;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::compare::median;
use crate::data::Databases;

/// As many jobs run at once, and as many tasks do bare transactions.
const WORKERS: usize = 4;
/// As many jobs are promised one at a time.
const SINGLE: usize = 2_000;
/// As many jobs wait when the runner starts.
const WAITING: usize = 5_000;
/// How often the queue is emptied.
const ROUNDS: usize = 3;
/// As many rows are written in one transaction where nothing is measured.
const AT_ONCE: usize = 500;

/// Does jobs as the product does, and tells when each had begun.
struct Recalculation(UnboundedSender<Instant>);

#[async_trait]
impl Handler for Recalculation {
    async fn handle(&self, job: Job, assignment: &Assignment) -> Result<(), Failure> {
        let begun = Instant::now();
        let Job::RecalculateCompletion { project } = job else {
            return Err(Failure::Final("nobody promised this job".into()));
        };
        let transaction = assignment.begin().await?;
        transaction.projects().recalculate_completion(project).await?;
        assignment.commit(transaction).await?;
        // Nobody listens only when the measurement was given up.
        let _ = self.0.send(begun);
        Ok(())
    }
}

/// A runner at work.
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
        let runner = Runner::new(store, Clock::system(), handler, WORKERS, Pace::default());
        let shutdown = CancellationToken::new();
        let stopping = shutdown.clone();
        Self { begun, shutdown, task: tokio::spawn(async move { runner.run(stopping).await }) }
    }

    /// Waits until the next job is done, and tells when it had begun.
    async fn next(&mut self) -> Result<Instant> {
        self.begun.recv().await.context("the runner ended")
    }

    async fn end(self) -> Result<()> {
        self.shutdown.cancel();
        Ok(self.task.await?)
    }
}

/// Threads for the work, as the product has them: the benchmark itself has one. Dropping it does not wait.
struct Threads(Option<Runtime>);

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Prints the head of the table.
pub(crate) fn head() {
    println!("{:<38} {:<10} {:>10} {:>10} {:>8}", "case, bare transaction : job", "engine", "bare", "job", "ratio");
}

/// Prints what one engine adds to the table.
pub(crate) async fn measure(engine: &str, databases: &Databases) -> Result<()> {
    databases.create().await?;
    let settings = Settings {
        url: databases.original.clone().into(),
        max_connections: 10,
        migrate: true,
        statement_timeout: Duration::from_secs(30),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let work = runtime.spawn(on_threads(engine.to_owned(), settings));
    let _threads = Threads(Some(runtime));
    work.await?
}

async fn on_threads(engine: String, settings: Settings) -> Result<()> {
    let store = Arc::new(SeaStore::open(&settings).await?);
    let projects = fill(&store).await.context("making projects")?;
    latency(&engine, &store, &projects).await?;
    rate(&engine, &store, &projects).await?;
    store.close().await;
    Ok(())
}

/// Makes projects of which a part is done.
async fn fill(store: &SeaStore) -> Result<Vec<ProjectId>> {
    let now = Timestamp::now();
    let owner = UserId::generate();
    let user = User {
        id: owner,
        email: Email::trusted("ada@example.com"),
        name: PersonName::trusted("Ada"),
        timezone: TimeZone::trusted("UTC"),
        weekly_digest: true,
        email_verified: true,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    let transaction = store.begin().await?;
    transaction.users().add(&user, "a hash").await?;
    transaction.commit().await?;
    let ids: Vec<_> = std::iter::repeat_with(ProjectId::generate).take(WAITING).collect();
    for ids in ids.chunks(AT_ONCE) {
        let transaction = store.begin().await?;
        for id in ids {
            let project = Project {
                id: *id,
                name: ProjectName::trusted("Benchmark"),
                description: None,
                color: None,
                archived: false,
                owner_id: owner,
                role: None,
                deleted_at: None,
                task_counts: TaskCounts { total: 0, done: 0 },
                completion_percentage: 0,
                version: 1,
                created_at: now,
                updated_at: now,
            };
            transaction.projects().add(&project).await?;
            transaction.projects().count_tasks(*id, 8, 3, None).await?;
        }
        transaction.commit().await?;
    }
    Ok(ids)
}

/// One job at a time, on a queue that is empty otherwise, and a bare transaction after each.
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

/// A queue that is full, until it is empty; and as many bare transactions, in turn.
async fn rate(engine: &str, store: &Arc<SeaStore>, projects: &[ProjectId]) -> Result<()> {
    let (mut bare, mut jobs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // In either order, so that neither always comes after the other.
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
    for projects in projects.chunks(AT_ONCE) {
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

/// Changes one row: SQLite writes nothing, and waits for no disk, where a row stays as it is.
async fn transact(store: &SeaStore, project: ProjectId) -> Result<()> {
    let transaction = store.begin().await?;
    transaction.projects().count_tasks(project, 1, 0, None).await?;
    Ok(transaction.commit().await?)
}

fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

#[expect(clippy::cast_precision_loss, reason = "some thousands")]
fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// The time that so many per cent stay below.
fn percentile(times: &[f64], percent: usize) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times[(times.len() - 1) * percent / 100]
}
