//! Storage of the rate limits that processes share.

use std::time::Duration;

use futures_util::future::join_all;
use pocket_tasks::contract::Timestamp;
use pocket_tasks::database::SeaStore;
use pocket_tasks::repositories::{BucketCharge, Prunable, Store as _};

use super::fixtures::commit;
use super::raw::Raw;
use crate::on_both_databases;
use crate::support::TestDatabase;

const SECOND: Duration = Duration::from_secs(1);
const CAPACITY: Duration = Duration::from_hours(1);

fn cost(key: u8, minutes: u32) -> BucketCharge {
    BucketCharge { key: [key; 16], cost: SECOND * 60 * minutes }
}

async fn charge(store: &SeaStore, charges: &[BucketCharge]) -> Vec<Option<Duration>> {
    commit(store, async |transaction| transaction.rate_limits().charge(charges, CAPACITY).await.unwrap()).await
}

/// Asserts a level, from which a test may take some seconds.
#[track_caller]
fn is_about(level: Duration, minutes: u32) {
    let expected = SECOND * 60 * minutes;
    assert!((expected.saturating_sub(SECOND * 50)..=expected).contains(&level), "{level:?}");
}

on_both_databases! {
    async fn a_bucket_is_charged_until_it_is_empty(database: TestDatabase) {
        let store = database.store().await;
        for minutes in [20, 40, 60] {
            is_about(charge(&store, &[cost(1, 20)]).await[0].unwrap(), minutes);
        }
        let charged = charge(&store, &[cost(1, 20), cost(2, 30)]).await;
        assert_eq!(charged[0], None);
        is_about(charged[1].unwrap(), 30);
        // A refused charge takes nothing, and another bucket is full.
        let levels = store.read().rate_limits().find_levels(&[[3; 16], [1; 16]]).await.unwrap();
        assert_eq!(levels[0], Duration::ZERO);
        is_about(levels[1], 60);
    }

    async fn concurrent_charges_take_no_more_than_the_bucket_holds(database: TestDatabase) {
        let stores = [database.store().await, database.another_store().await];
        let bucket = [cost(1, 10)];
        let charged = join_all((0..20).map(|n| charge(&stores[n % 2], &bucket))).await;
        assert_eq!(charged.iter().filter(|charged| charged[0].is_some()).count(), 6, "{charged:?}");
    }

    async fn full_buckets_are_pruned(database: TestDatabase) {
        let store = database.store().await;
        charge(&store, &[cost(1, 1), cost(2, 1)]).await;
        let mut raw = Raw::connect(&database).await;
        let key = if database.is_postgres() { "decode(repeat('01', 16), 'hex')" } else { "x'01010101010101010101010101010101'" };
        raw.execute(&format!("UPDATE rate_limits SET full_at = 5000 WHERE key = {key}")).await;
        let prune = async |before| {
            commit(&store, async |transaction| transaction.maintenance().prune(Prunable::RateLimits, Timestamp(before), 10).await.unwrap()).await
        };
        assert_eq!((prune(5).await, prune(6).await, prune(6).await), (0, 1, 0));
    }
}
