//! Leases of jobs: a worker keeps its lease while it works, and changes nothing after losing it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use pocket_tasks::contract::Timestamp;
use pocket_tasks::contract::project::Project;
use pocket_tasks::database::SeaStore;
use pocket_tasks::jobs::{JobContext, JobError, RunnerTimings};
use pocket_tasks::repositories::{JobState, LeasedJob, Queue, Store as _};
use tokio::sync::{Notify, mpsc};

use super::{NEVER, UNHURRIED, Workers, acts, enqueue, new_job, unfinished, until, until_done};
use crate::on_both_databases;
use crate::repositories::fixtures::{commit, project, soon, task_counts, user};
use crate::support::TestDatabase;

/// Adds one task, and commits it together with the completion of the job.
async fn count_one(project: &Project, context: &JobContext) -> Result<(), JobError> {
    let transaction = context.begin().await?;
    transaction.projects().adjust_counters(project.id, task_counts(1, 0), None).await?;
    context.commit(transaction).await
}

async fn counted(store: &SeaStore, project: &Project) -> u64 {
    let found = store.read().projects().find(project.id, project.owner_id).await.unwrap().unwrap();
    found.task_counts.total.try_into().unwrap()
}

/// Claims the only job although its lease is held by another worker.
async fn snatch(store: &SeaStore) -> LeasedJob {
    let later = Timestamp::now() + NEVER + NEVER;
    let until = later + NEVER;
    let leased =
        commit(store, async |transaction| transaction.queue().claim(Queue::ALL, 9, later, until).await).await.unwrap();
    assert_eq!(leased.len(), 1, "{leased:?}");
    leased.into_iter().next().unwrap()
}

/// Sends a message when it is dropped, including when its future is cancelled.
struct NotifyOnDrop(mpsc::UnboundedSender<()>);

