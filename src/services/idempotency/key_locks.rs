//! The keys whose requests are running in this process.
//!
//! The database alone would do: whoever claims a key that another transaction holds waits for it. But they would wait
//! with a connection each, of which there are few, and on SQLite nobody could tell such a wait from any other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::timeout;

use crate::contract::UserId;

/// How long a request waits for the one before it with the same key.
const PATIENCE: Duration = Duration::from_secs(5);

type Name = (UserId, String);

#[derive(Default)]
struct Running(Mutex<HashMap<Name, Arc<tokio::sync::Mutex<()>>>>);

/// The keys whose requests are running.
#[derive(Default)]
pub(crate) struct KeysInUse(Arc<Running>);

/// The right to use a key; dropping it gives it to who waits longest.
pub(crate) struct KeyInUse {
    running: Arc<Running>,
    name: Name,
    turn: Option<OwnedMutexGuard<()>>,
}

impl KeysInUse {
    /// Waits for the key; `None` when it takes too long.
    pub(crate) async fn take(&self, user: UserId, key: &str) -> Option<KeyInUse> {
        let name = (user, key.to_owned());
        let running = Arc::clone(&self.0);
        let turn = Arc::clone(running.lock().entry(name.clone()).or_default());
        // Made before the wait, so that who gives up cleans up as well.
        let mut in_use = KeyInUse { running, name, turn: None };
        in_use.turn = Some(timeout(PATIENCE, turn.lock_owned()).await.ok()?);
        Some(in_use)
    }
}

impl Running {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Name, Arc<tokio::sync::Mutex<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for KeyInUse {
    fn drop(&mut self) {
        let mut running = self.running.lock();
        self.turn = None;
        // Under the lock nobody new can come, so one reference is that of the map itself.
        if running.get(&self.name).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            running.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> UserId {
        UserId(uuid::Uuid::from_u128(1))
    }

    #[tokio::test(start_paused = true)]
    async fn one_request_at_a_time_has_a_key() {
        let keys = KeysInUse::default();
        let first = keys.take(user(), "key").await.unwrap();
        assert!(keys.take(UserId(uuid::Uuid::from_u128(2)), "key").await.is_some(), "the key of somebody else");
        assert!(keys.take(user(), "another").await.is_some());
        assert!(keys.take(user(), "key").await.is_none(), "nobody waits for ever");
        let (second, ()) = tokio::join!(keys.take(user(), "key"), async { drop(first) });
        assert!(second.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_left_of_keys_that_are_free_again() {
        let keys = KeysInUse::default();
        let first = keys.take(user(), "key").await.unwrap();
        assert!(keys.take(user(), "key").await.is_none());
        assert_eq!(keys.0.lock().len(), 1);
        drop(first);
        assert_eq!(keys.0.lock().len(), 0);
    }
}
