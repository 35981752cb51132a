//! Shutdown of workers: running jobs may finish within the grace period, others are released.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use pocket_tasks::contract::Timestamp;
use pocket_tasks::jobs::{Handler, JobError, RunnerTimings};
use pocket_tasks::repositories::{Job, JobState, Queue};
use tokio::sync::Notify;

use super::{NEVER, UNHURRIED, Workers, acts, enqueue, new_job, unfinished, until};
use crate::on_both_databases;
use crate::repositories::fixtures::{commit, soon, waits};
use crate::support::TestDatabase;

/// Handler that blocks until its jobs may end, with success or failure.
#[derive(Clone)]
struct BlockingHandler {
    begun: Arc<AtomicUsize>,
    going_on: Arc<()>,
    end: Arc<Notify>,
    fails: bool,
}

impl BlockingHandler {
    fn new(fails: bool) -> Self {
        Self { begun: Arc::default(), going_on: Arc::default(), end: Arc::default(), fails }
    }

    fn handler(&self) -> Arc<dyn Handler> {
        let this = self.clone();
        acts(move |_, context| {
            let this = this.clone();
            async move {
                this.begun.fetch_add(1, Ordering::SeqCst);
                this.end.notified().await;
                if this.fails { Err(JobError::Transient("an error".into())) } else { context.complete().await }
            }
            .boxed()
        })
    }

    async fn until_begun(&self, count: usize) {
        until("the work is begun", async || self.begun.load(Ordering::SeqCst) == count).await;
    }
}

on_both_databases! {
    async fn running_jobs_finish_and_pending_jobs_do_not_start(database: TestDatabase) {
        let store = database.store().await;
        for fails in [false, true] {
            let work = BlockingHandler::new(fails);
            let mut workers = Workers::start(&store, &work.handler(), 1, UNHURRIED);
            enqueue(&store, &new_job()).await;
            work.until_begun(1).await;
            enqueue(&store, &new_job()).await;
            let waiting = unfinished(&store).await.into_iter().find(|job| job.state == JobState::Pending).unwrap();
            workers.shutdown.cancel();
            waits(&mut workers.running).await;
            work.end.notify_one();
            workers.stop().await;
            assert_eq!(work.begun.load(Ordering::SeqCst), 1);
            let (waits, ended): (Vec<_>, Vec<_>) =
                unfinished(&store).await.into_iter().partition(|job| job.id == waiting.id);
            assert_eq!((waits[0].state, waits[0].attempts), (JobState::Pending, 0));
            // A failure is recorded as usual.
            let errors: Vec<_> = ended.iter().map(|job| (job.state, job.attempts, job.last_error.as_deref())).collect();
            assert_eq!(errors, if fails { vec![(JobState::Pending, 1, Some("an error"))] } else { Vec::new() });
            let later = Timestamp::now() + NEVER;
            commit(&store, async |transaction| {
                for job in transaction.queue().claim(Queue::ALL, 9, later, later).await.unwrap() {
                    assert!(transaction.queue().complete(job.lease, later).await.unwrap());
                }
            })
            .await;
        }
    }

    async fn jobs_that_exceed_the_grace_period_are_cancelled_and_released(database: TestDatabase) {
        let store = database.store().await;
        let work = BlockingHandler::new(false);
        let timings = RunnerTimings { grace: Duration::from_millis(100), ..UNHURRIED };
        let workers = Workers::start(&store, &work.handler(), 4, timings);
        for _ in 0..2 {
            enqueue(&store, &new_job()).await;
        }
        enqueue(&store, &Job::Prune {}).await;
        work.until_begun(3).await;
        // One of them ends in time.
        workers.shutdown.cancel();
        work.end.notify_one();
        soon(workers.running).await.unwrap();
        // A running job holds a clone; none is left once the workers have stopped.
        assert_eq!(Arc::strong_count(&work.going_on), 1);
        let jobs = unfinished(&store).await;
        assert_eq!(jobs.len(), 2, "{jobs:?}");
        for job in &jobs {
            assert_eq!((job.state, job.attempts, job.last_error.as_ref()), (JobState::Pending, 0, None));
        }
        // Other workers claim it immediately.
        let now = Timestamp::now();
        let leased = commit(&store, async |transaction| transaction.queue().claim(Queue::ALL, 9, now, now).await).await;
        assert_eq!(leased.unwrap().iter().map(|job| job.attempts).collect::<Vec<_>>(), [1, 1]);
    }

    async fn no_job_is_lost_whenever_workers_stop(database: TestDatabase) {
        let store = database.store().await;
        let work = BlockingHandler::new(false);
        for _ in 0..20 {
            enqueue(&store, &new_job()).await;
        }
        for _ in 0..20 {
            // Immediately, while or before they start.
            Workers::start(&store, &work.handler(), 4, RunnerTimings { grace: Duration::ZERO, ..UNHURRIED }).stop().await;
            let jobs = unfinished(&store).await;
            assert_eq!(jobs.len(), 20);
            assert!(jobs.iter().all(|job| job.state == JobState::Pending && job.attempts == 0), "{jobs:#?}");
        }
    }
}
