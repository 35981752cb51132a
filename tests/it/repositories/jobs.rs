//! Enqueueing of jobs: atomic with the transaction, and deduplicated.

use std::pin::pin;
use std::time::Duration;

use pocket_tasks::contract::{ProjectId, Timestamp};
use pocket_tasks::database::SeaStore;
use pocket_tasks::repositories::{Job, LeasedJob, Queue, Store as _};

use super::fixtures::{at, commit, commit_beside, next_due, soon, user, waits};
use super::raw::Raw;
use crate::on_both_databases;
use crate::support::TestDatabase;

/// Duration of leases in these tests.
pub(super) const LEASE: Duration = Duration::from_secs(30);

/// Unique job.
pub(super) fn new_job() -> Job {
    Job::RecalculateCompletion { project: ProjectId::generate() }
}

/// Enqueues a job for a time.
pub(super) async fn enqueue(store: &SeaStore, job: &Job, run_at: Timestamp) -> bool {
    commit(store, async |transaction| transaction.jobs().enqueue(job, at(0), run_at).await).await.unwrap()
}

/// Claims jobs of all queues.
pub(super) async fn lease(store: &SeaStore, limit: u64, now: Timestamp) -> Vec<LeasedJob> {
    let transaction = store.begin().await.unwrap();
    let leased = transaction.queue().claim(Queue::ALL, limit, now, now + LEASE).await.unwrap();
    transaction.commit().await.unwrap();
    leased
}

/// Claims the only job that is due.
pub(super) async fn lease_one(store: &SeaStore, now: Timestamp) -> LeasedJob {
    let mut leased = lease(store, 2, now).await;
    assert_eq!(leased.len(), 1, "{leased:?}");
    leased.remove(0)
}

/// Completes the only job that is due.
async fn finish_one(store: &SeaStore, now: Timestamp) {
    let lease = lease_one(store, now).await.lease;
    assert!(commit(store, async |transaction| transaction.queue().complete(lease, now).await).await.unwrap());
}

/// Number of unfinished jobs.
async fn unfinished(store: &SeaStore) -> usize {
    store.read().queue().list_unfinished().await.unwrap().len()
}

