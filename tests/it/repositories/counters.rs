//! Storage of counters and of known addresses.

use std::time::Duration;

use futures_util::future::join_all;
use pocket_tasks::contract::UserId;
use pocket_tasks::repositories::{Store as _, WindowCount};

use super::fixtures::{at, commit, user};
use crate::on_both_databases;
use crate::support::TestDatabase;

const WINDOW: Duration = Duration::from_millis(100);

on_both_databases! {
    async fn a_counter_counts_within_its_window(database: TestDatabase) {
        let store = database.store().await;
        let increment = async |key: u8, now: i64| {
            commit(&store, async |transaction| transaction.counters().increment(&[key; 16], WINDOW, at(now)).await).await.unwrap()
        };
        let counts = |count, ends_at| WindowCount { count, ends_at: at(ends_at) };
        assert_eq!(increment(1, 10).await, counts(1, 110));
        assert_eq!(increment(1, 60).await, counts(2, 110));
        assert_eq!(increment(2, 60).await, counts(1, 160));
        assert_eq!(increment(1, 109).await, counts(3, 110));
        assert_eq!(increment(1, 110).await, counts(1, 210));
        assert_eq!(increment(1, 500).await, counts(1, 600));
    }

    async fn a_use_can_be_taken_back_within_its_window(database: TestDatabase) {
        let store = database.store().await;
        let (key, count) = ([7; 16], async |now: i64| {
            commit(&store, async |transaction| transaction.counters().increment(&[7; 16], WINDOW, at(now)).await).await.unwrap().count
        });
        let decrement = async |now: i64| {
            commit(&store, async |transaction| transaction.counters().decrement(&key, at(now)).await).await.unwrap();
        };
        decrement(0).await;
        assert_eq!(count(0).await, 1);
        assert_eq!(count(1).await, 2);
        decrement(2).await;
        assert_eq!(count(3).await, 2);
        for _ in 0..5 {
            decrement(4).await;
        }
        assert_eq!(count(5).await, 1);
        // The window has ended.
        decrement(100).await;
        assert_eq!(count(99).await, 2);
    }

    async fn concurrent_uses_count_exactly(database: TestDatabase) {
        let store = database.store().await;
        let uses = (0..20).map(|_| async {
            commit(&store, async |transaction| transaction.counters().increment(&[1; 16], WINDOW, at(0)).await).await.unwrap().count
        });
        let mut counts = join_all(uses).await;
        counts.sort_unstable();
        assert_eq!(counts, (1..=20).collect::<Vec<_>>());
    }

    async fn a_known_address_belongs_to_one_user_and_is_renewed(database: TestDatabase) {
        let store = database.store().await;
        let (ada, bob) = (user(&store).await, user(&store).await);
        for millis in [10, 20] {
            commit(&store, async |transaction| transaction.known_addresses().add(ada.id, &[1; 16], at(millis)).await).await.unwrap();
        }
        let find = async |user: UserId, address: u8| store.read().known_addresses().find(user, &[address; 16]).await.unwrap();
        assert_eq!(find(ada.id, 1).await, Some(at(20)));
        assert_eq!(find(ada.id, 2).await, None);
        assert_eq!(find(bob.id, 1).await, None);
        commit(&store, async |transaction| transaction.maintenance().purge_user(ada.id).await).await.unwrap();
        assert_eq!(find(ada.id, 1).await, None);
    }
}