impl Drop for NotifyOnDrop {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

on_both_databases! {
    async fn work_under_a_lost_lease_is_rolled_back(database: TestDatabase) {
        let (store, other) = (database.store().await, database.another_store().await);
        let project = project(&store, &user(&store).await).await;
        let go = Arc::new(Notify::new());
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let handler = acts({
            let (go, project) = (Arc::clone(&go), project.clone());
            move |_, context| {
                let (go, project, sender) = (Arc::clone(&go), project.clone(), sender.clone());
                async move {
                    sender.send(None).unwrap();
                    go.notified().await;
                    let result = count_one(&project, context).await;
                    sender.send(Some(matches!(result, Err(JobError::LeaseLost)))).unwrap();
                    result
                }
                .boxed()
            }
        });
        let workers = Workers::start(&store, &handler, 2, UNHURRIED);
        enqueue(&store, &new_job()).await;
        assert_eq!(soon(receiver.recv()).await, Some(None));
        let snatched = snatch(&other).await;
        go.notify_one();
        assert_eq!(soon(receiver.recv()).await, Some(Some(true)), "the worker is told that the lease was lost");
        workers.stop().await;
        assert_eq!(counted(&store, &project).await, 0);
        // The new holder of the lease is unaffected.
        let jobs = unfinished(&store).await;
        assert_eq!((jobs[0].state, jobs[0].attempts, jobs[0].last_error.as_ref()), (JobState::Running, 2, None));
        let lease = snatched.lease;
        let finished = commit(&other, async |transaction| transaction.queue().complete(lease, Timestamp::now()).await);
        assert!(finished.await.unwrap());
    }

    async fn a_failure_under_a_lost_lease_is_ignored(database: TestDatabase) {
        let (store, other) = (database.store().await, database.another_store().await);
        for is_final in [false, true] {
            let go = Arc::new(Notify::new());
            let handler = acts({
                let go = Arc::clone(&go);
                move |_, _| {
                    let go = Arc::clone(&go);
                    async move {
                        go.notified().await;
                        Err(if is_final { JobError::Permanent("an error".into()) } else { JobError::Transient("an error".into()) })
                    }
                    .boxed()
                }
            });
            let workers = Workers::start(&store, &handler, 2, UNHURRIED);
            enqueue(&store, &new_job()).await;
            let is_running = async || unfinished(&store).await.iter().any(|job| job.state == JobState::Running);
            until("it runs", is_running).await;
            let snatched = snatch(&other).await;
            go.notify_one();
            workers.stop().await;
            let jobs = unfinished(&store).await;
            assert_eq!((jobs[0].state, jobs[0].attempts, jobs[0].last_error.as_ref()), (JobState::Running, 2, None));
            let lease = snatched.lease;
            let finished = commit(&other, async |transaction| transaction.queue().complete(lease, Timestamp::now()).await);
            assert!(finished.await.unwrap());
        }
    }

    async fn the_lease_of_a_long_job_is_extended(database: TestDatabase) {
        let (store, other) = (database.store().await, database.another_store().await);
        let go = Arc::new(Notify::new());
        let handler = acts({
            let go = Arc::clone(&go);
            move |_, context| {
                let go = Arc::clone(&go);
                async move {
                    go.notified().await;
                    context.complete().await
                }
                .boxed()
            }
        });
        let timings = RunnerTimings { lease: Duration::from_secs(3), ..UNHURRIED };
        let workers = Workers::start(&store, &handler, 2, timings);
        enqueue(&store, &new_job()).await;
        until("it runs", async || unfinished(&store).await[0].state == JobState::Running).await;
        let first = unfinished(&store).await.remove(0);
        // Longer than the initial lease.
        until("the lease was extended", async || {
            let now = Timestamp::now();
            let leased = commit(&other, async |transaction| transaction.queue().claim(Queue::ALL, 9, now, now).await);
            assert!(leased.await.unwrap().is_empty(), "the lease is valid all the time");
            now > first.run_at
        })
        .await;
        let held = unfinished(&store).await.remove(0);
        assert!(held.run_at > first.run_at && held.attempts == 1, "{held:?}");
        go.notify_one();
        until_done(&store).await;
        workers.stop().await;
    }

    async fn a_job_whose_lease_is_lost_is_cancelled(database: TestDatabase) {
        let (store, other) = (database.store().await, database.another_store().await);
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let handler = acts(move |_, _| {
            let guard = NotifyOnDrop(sender.clone());
            async move {
                let _guard = guard;
                std::future::pending().await
            }
            .boxed()
        });
        let timings = RunnerTimings { lease: Duration::from_millis(300), grace: Duration::ZERO, ..UNHURRIED };
        let workers = Workers::start(&store, &handler, 1, timings);
        enqueue(&store, &new_job()).await;
        until("it runs", async || unfinished(&store).await[0].state == JobState::Running).await;
        let snatched = snatch(&other).await.lease;
        assert_eq!(soon(receiver.recv()).await, Some(()));
        let jobs = unfinished(&store).await;
        assert_eq!((jobs[0].state, jobs[0].attempts), (JobState::Running, 2));
        let finished = commit(&other, async |transaction| transaction.queue().complete(snatched, Timestamp::now()).await);
        assert!(finished.await.unwrap());
        // The only worker is free for the next job.
        enqueue(&store, &new_job()).await;
        until("another one runs", async || unfinished(&store).await[0].state == JobState::Running).await;
        workers.stop().await;
        assert_eq!(soon(receiver.recv()).await, Some(()));
    }

    async fn database_effects_happen_once_despite_many_workers_and_short_leases(database: TestDatabase) {
        const JOBS: u64 = 200;
        let stores = [database.store().await, database.another_store().await];
        let project = project(&stores[0], &user(&stores[0]).await).await;
        let handler = acts({
            let project = project.clone();
            move |_, context| {
                let project = project.clone();
                async move { count_one(&project, context).await }.boxed()
            }
        });
        // On a slow machine, leases expire.
        let timings = RunnerTimings { lease: Duration::from_millis(100), poll_interval: Duration::from_millis(10), ..UNHURRIED };
        let workers = stores.each_ref().map(|store| Workers::start(store, &handler, 4, timings));
        let now = Timestamp::now();
        for store in &stores {
            for _ in 0..JOBS / 20 {
                commit(store, async |transaction| {
                    for _ in 0..10 {
                        transaction.jobs().enqueue(&new_job(), now, now).await.unwrap();
                    }
                })
                .await;
            }
        }
        until_done(&stores[0]).await;
        assert_eq!(counted(&stores[0], &project).await, JOBS);
        for workers in workers {
            workers.stop().await;
        }
        assert_eq!(counted(&stores[0], &project).await, JOBS);
    }
}
