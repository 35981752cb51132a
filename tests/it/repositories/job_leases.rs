//! Leases of jobs: one holder at a time, who alone can end the job, until the lease expires.

use std::collections::HashSet;
use std::sync::Arc;

use pocket_tasks::contract::Timestamp;
use pocket_tasks::repositories::{Job, JobRecord, JobState, Lease, Queue, Store as _, Transaction};
use uuid::Uuid;

use super::fixtures::{at, commit, next_due, soon};
use super::jobs::{LEASE, enqueue, lease, lease_one, new_job};
use super::raw::Raw;
use crate::on_both_databases;
use crate::support::TestDatabase;

/// Action by the holder of a lease.
#[derive(Debug, Clone, Copy)]
enum Action {
    Extend,
    Complete,
    RetryLater,
    DeadLetter,
    Release,
}

const ACTIONS: [Action; 5] =
    [Action::Extend, Action::Complete, Action::RetryLater, Action::DeadLetter, Action::Release];

impl Action {
    /// Performs the action and returns whether the lease was valid. A release returns false.
    async fn succeeds(self, transaction: &dyn Transaction, lease: Lease) -> bool {
        let queue = transaction.queue();
        match self {
            Self::Extend => queue.extend_lease(lease, at(99_000_000)).await.unwrap(),
            Self::Complete => queue.complete(lease, at(50)).await.unwrap(),
            Self::RetryLater => queue.retry_later(lease, at(60), "put off").await.unwrap(),
            Self::DeadLetter => queue.dead_letter(lease, at(70), "dead").await.unwrap(),
            Self::Release => {
                queue.release(lease, at(80)).await.unwrap();
                false
            }
        }
    }
}

/// Mutable part of a job.
fn standing(job: &JobRecord) -> (JobState, u32, Timestamp, Option<&str>) {
    (job.state, job.attempts, job.run_at, job.last_error.as_deref())
}