on_both_databases! {
    async fn a_job_exists_once_its_transaction_is_committed(database: TestDatabase) {
        let (store, other) = (database.store().await, database.another_store().await);
        let job = new_job();
        for is_committed in [false, true] {
            let transaction = store.begin().await.unwrap();
            assert!(transaction.jobs().enqueue(&job, at(0), at(5)).await.unwrap());
            assert_eq!(unfinished(&other).await, 0);
            assert_eq!(next_due(&*other, Queue::ALL).await, None);
            if is_committed {
                transaction.commit().await.unwrap();
            } else {
                drop(transaction);
                assert!(soon(lease(&other, 9, at(9))).await.is_empty());
            }
        }
        assert_eq!(next_due(&*other, Queue::ALL).await, Some(at(5)));
        let leased = lease_one(&other, at(9)).await;
        assert_eq!((leased.job.unwrap(), leased.kind, leased.attempts), (job, "recalculate_completion", 1));
    }

    async fn every_kind_of_job_is_returned_unchanged(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await.id;
        let mut jobs = vec![
            Job::WelcomeEmail { user: ada },
            Job::VerificationEmail { user: ada },
            Job::PasswordResetEmail { user: Some(ada) },
            Job::PasswordResetEmail { user: None },
            new_job(),
            Job::PlanDigests {},
            Job::WeeklyDigest { user: ada, moment: at(7).0 },
            Job::PurgeDeleted {},
            Job::Prune {},
        ];
        for job in &jobs {
            assert!(enqueue(&store, job, at(0)).await, "{job:?}");
        }
        let mut leased: Vec<Job> = lease(&store, 99, at(0)).await.into_iter().map(|job| job.job.unwrap()).collect();
        // The ids were created within a millisecond and have no order.
        leased.sort_by_key(|job| format!("{job:?}"));
        jobs.sort_by_key(|job| format!("{job:?}"));
        assert_eq!(leased, jobs);
    }

    async fn a_pending_job_is_not_enqueued_twice(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await.id;
        for job in [
            new_job(),
            Job::VerificationEmail { user: ada },
            Job::PasswordResetEmail { user: Some(ada) },
            Job::PlanDigests {},
            Job::PurgeDeleted {},
            Job::Prune {},
        ] {
            assert!(enqueue(&store, &job, at(0)).await, "{job:?}");
            // Not even for another time, which is ignored.
            assert!(!enqueue(&store, &job, at(7)).await, "{job:?}");
            assert_eq!(next_due(&*store, Queue::ALL).await, Some(at(0)), "{job:?}");
            // A running job may have read its data already, so another one is needed.
            let first = lease_one(&store, at(0)).await;
            assert!(enqueue(&store, &job, at(0)).await, "{job:?}");
            assert!(!enqueue(&store, &job, at(0)).await, "{job:?}");
            // The first job fails and is pending again, beside the newer one.
            let retried = commit(&store, async |transaction| {
                transaction.queue().retry_later(first.lease, at(0), "an error").await
            });
            assert!(retried.await.unwrap(), "{job:?}");
            assert!(!enqueue(&store, &job, at(0)).await, "{job:?}");
            assert_eq!(lease(&store, 9, at(0)).await.len(), 2, "{job:?}");
            for leased in lease(&store, 9, at(0) + LEASE).await {
                commit(&store, async |transaction| transaction.queue().complete(leased.lease, at(9)).await).await.unwrap();
            }
            assert_eq!(unfinished(&store).await, 0, "{job:?}");
        }
    }

    async fn a_job_without_a_key_is_enqueued_every_time(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await.id;
        for job in [Job::WelcomeEmail { user: ada }, Job::PasswordResetEmail { user: None }] {
            assert!(enqueue(&store, &job, at(0)).await && enqueue(&store, &job, at(0)).await, "{job:?}");
            assert_eq!(lease(&store, 9, at(0)).await.len(), 2, "{job:?}");
        }
    }

    async fn a_job_with_a_permanent_key_is_enqueued_once(database: TestDatabase) {
        const WEEK: i64 = 7 * 86_400_000;
        let store = database.store().await;
        let (ada, bob) = (user(&store).await.id, user(&store).await.id);
        let digest = Job::WeeklyDigest { user: ada, moment: at(0).0 };
        let tick = async |key| {
            commit(&store, async |transaction| transaction.jobs().enqueue_once(&Job::Prune {}, key, at(0)).await).await
        };
        for is_tick in [false, true] {
            let again = async || if is_tick { tick("09:00").await.unwrap() } else { enqueue(&store, &digest, at(0)).await };
            assert!(again().await);
            assert!(!again().await, "while it waits");
            let leased = lease_one(&store, at(0)).await;
            assert!(!again().await, "while it runs");
            commit(&store, async |transaction| transaction.queue().retry_later(leased.lease, at(0), "").await).await.unwrap();
            assert!(!again().await, "while it waits for another attempt");
            finish_one(&store, at(0)).await;
            assert!(!again().await, "after it is done");
            assert_eq!(unfinished(&store).await, 0);
        }
        // A different key is independent, and so is a job that is only deduplicated while pending.
        assert!(tick("10:00").await.unwrap());
        assert!(enqueue(&store, &Job::Prune {}, at(0)).await);
        assert!(enqueue(&store, &Job::WeeklyDigest { user: bob, moment: at(0).0 }, at(0)).await);
        assert!(enqueue(&store, &Job::WeeklyDigest { user: ada, moment: at(WEEK).0 }, at(0)).await);
        // An hour earlier or later is the same Monday in another time zone.
        assert!(!enqueue(&store, &Job::WeeklyDigest { user: ada, moment: at(3_600_000).0 }, at(0)).await);
    }

    async fn a_deduplicated_job_does_not_run_before_the_commit_that_needs_it(database: TestDatabase) {
        let (store, other) = (database.store().await, database.another_store().await);
        let job = new_job();
        assert!(enqueue(&store, &job, at(0)).await);
        let transaction = store.begin().await.unwrap();
        assert!(!transaction.jobs().enqueue(&job, at(0), at(0)).await.unwrap());
        if database.is_postgres() {
            // A worker claims other jobs in the meantime, and does not wait for this one.
            let another = new_job();
            assert!(enqueue(&other, &another, at(0)).await);
            assert_eq!(soon(lease_one(&other, at(9))).await.job.unwrap(), another);
            assert!(soon(lease(&other, 9, at(9))).await.is_empty());
            transaction.commit().await.unwrap();
            assert_eq!(lease_one(&other, at(9)).await.job.unwrap(), job);
        } else {
            // There is only one writer.
            let mut leasing = pin!(lease_one(&other, at(9)));
            waits(&mut leasing).await;
            assert_eq!(commit_beside(transaction, leasing).await.job.unwrap(), job);
        }
    }

    async fn enqueueing_waits_for_a_concurrent_claim_of_the_same_job(database: TestDatabase) {
        let (store, other) = (database.store().await, database.another_store().await);
        for is_taken in [true, false] {
            let job = new_job();
            assert!(enqueue(&store, &job, at(0)).await);
            let transaction = store.begin().await.unwrap();
            let leased = transaction.queue().claim(Queue::ALL, 9, at(1), at(2)).await.unwrap();
            assert_eq!(leased.len(), 1);
            let mut promising = pin!(enqueue(&other, &job, at(0)));
            waits(&mut promising).await;
            if is_taken {
                transaction.commit().await.unwrap();
            } else {
                drop(transaction);
            }
            assert_eq!(soon(promising).await, is_taken, "the first one runs already, or waits still");
            assert_eq!(lease(&store, 9, at(2)).await.len(), if is_taken { 2 } else { 1 });
        }
    }

    async fn jobs_are_removed_with_their_account(database: TestDatabase) {
        let store = database.store().await;
        let (ada, bob) = (user(&store).await.id, user(&store).await.id);
        // In any state: dead, complete, running or pending.
        enqueue(&store, &Job::WelcomeEmail { user: ada }, at(0)).await;
        let lease = lease_one(&store, at(0)).await.lease;
        assert!(commit(&store, async |transaction| transaction.queue().dead_letter(lease, at(0), "").await).await.unwrap());
        enqueue(&store, &Job::WeeklyDigest { user: ada, moment: 0 }, at(0)).await;
        finish_one(&store, at(0)).await;
        enqueue(&store, &Job::PasswordResetEmail { user: Some(ada) }, at(0)).await;
        let held = lease_one(&store, at(0)).await.lease;
        for user in [ada, bob] {
            enqueue(&store, &Job::VerificationEmail { user }, at(0)).await;
        }
        enqueue(&store, &new_job(), at(0)).await;
        commit(&store, async |transaction| transaction.maintenance().purge_user(ada).await).await.unwrap();
        let kinds = Raw::connect(&database).await.texts("SELECT kind FROM jobs ORDER BY kind", "kind").await;
        assert_eq!(kinds, ["recalculate_completion", "verification_email"]);
        // The worker of a removed job cannot end it.
        assert!(!commit(&store, async |transaction| transaction.queue().complete(held, at(0)).await).await.unwrap());
    }
}
