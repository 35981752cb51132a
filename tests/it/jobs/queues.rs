//! Concurrency of jobs by queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt as _;
use pocket_tasks::jobs::{Handler, JobContext, JobError};
use pocket_tasks::repositories::Job;
use tokio::sync::Semaphore;

use super::{MAIL, UNHURRIED, Workers, acts, enqueue, new_job, unfinished, until, until_done};
use crate::on_both_databases;
use crate::repositories::fixtures::waits;
use crate::support::TestDatabase;

/// Barrier at which jobs wait until it is opened.
struct Door {
    standing: AtomicUsize,
    open: Semaphore,
}

impl Door {
    fn closed() -> Arc<Self> {
        Arc::new(Self { standing: AtomicUsize::new(0), open: Semaphore::new(0) })
    }

    fn standing(&self) -> usize {
        self.standing.load(Ordering::SeqCst)
    }

    async fn pass(&self, context: &JobContext) -> Result<(), JobError> {
        self.standing.fetch_add(1, Ordering::SeqCst);
        self.open.acquire().await.unwrap().forget();
        self.standing.fetch_sub(1, Ordering::SeqCst);
        context.complete().await
    }

    /// Asserts that exactly this many jobs wait at the barrier.
    async fn holds(&self, count: usize) {
        until("they stand before the door", async || self.standing() >= count).await;
        waits(&mut Box::pin(until("there are more", async || self.standing() > count))).await;
    }

    fn open(&self) {
        self.open.add_permits(1_000);
    }
}

/// Handler that lets e-mail jobs wait at one barrier and all others at another.
fn doors(slow: &Arc<Door>, quick: &Arc<Door>) -> Arc<dyn Handler> {
    let (slow, quick) = (Arc::clone(slow), Arc::clone(quick));
    acts(move |job, context| {
        let door = Arc::clone(if job == MAIL { &slow } else { &quick });
        async move { door.pass(context).await }.boxed()
    })
}

on_both_databases! {
    async fn at_most_one_job_per_worker_runs_concurrently(database: TestDatabase) {
        let store = database.store().await;
        for workers in [1, 3] {
            let door = Door::closed();
            let working = Workers::start(&store, &doors(&door, &door), workers, UNHURRIED);
            for _ in 0..6 {
                enqueue(&store, &new_job()).await;
                enqueue(&store, &MAIL).await;
            }
            door.holds(workers).await;
            // A job leaves, and the next one starts.
            door.open.add_permits(2);
            until("two are done", async || unfinished(&store).await.len() == 10).await;
            door.holds(workers).await;
            door.open();
            until_done(&store).await;
            working.stop().await;
        }
    }

    async fn hanging_emails_do_not_block_other_jobs(database: TestDatabase) {
        let store = database.store().await;
        let (slow, quick) = (Door::closed(), Door::closed());
        let workers = Workers::start(&store, &doors(&slow, &quick), 4, UNHURRIED);
        for _ in 0..10 {
            enqueue(&store, &MAIL).await;
        }
        slow.holds(3).await;
        for _ in 0..10 {
            enqueue(&store, &new_job()).await;
        }
        quick.holds(1).await;
        quick.open();
        until("all but mails are done", async || {
            unfinished(&store).await.iter().all(|job| job.kind == MAIL.kind())
        })
        .await;
        assert_eq!(unfinished(&store).await.len(), 10);
        slow.holds(3).await;
        // When the server recovers, the e-mails are sent.
        slow.open();
        until_done(&store).await;
        workers.stop().await;
    }

    async fn a_single_worker_sends_emails_too(database: TestDatabase) {
        let store = database.store().await;
        let door = Door::closed();
        door.open();
        // Zero workers are treated as one.
        for workers in [0, 1] {
            let workers = Workers::start(&store, &doors(&door, &door), workers, UNHURRIED);
            for job in [MAIL, new_job(), MAIL, Job::Prune {}] {
                enqueue(&store, &job).await;
            }
            until_done(&store).await;
            workers.stop().await;
        }
    }
}
