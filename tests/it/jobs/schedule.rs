//! Scheduled jobs: one job for each tick, regardless of the number of schedulers.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use pocket_tasks::database::SeaStore;
use pocket_tasks::jobs::Schedule;
use pocket_tasks::repositories::{Job, Queue};

use super::{StoppedClock, unfinished};
use crate::on_both_databases;
use crate::repositories::fixtures::{commit, soon};
use crate::support::TestDatabase;

const QUARTER: i64 = 15 * 60_000;
const HOUR: i64 = 4 * QUARTER;

fn schedule(store: &Arc<SeaStore>, clock: &StoppedClock) -> Schedule {
    Schedule::new(Arc::clone(store) as _, clock.clock())
}

/// Clock at a full hour.
fn on_the_hour() -> StoppedClock {
    let clock = StoppedClock::new();
    let into = clock.now().0.rem_euclid(HOUR);
    clock.advance(Duration::from_millis((HOUR - into).unsigned_abs()));
    clock
}

async fn kinds(store: &SeaStore) -> Vec<String> {
    let mut kinds: Vec<_> = unfinished(store).await.into_iter().map(|job| job.kind).collect();
    kinds.sort();
    kinds
}

/// Completes all jobs without running them.
async fn finish_all(store: &SeaStore, clock: &StoppedClock) {
    let now = clock.now();
    commit(store, async |transaction| {
        for job in transaction.queue().claim(Queue::ALL, 99, now, now).await.unwrap() {
            assert!(transaction.queue().complete(job.lease, now).await.unwrap());
        }
    })
    .await;
}

on_both_databases! {
    async fn a_tick_enqueues_one_job_despite_many_schedulers(database: TestDatabase) {
        let mut stores = vec![database.store().await];
        for _ in 0..3 {
            stores.push(database.another_store().await);
        }
        let clock = on_the_hour();
        let tick = async |job: Job, period: i64| {
            let ticking = stores.iter().flat_map(|store| [store, store]).map(|store| {
                let schedule = schedule(store, &clock);
                async move { schedule.tick(job, period).await.unwrap() }
            });
            soon(join_all(ticking)).await.into_iter().filter(|enqueued| *enqueued).count()
        };
        // At the full slot the tick belongs to the next slot; a millisecond earlier to the current one.
        for (advance, prunes, plans) in [(0, 1, 1), (QUARTER - 1, 0, 0), (1, 0, 1), (HOUR - QUARTER - 1, 0, 1), (1, 1, 1)] {
            clock.advance(Duration::from_millis(advance.unsigned_abs()));
            assert_eq!(tick(Job::Prune {}, HOUR).await, prunes, "{advance}");
            assert_eq!(tick(Job::PlanDigests {}, QUARTER).await, plans, "{advance}");
        }
        // Also after the job is complete.
        assert_eq!(unfinished(&stores[0]).await.len(), 6);
        finish_all(&stores[1], &clock).await;
        assert_eq!(tick(Job::Prune {}, HOUR).await, 0);
        assert_eq!(tick(Job::PlanDigests {}, QUARTER).await, 0);
        assert!(unfinished(&stores[0]).await.is_empty());
    }

    async fn a_recently_missed_tick_is_enqueued_at_startup(database: TestDatabase) {
        let (store, other) = (database.store().await, database.another_store().await);
        let clock = on_the_hour();
        // The clock of the jobs stands still, so ticks of the system clock enqueue nothing new.
        let mut first = schedule(&store, &clock).start().await.unwrap();
        let all = ["expire_invitations", "plan_digests", "prune", "purge_deleted"];
        assert_eq!(kinds(&store).await, all);
        let mut second = schedule(&other, &clock).start().await.unwrap();
        assert_eq!(kinds(&store).await, all);
        finish_all(&store, &clock).await;
        for schedule in [&mut first, &mut second] {
            schedule.shutdown().await.unwrap();
        }
        let mut again = schedule(&store, &clock).start().await.unwrap();
        assert_eq!(kinds(&store).await, Vec::<String>::new());
        again.shutdown().await.unwrap();
        // After a day without a scheduler there is one job, not one for each missed tick.
        clock.advance(Duration::from_hours(24));
        let mut late = schedule(&store, &clock).start().await.unwrap();
        assert_eq!(kinds(&store).await, all);
        late.shutdown().await.unwrap();
    }
}
