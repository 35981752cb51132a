//! Failing jobs: retries with backoff, and dead jobs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use pocket_tasks::contract::Timestamp;
use pocket_tasks::database::SeaStore;
use pocket_tasks::jobs::{Handler, JobError, Runner};
use pocket_tasks::repositories::{Job, JobState, Queue};

use super::{StoppedClock, UNHURRIED, acts, new_job, unfinished};
use crate::on_both_databases;
use crate::repositories::fixtures::commit;
use crate::repositories::raw::Raw;
use crate::support::TestDatabase;

/// Maximum number of attempts.
const ATTEMPTS: u32 = 50;

/// Error with a cause.
#[derive(Debug, thiserror::Error)]
#[error("the mail did not leave")]
struct Burning(#[source] std::io::Error);

fn burning() -> Burning {
    Burning(std::io::Error::other("the printer burns"))
}

fn runner(store: &Arc<SeaStore>, clock: &StoppedClock, handler: Arc<dyn Handler>) -> Runner {
    Runner::new(Arc::clone(store) as _, clock.clock(), handler, 2, UNHURRIED)
}

/// Enqueues a job at the time of this clock.
async fn enqueue(store: &SeaStore, clock: &StoppedClock) {
    let now = clock.now();
    commit(store, async |transaction| transaction.jobs().enqueue(&new_job(), now, now).await).await.unwrap();
}

on_both_databases! {
    async fn a_failing_job_is_retried_with_backoff_and_finally_dead(database: TestDatabase) {
        let (store, clock) = (database.store().await, StoppedClock::new());
        let runner = runner(&store, &clock, acts(|_, _| async { Err(JobError::Transient(burning().into())) }.boxed()));
        enqueue(&store, &clock).await;
        for attempt in 1..=ATTEMPTS {
            assert_eq!(runner.run_due(Queue::ALL).await.unwrap(), 1, "{attempt}");
            let jobs = unfinished(&store).await;
            assert_eq!(jobs[0].attempts, attempt);
            assert_eq!(jobs[0].last_error.as_deref(), Some("the mail did not leave: the printer burns"));
            if attempt == ATTEMPTS {
                assert_eq!(jobs[0].state, JobState::Dead);
                break;
            }
            assert_eq!(jobs[0].state, JobState::Pending, "{attempt}");
            let longest = 1_000 * 2_i64.pow(attempt - 1).min(600);
            let pause = jobs[0].run_at.0 - clock.now().0;
            assert!(pause <= longest && pause >= longest * 74 / 100, "{attempt}: {pause}");
            // The job is not due yet.
            clock.advance(Duration::from_millis(pause.unsigned_abs() - 1));
            assert_eq!(runner.run_due(Queue::ALL).await.unwrap(), 0, "{attempt}");
            clock.advance(Duration::from_millis(1));
        }
        clock.advance(Duration::from_hours(1_000));
        assert_eq!(runner.run_due(Queue::ALL).await.unwrap(), 0);
        // After a manual retry the job has all its attempts again.
        let id = unfinished(&store).await[0].id;
        assert!(commit(&store, async |transaction| transaction.queue().retry(id, clock.now()).await).await.unwrap());
        assert_eq!(runner.run_due(Queue::ALL).await.unwrap(), 1);
        let jobs = unfinished(&store).await;
        assert_eq!((jobs[0].state, jobs[0].attempts), (JobState::Pending, 1));
    }

    async fn a_job_that_succeeds_on_retry_is_complete(database: TestDatabase) {
        let (store, clock) = (database.store().await, StoppedClock::new());
        let begun = Arc::new(AtomicUsize::new(0));
        let handler = acts({
            let begun = Arc::clone(&begun);
            move |_, context| {
                let attempt = begun.fetch_add(1, Ordering::SeqCst);
                async move { if attempt < 3 { Err(JobError::Transient(burning().into())) } else { context.complete().await } }.boxed()
            }
        });
        let runner = runner(&store, &clock, handler);
        enqueue(&store, &clock).await;
        while runner.run_due(Queue::ALL).await.unwrap() > 0 {
            clock.advance(Duration::from_mins(10));
        }
        assert_eq!(begun.load(Ordering::SeqCst), 4);
        assert!(unfinished(&store).await.is_empty());
    }

    async fn the_error_of_a_handler_decides_the_state_of_its_job(database: TestDatabase) {
        let (store, clock) = (database.store().await, StoppedClock::new());
        let cases: [(Arc<dyn Handler>, JobState, &str); 3] = [
            (acts(|_, _| async { Err(JobError::Permanent(burning().into())) }.boxed()), JobState::Dead, "the printer burns"),
            (acts(|_, _| async { panic!("a bug") }.boxed()), JobState::Pending, "the handler panicked"),
            // Panics before it returns a future.
            (acts(|_, _| panic!("a bug")), JobState::Pending, "the handler panicked"),
        ];
        for (handler, state, error) in cases {
            enqueue(&store, &clock).await;
            assert_eq!(runner(&store, &clock, handler).run_due(Queue::ALL).await.unwrap(), 1);
            let jobs = unfinished(&store).await;
            let said = jobs[0].last_error.clone().unwrap();
            assert!(jobs[0].state == state && said.contains(error), "{:?}", jobs[0]);
            Raw::connect(&database).await.execute("DELETE FROM jobs").await;
        }
    }

    async fn a_panic_in_a_transaction_rolls_it_back_without_blocking_others(database: TestDatabase) {
        let (store, clock) = (database.store().await, StoppedClock::new());
        let handler = acts(|_, context| {
            async move {
                let transaction = context.begin().await?;
                transaction.jobs().enqueue(&Job::Prune {}, context.now(), context.now()).await?;
                assert!(context.now().0 < 0, "a bug");
                context.commit(transaction).await
            }
            .boxed()
        });
        enqueue(&store, &clock).await;
        assert_eq!(runner(&store, &clock, handler).run_due(Queue::ALL).await.unwrap(), 1);
        let jobs = unfinished(&store).await;
        assert_eq!(jobs.len(), 1, "{jobs:?}");
        assert_eq!((jobs[0].state, jobs[0].last_error.as_deref()), (JobState::Pending, Some("the handler panicked")));
    }

    async fn an_unreadable_job_is_dead_and_blocks_no_others(database: TestDatabase) {
        let (store, clock) = (database.store().await, StoppedClock::new());
        enqueue(&store, &clock).await;
        Raw::connect(&database).await.execute("UPDATE jobs SET payload = '{\"project\": 7}'").await;
        enqueue(&store, &clock).await;
        let runner = runner(&store, &clock, acts(|_, context| async move { context.complete().await }.boxed()));
        assert_eq!(runner.run_due(Queue::ALL).await.unwrap(), 2);
        let jobs = unfinished(&store).await;
        assert_eq!((jobs.len(), jobs[0].state, jobs[0].payload.as_str()), (1, JobState::Dead, "{\"project\": 7}"));
        assert!(jobs[0].last_error.as_deref().is_some_and(|error| !error.is_empty()), "{jobs:?}");
    }

    async fn a_job_that_crashes_its_workers_is_eventually_dead(database: TestDatabase) {
        let (store, clock) = (database.store().await, StoppedClock::new());
        let lease = async |now: Timestamp| {
            commit(&store, async |transaction| transaction.queue().claim(Queue::ALL, 1, now, now).await).await.unwrap()
        };
        enqueue(&store, &clock).await;
        for attempt in 1..=ATTEMPTS {
            assert_eq!(lease(clock.now()).await[0].attempts, attempt);
        }
        let runner = runner(&store, &clock, acts(|_, _| panic!("the job is not started")));
        assert_eq!(runner.run_due(Queue::ALL).await.unwrap(), 1);
        let jobs = unfinished(&store).await;
        assert_eq!((jobs[0].state, jobs[0].last_error.as_deref()), (JobState::Dead, Some("worker crashed 50 times while running this job")));
    }
}
