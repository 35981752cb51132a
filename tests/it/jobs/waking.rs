//! Wake-up of idle workers.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use pocket_tasks::contract::Timestamp;
use pocket_tasks::jobs::{Handler, RunnerTimings};
use pocket_tasks::repositories::{Job, Store as _};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::{UNHURRIED, Workers, acts, enqueue, new_job, unfinished, until_done};
use crate::on_both_databases;
use crate::repositories::fixtures::{commit, soon, waits};
use crate::support::TestDatabase;

/// Handler that only reports the jobs it receives.
fn reporting() -> (Arc<dyn Handler>, UnboundedReceiver<Job>) {
    let (sender, receiver) = unbounded_channel();
    let handler = acts(move |job, context| {
        let sender = sender.clone();
        async move {
            context.complete().await?;
            sender.send(job).unwrap();
            Ok(())
        }
        .boxed()
    });
    (handler, receiver)
}

on_both_databases! {
    async fn a_commit_wakes_workers_immediately(database: TestDatabase) {
        let store = database.store().await;
        let (handler, mut done) = reporting();
        let workers = Workers::start(&store, &handler, 2, UNHURRIED);
        for _ in 0..20 {
            // The workers are idle and do not poll.
            let job = new_job();
            enqueue(&store, &job).await;
            assert_eq!(soon(done.recv()).await, Some(job));
        }
        workers.stop().await;
        assert!(unfinished(&store).await.is_empty());
    }

    async fn a_job_enqueued_before_the_workers_start_is_run(database: TestDatabase) {
        let store = database.store().await;
        enqueue(&store, &new_job()).await;
        let (handler, mut done) = reporting();
        // This store was not notified.
        let workers = Workers::start(&database.another_store().await, &handler, 2, UNHURRIED);
        assert!(soon(done.recv()).await.is_some());
        workers.stop().await;
    }

    async fn a_rolled_back_job_wakes_no_worker_and_a_delayed_job_runs_later(database: TestDatabase) {
        let store = database.store().await;
        let (handler, mut done) = reporting();
        let workers = Workers::start(&store, &handler, 2, UNHURRIED);
        let (job, now) = (new_job(), Timestamp::now());
        let transaction = store.begin().await.unwrap();
        transaction.jobs().enqueue(&job, now, now).await.unwrap();
        waits(&mut Box::pin(done.recv())).await;
        drop(transaction);
        let run_at = Timestamp::now() + Duration::from_millis(300);
        commit(&store, async |transaction| transaction.jobs().enqueue(&job, now, run_at).await).await.unwrap();
        assert_eq!(soon(done.recv()).await, Some(job));
        assert!(Timestamp::now() >= run_at);
        workers.stop().await;
    }

    async fn a_commit_of_another_process_is_noticed(database: TestDatabase) {
        let (store, other) = (database.store().await, database.another_store().await);
        let (handler, mut done) = reporting();
        // PostgreSQL sends a notification; on SQLite a worker has to poll.
        let timings = if database.is_postgres() { UNHURRIED } else { RunnerTimings { poll_interval: Duration::from_millis(20), ..UNHURRIED } };
        let workers = Workers::start(&store, &handler, 2, timings);
        for _ in 0..20 {
            let job = new_job();
            enqueue(&other, &job).await;
            assert_eq!(soon(done.recv()).await, Some(job));
        }
        workers.stop().await;
    }

    async fn more_jobs_than_workers_are_run_in_sequence(database: TestDatabase) {
        let store = database.store().await;
        let (handler, mut done) = reporting();
        let workers = Workers::start(&store, &handler, 2, UNHURRIED);
        let now = Timestamp::now();
        commit(&store, async |transaction| {
            for _ in 0..30 {
                transaction.jobs().enqueue(&new_job(), now, now).await.unwrap();
            }
        })
        .await;
        // There was only one notification.
        until_done(&store).await;
        workers.stop().await;
        for _ in 0..30 {
            assert!(done.try_recv().is_ok());
        }
        assert!(done.try_recv().is_err());
    }
}