on_both_databases! {
    async fn many_workers_claim_each_job_once(database: TestDatabase) {
        const JOBS: usize = 400;
        const WORKERS: usize = 8;
        let stores = [database.store().await, database.another_store().await];
        commit(&stores[0], async |transaction| {
            for _ in 0..JOBS {
                assert!(transaction.jobs().enqueue(&new_job(), at(0), at(0)).await.unwrap());
            }
        })
        .await;
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let store = Arc::clone(&stores[worker % 2]);
                tokio::spawn(async move {
                    let mut mine = Vec::new();
                    loop {
                        let leased = lease(&store, 1 + worker as u64, at(1)).await;
                        if leased.is_empty() {
                            return mine;
                        }
                        assert!(leased.len() <= 1 + worker && leased.iter().all(|job| job.attempts == 1));
                        mine.extend(leased.into_iter().map(|job| job.lease.id));
                    }
                })
            })
            .collect();
        let mut leased = Vec::new();
        for worker in workers {
            leased.extend(soon(worker).await.unwrap());
        }
        assert_eq!(leased.len(), JOBS);
        assert_eq!(leased.iter().collect::<HashSet<&Uuid>>().len(), JOBS);
    }

    async fn jobs_are_claimed_oldest_first_and_only_when_due(database: TestDatabase) {
        let store = database.store().await;
        let mut jobs = Vec::new();
        for time in [40, 10, 30, 20, 50] {
            let job = new_job();
            assert!(enqueue(&store, &job, at(time)).await);
            jobs.push((at(time), job));
        }
        jobs.sort_by_key(|(time, _)| *time);
        assert!(lease(&store, 9, at(9)).await.is_empty());
        assert_eq!(next_due(&*store, Queue::ALL).await, Some(at(10)));
        // Due at its time, not after it.
        assert_eq!(lease(&store, 9, at(10)).await.remove(0).job.unwrap(), jobs[0].1);
        assert_eq!(lease(&store, 1, at(49)).await.remove(0).job.unwrap(), jobs[1].1);
        let two: Vec<Job> = lease(&store, 2, at(99)).await.into_iter().map(|leased| leased.job.unwrap()).collect();
        assert!(two.contains(&jobs[2].1) && two.contains(&jobs[3].1), "{two:?}");
        assert!(lease(&store, 9, at(49)).await.is_empty());
        assert_eq!(next_due(&*store, Queue::ALL).await, Some(at(50)));
        assert_eq!(lease(&store, 9, at(50)).await.remove(0).job.unwrap(), jobs[4].1);
        // Next, the lease of a job ends.
        assert_eq!(next_due(&*store, Queue::ALL).await, Some(at(10) + LEASE));
    }

    async fn only_queues_that_were_asked_for_are_leased(database: TestDatabase) {
        let store = database.store().await;
        let of = async |queues: &[Queue]| {
            let due = next_due(&*store, queues).await.is_some();
            let leased = commit(&store, async |transaction| transaction.queue().claim(queues, 9, at(1), at(9)).await).await;
            let mut kinds: Vec<_> = leased.unwrap().into_iter().map(|leased| leased.kind).collect();
            kinds.sort_unstable();
            (due, kinds)
        };
        enqueue(&store, &Job::PasswordResetEmail { user: None }, at(0)).await;
        assert_eq!(of(&[Queue::Default]).await, (false, Vec::new()));
        for job in [Job::Prune {}, Job::PlanDigests {}] {
            enqueue(&store, &job, at(0)).await;
        }
        assert_eq!(of(&[Queue::Default]).await, (true, vec!["plan_digests", "prune"]));
        enqueue(&store, &Job::PurgeDeleted {}, at(0)).await;
        let both = vec!["password_reset_email", "purge_deleted"];
        assert_eq!(of(Queue::ALL).await, (true, both));
    }

    async fn an_expired_lease_passes_to_another_worker_and_is_lost_to_the_first(database: TestDatabase) {
        let (store, other) = (database.store().await, database.another_store().await);
        enqueue(&store, &new_job(), at(0)).await;
        let first = lease_one(&store, at(0)).await;
        let end = at(0) + LEASE;
        assert!(lease(&other, 9, Timestamp(end.0 - 1)).await.is_empty());
        let second = lease_one(&other, end).await;
        assert_eq!((second.lease.id, second.attempts, second.job.unwrap()), (first.lease.id, 2, first.job.unwrap()));
        assert_ne!(second.lease.token, first.lease.token);
        let before = store.read().queue().list_unfinished().await.unwrap();
        assert_eq!(standing(&before[0]), (JobState::Running, 2, end + LEASE, None));
        for action in ACTIONS {
            assert!(!commit(&store, async |transaction| action.succeeds(transaction, first.lease).await).await, "{action:?}");
            let after = store.read().queue().list_unfinished().await.unwrap();
            assert_eq!(standing(&after[0]), standing(&before[0]), "{action:?}");
        }
        assert!(commit(&other, async |transaction| transaction.queue().complete(second.lease, at(9)).await).await.unwrap());
        for action in ACTIONS {
            for lease in [first.lease, second.lease] {
                assert!(!commit(&store, async |transaction| action.succeeds(transaction, lease).await).await, "{action:?}");
            }
        }
        assert!(store.read().queue().list_unfinished().await.unwrap().is_empty());
    }

    async fn an_expired_lease_is_valid_until_another_worker_claims_the_job(database: TestDatabase) {
        let store = database.store().await;
        enqueue(&store, &new_job(), at(0)).await;
        let held = lease_one(&store, at(0)).await.lease;
        let later = at(1) + LEASE;
        let extended = commit(&store, async |transaction| transaction.queue().extend_lease(held, later + LEASE).await);
        assert!(extended.await.unwrap());
        assert!(lease(&store, 9, later).await.is_empty());
        assert_eq!(lease_one(&store, later + LEASE).await.attempts, 2);
    }

    async fn each_outcome_leaves_the_job_in_the_expected_state(database: TestDatabase) {
        let store = database.store().await;
        for (action, standing_after, next) in [
            (Action::Extend, Some((JobState::Running, 1, at(99_000_000), None)), Some(at(99_000_000))),
            (Action::Complete, None, None),
            (Action::RetryLater, Some((JobState::Pending, 1, at(60), Some("put off"))), Some(at(60))),
            (Action::DeadLetter, Some((JobState::Dead, 1, at(0) + LEASE, Some("dead"))), None),
            (Action::Release, Some((JobState::Pending, 0, at(80), None)), Some(at(80))),
        ] {
            let job = new_job();
            enqueue(&store, &job, at(0)).await;
            let held = lease_one(&store, at(0)).await.lease;
            // Nothing is visible before the commit.
            let transaction = store.begin().await.unwrap();
            action.succeeds(&*transaction, held).await;
            drop(transaction);
            let done = commit(&store, async |transaction| action.succeeds(transaction, held).await).await;
            assert!(done || matches!(action, Action::Release), "{action:?}");
            let unfinished = store.read().queue().list_unfinished().await.unwrap();
            assert_eq!(unfinished.first().map(standing), standing_after, "{action:?}");
            assert_eq!(next_due(&*store, Queue::ALL).await, next, "{action:?}");
            if let Some(next) = next {
                let again = lease_one(&store, next).await;
                assert_eq!(again.attempts, standing_after.unwrap().1 + 1, "{action:?}");
                assert_eq!(again.job.unwrap(), job, "{action:?}");
            }
            Raw::connect(&database).await.execute("DELETE FROM jobs").await;
        }
    }

    async fn a_completed_job_is_kept_only_for_its_key(database: TestDatabase) {
        let store = database.store().await;
        let mut raw = Raw::connect(&database).await;
        for (is_once, kept) in [(false, Vec::new()), (true, vec!["done".to_owned()])] {
            commit(&store, async |transaction| {
                if is_once {
                    transaction.jobs().enqueue_once(&Job::Prune {}, "a key", at(0)).await
                } else {
                    transaction.jobs().enqueue(&Job::Prune {}, at(0), at(0)).await
                }
            })
            .await
            .unwrap();
            // A completed job has no error.
            let failed = lease_one(&store, at(0)).await.lease;
            commit(&store, async |transaction| transaction.queue().retry_later(failed, at(0), "x").await).await.unwrap();
            let held = lease_one(&store, at(0)).await.lease;
            assert!(commit(&store, async |transaction| transaction.queue().complete(held, at(3)).await).await.unwrap());
            assert_eq!(raw.texts("SELECT state FROM jobs WHERE last_error IS NULL", "state").await, kept);
            assert!(lease(&store, 9, at(99_000_000)).await.is_empty());
        }
    }

    async fn errors_of_any_content_and_length_are_stored(database: TestDatabase) {
        let store = database.store().await;
        enqueue(&store, &new_job(), at(0)).await;
        for (error, kept) in [
            ("plain".to_owned(), "plain".to_owned()),
            ("a NUL\0, a quote ' and 😀".to_owned(), "a NUL, a quote ' and 😀".to_owned()),
            ("ü".repeat(5_000), "ü".repeat(1_000)),
            (String::new(), String::new()),
        ] {
            let held = lease_one(&store, at(0)).await.lease;
            commit(&store, async |transaction| transaction.queue().retry_later(held, at(0), &error).await).await.unwrap();
            assert_eq!(store.read().queue().list_unfinished().await.unwrap()[0].last_error.as_ref(), Some(&kept));
        }
    }

    async fn unfinished_jobs_are_listed_and_pending_or_dead_ones_can_be_retried(database: TestDatabase) {
        let store = database.store().await;
        // Three leased jobs in the order of enqueueing, and one that is not leased.
        for time in 0..4 {
            let created = at(time);
            commit(&store, async |transaction| transaction.jobs().enqueue(&new_job(), created, created).await)
                .await
                .unwrap();
        }
        let held: Vec<Lease> = lease(&store, 3, at(9)).await.into_iter().map(|job| job.lease).collect();
        commit(&store, async |transaction| {
            transaction.queue().retry_later(held[0], at(5_000), "failed").await.unwrap();
            transaction.queue().dead_letter(held[1], at(9), "hopeless").await.unwrap();
        })
        .await;
        let retry = async |id| commit(&store, async |transaction| transaction.queue().retry(id, at(20)).await).await.unwrap();
        let before = store.read().queue().list_unfinished().await.unwrap();
        for (time, job) in (0..).zip(&before) {
            assert_eq!(job.created_at, at(time), "oldest first");
            let is_running = job.state == JobState::Running;
            assert_eq!(retry(job.id).await, !is_running, "{job:?}");
        }
        let listed = store.read().queue().list_unfinished().await.unwrap();
        assert!(listed.iter().map(|job| job.id).eq(before.iter().map(|job| job.id)), "{listed:#?}");
        let due = (JobState::Pending, 0, at(20));
        for job in &listed {
            let expected = if job.id == held[2].id { (JobState::Running, 1, at(9) + LEASE) } else { due };
            assert_eq!((job.state, job.attempts, job.run_at), expected, "{job:?}");
            assert_eq!(job.kind, "recalculate_completion");
        }
        let leased = lease(&store, 9, at(20)).await;
        assert_eq!(leased.len(), 3);
        assert!(leased.iter().all(|job| job.attempts == 1), "{leased:?}");
        assert!(!retry(Uuid::nil()).await);
        // Complete, and kept for its key.
        commit(&store, async |transaction| transaction.jobs().enqueue_once(&Job::Prune {}, "k", at(0)).await).await.unwrap();
        let held = lease_one(&store, at(20)).await.lease;
        commit(&store, async |transaction| transaction.queue().complete(held, at(20)).await).await.unwrap();
        assert!(!retry(held.id).await);
        assert_eq!(store.read().queue().list_unfinished().await.unwrap().len(), 4);
    }

    async fn an_unreadable_job_is_an_error_and_is_not_lost(database: TestDatabase) {
        let store = database.store().await;
        let mut raw = Raw::connect(&database).await;
        enqueue(&store, &new_job(), at(0)).await;
        enqueue(&store, &Job::Prune {}, at(0)).await;
        let unreadable = ["{\"project\": \"no id\"}", "{\"user\": 7}", "{", "", "null", "[]"];
        for (attempt, payload) in (1..).zip(unreadable) {
            raw.execute(&format!("UPDATE jobs SET payload = '{payload}' WHERE kind = 'recalculate_completion'")).await;
            let leased = lease(&store, 9, at(0) + LEASE * attempt).await;
            assert_eq!(leased.len(), 2, "the other jobs are leased");
            for job in leased {
                assert_eq!(job.attempts, attempt);
                assert_eq!(job.job.is_ok(), job.kind == "prune", "{payload}: {job:?}");
            }
        }
        let unfinished = store.read().queue().list_unfinished().await.unwrap();
        assert!(unfinished.iter().any(|job| job.payload == "[]"), "{unfinished:?}");
        // A job of another version waits for that version.
        raw.execute("UPDATE jobs SET kind = 'brew_coffee' WHERE kind = 'prune'").await;
        assert_eq!(lease(&store, 9, at(99_000_000)).await.len(), 1);
        assert!(store.read().queue().list_unfinished().await.unwrap().iter().any(|job| job.kind == "brew_coffee"));
    }
}
