//! Per-process locks of idempotency keys.
//!
//! Without them, duplicate requests would wait for the claim inside the database, each holding one of few connections.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::timeout;

use crate::contract::UserId;

/// Maximum time that a request waits for an earlier one with the same key.
const WAIT_TIMEOUT: Duration = Duration::from_secs(5);

type Name = (UserId, String);

#[derive(Default)]
struct Inner(Mutex<HashMap<Name, Arc<tokio::sync::Mutex<()>>>>);

/// Locks of idempotency keys.
#[derive(Default)]
pub(crate) struct KeyLocks(Arc<Inner>);

/// Held lock of a key. Dropping it wakes the request that has waited longest.
pub(crate) struct KeyLockGuard {
    locks: Arc<Inner>,
    key: Name,
    guard: Option<OwnedMutexGuard<()>>,
}

impl KeyLocks {
    /// Acquires the lock of a key. Returns `None` on a timeout.
    pub(crate) async fn acquire(&self, user: UserId, key: &str) -> Option<KeyLockGuard> {
        let key = (user, key.to_owned());
        let locks = Arc::clone(&self.0);
        let guard = Arc::clone(locks.lock().entry(key.clone()).or_default());
        // Created before the wait, so that a timeout cleans up too.
        let mut in_use = KeyLockGuard { locks, key, guard: None };
        in_use.guard = Some(timeout(WAIT_TIMEOUT, guard.lock_owned()).await.ok()?);
        Some(in_use)
    }
}

impl Inner {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Name, Arc<tokio::sync::Mutex<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for KeyLockGuard {
    fn drop(&mut self) {
        let mut locks = self.locks.lock();
        self.guard = None;
        // No other reference can appear under the lock, so a count of one is the map's own.
        if locks.get(&self.key).is_some_and(|guard| Arc::strong_count(guard) == 1) {
            locks.remove(&self.key);
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
    async fn a_key_is_held_by_one_request_at_a_time() {
        let keys = KeyLocks::default();
        let first = keys.acquire(user(), "key").await.unwrap();
        assert!(keys.acquire(UserId(uuid::Uuid::from_u128(2)), "key").await.is_some(), "the same key of another user");
        assert!(keys.acquire(user(), "another").await.is_some());
        assert!(keys.acquire(user(), "key").await.is_none(), "the wait times out");
        let (second, ()) = tokio::join!(keys.acquire(user(), "key"), async { drop(first) });
        assert!(second.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn released_keys_leave_no_entry() {
        let keys = KeyLocks::default();
        let first = keys.acquire(user(), "key").await.unwrap();
        assert!(keys.acquire(user(), "key").await.is_none());
        assert_eq!(keys.0.lock().len(), 1);
        drop(first);
        assert_eq!(keys.0.lock().len(), 0);
    }
}
