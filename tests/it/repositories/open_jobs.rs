//! Jobs of which one waits or runs at a time, and that go on as long as there is something to do.

use std::time::Duration;

use pocket_tasks::contract::WebhookId;
use pocket_tasks::database::SeaStore;
use pocket_tasks::repositories::{JobRecord, JobState, LeasedJob, Queue, Store as _, Transaction};

use super::fixtures::{at, commit, commit_beside, next_due, waits};
use crate::on_both_databases;
use crate::support::TestDatabase;

/// Promises the job of a webhook; whether there was none.
async fn enqueue_in(transaction: &dyn Transaction, webhook: WebhookId, queue: Queue, millis: i64) -> bool {
    transaction.jobs().enqueue_deliveries(&[(webhook, queue)], at(millis)).await.unwrap() == 1
}

async fn enqueue(store: &SeaStore, webhook: WebhookId, queue: Queue, millis: i64) -> bool {
    commit(store, async |transaction| enqueue_in(transaction, webhook, queue, millis).await).await
}

async fn lease(store: &SeaStore, millis: i64) -> LeasedJob {
    let until = at(millis) + Duration::from_mins(1);
    let leased =
        commit(store, async |transaction| transaction.queue().claim(Queue::ALL, 1, at(millis), until).await.unwrap());
    leased.await.pop().unwrap()
}

async fn jobs(store: &SeaStore) -> Vec<JobRecord> {
    store.read().queue().list_unfinished().await.unwrap()
}

on_both_databases! {
    async fn enqueueing_again_only_brings_the_job_forward(database: TestDatabase) {
        let store = database.store().await;
        let webhook = WebhookId::generate();
        assert!(enqueue(&store, webhook, Queue::WebhooksDegraded, 100).await);
        for (millis, run_at) in [(200, 100), (50, 50), (70, 50)] {
            assert!(!enqueue(&store, webhook, Queue::Webhooks, millis).await);
            let [one] = <[_; 1]>::try_from(jobs(&store).await).unwrap();
            assert_eq!(one.run_at, at(run_at), "{millis}");
        }
        assert_eq!(next_due(&*store, &[Queue::WebhooksDegraded]).await, Some(at(50)));
        assert!(enqueue(&store, WebhookId::generate(), Queue::Webhooks, 100).await);
    }

    async fn a_running_job_is_requeued_with_all_its_attempts(database: TestDatabase) {
        let store = database.store().await;
        let webhook = WebhookId::generate();
        enqueue(&store, webhook, Queue::Webhooks, 0).await;
        let leased = lease(&store, 10).await;
        let before = jobs(&store).await.pop().unwrap().run_at;
        assert!(!enqueue(&store, webhook, Queue::Webhooks, 20).await);
        let [one] = <[_; 1]>::try_from(jobs(&store).await).unwrap();
        assert_eq!((one.state, one.run_at, one.attempts), (JobState::Running, before, 1));
        let gone_on = commit(&store, async |transaction| {
            transaction.queue().requeue(leased.lease, Queue::WebhooksDegraded, at(500)).await.unwrap()
        });
        assert!(gone_on.await);
        let [one] = <[_; 1]>::try_from(jobs(&store).await).unwrap();
        assert_eq!((one.state, one.run_at, one.attempts), (JobState::Pending, at(500), 0));
        assert_eq!(next_due(&*store, &[Queue::WebhooksDegraded]).await, Some(at(500)));
        let late = commit(&store, async |transaction| {
            transaction.queue().requeue(leased.lease, Queue::Default, at(0)).await.unwrap()
        });
        assert!(!late.await, "the lease is over");
    }

    async fn a_completed_job_makes_room_for_the_next_and_a_dead_one_is_revived(database: TestDatabase) {
        let store = database.store().await;
        let webhook = WebhookId::generate();
        for number in 0..2 {
            assert!(enqueue(&store, webhook, Queue::Webhooks, 0).await, "{number}");
            let leased = lease(&store, 10).await;
            commit(&store, async |transaction| {
                assert!(transaction.queue().complete(leased.lease, at(20)).await.unwrap());
            })
            .await;
        }
        assert!(enqueue(&store, webhook, Queue::Webhooks, 30).await);
        let leased = lease(&store, 40).await;
        commit(&store, async |transaction| {
            assert!(transaction.queue().dead_letter(leased.lease, at(50), "oh").await.unwrap());
        })
        .await;
        assert!(!enqueue(&store, webhook, Queue::Webhooks, 60).await, "it is there");
        let [only] = &jobs(&store).await[..] else { panic!("there are two") };
        assert_eq!((only.id, only.state, only.attempts, only.run_at), (leased.lease.id, JobState::Pending, 0, at(60)));
        assert_eq!(lease(&store, 70).await.attempts, 1);
    }

    async fn completing_a_job_waits_for_a_transaction_that_enqueues_it(database: TestDatabase) {
        let store = database.store().await;
        let webhook = WebhookId::generate();
        enqueue(&store, webhook, Queue::Webhooks, 0).await;
        let leased = lease(&store, 10).await;
        let enqueueing = store.begin().await.unwrap();
        assert!(!enqueue_in(&*enqueueing, webhook, Queue::Webhooks, 20).await);
        let mut end = Box::pin(async {
            let end = store.begin().await.unwrap();
            assert!(end.queue().complete(leased.lease, at(30)).await.unwrap());
        });
        waits(&mut end).await;
        commit_beside(enqueueing, end).await;
    }

    async fn enqueueing_a_job_waits_for_its_completion_and_creates_another(database: TestDatabase) {
        let store = database.store().await;
        let webhook = WebhookId::generate();
        enqueue(&store, webhook, Queue::Webhooks, 0).await;
        for goes_on in [true, false] {
            let leased = lease(&store, 1_000_000).await;
            let end = store.begin().await.unwrap();
            if goes_on {
                assert!(end.queue().requeue(leased.lease, Queue::Webhooks, at(900)).await.unwrap());
            } else {
                assert!(end.queue().complete(leased.lease, at(30)).await.unwrap());
            }
            let mut enqueueing = Box::pin(async {
                enqueue(&store, webhook, Queue::Webhooks, 20).await
            });
            waits(&mut enqueueing).await;
            assert_eq!(commit_beside(end, enqueueing).await, !goes_on);
            let [one] = <[_; 1]>::try_from(jobs(&store).await).unwrap();
            assert_eq!((one.state, one.run_at), (JobState::Pending, at(20)));
        }
    }
}
