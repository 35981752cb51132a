//! Jobs that come by the clock: each tick once, however many clocks there are.

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

/// A clock at the beginning of an hour.
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

/// Does all jobs, by doing nothing.
async fn finish_all(store: &SeaStore, clock: &StoppedClock) {
    let now = clock.now();
    commit(store, async |transaction| {
        for job in transaction.queue().claim(&Queue::ALL, 99, now, now).await.unwrap() {
            assert!(transaction.queue().complete(job.lease, now).await.unwrap());
        }
    })
    .await;
}

on_both_databases! {
    async fn a_tick_is_one_job_however_many_clocks_there_are(database: TestDatabase) {
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
            soon(join_all(ticking)).await.into_iter().filter(|promised| *promised).count()
        };
        // By their end they are in the next slot, a millisecond before it they are not.
        for (advance, prunes, plans) in [(0, 1, 1), (QUARTER - 1, 0, 0), (1, 0, 1), (HOUR - QUARTER - 1, 0, 1), (1, 1, 1)] {
            clock.advance(Duration::from_millis(advance.unsigned_abs()));
            assert_eq!(tick(Job::Prune {}, HOUR).await, prunes, "{advance}");
            assert_eq!(tick(Job::PlanDigests {}, QUARTER).await, plans, "{advance}");
        }
        // Also when it is done already.
        assert_eq!(unfinished(&stores[0]).await.len(), 6);
        finish_all(&stores[1], &clock).await;
        assert_eq!(tick(Job::Prune {}, HOUR).await, 0);
        assert_eq!(tick(Job::PlanDigests {}, QUARTER).await, 0);
        assert!(unfinished(&stores[0]).await.is_empty());
    }

    async fn what_should_have_come_lately_comes_at_the_start(database: TestDatabase) {
        let (store, other) = (database.store().await, database.another_store().await);
        let clock = on_the_hour();
        // The clock of the jobs stands, so the ticks of the real one promise nothing new.
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
        // For a day that nobody was there it is once, not once for each tick.
        clock.advance(Duration::from_hours(24));
        let mut late = schedule(&store, &clock).start().await.unwrap();
        assert_eq!(kinds(&store).await, all);
        late.shutdown().await.unwrap();
    }
}
