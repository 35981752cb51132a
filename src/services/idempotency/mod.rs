//! Idempotency keys.
//!
//! The first request with a key claims it in the transaction of its effect and stores its outcome there (see
//! `unit_of_work`). A duplicate replays the stored outcome (see `replay`): usually before its body is validated,
//! or, if it has waited for the first request, when it tries to claim the key.

pub(crate) mod replay;

use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use crate::contract::UserId;
use crate::services::keyed_semaphores::KeyedSemaphores;
use crate::services::{ServiceContext, StoredOutcome};

/// Period in which a used idempotency key is remembered.
pub(crate) const KEY_TTL: Duration = Duration::from_hours(24);

/// Maximum time that a request waits for an earlier one with the same key.
const WAIT_TIMEOUT: Duration = Duration::from_secs(5);

/// State of an idempotency key.
#[derive(Debug)]
pub(crate) enum KeyState<T> {
    /// The key is unused, or the request has none.
    Fresh(T),
    /// The first request with the key has completed.
    Replayed(StoredOutcome),
    /// An earlier request with the key is still running.
    InProgress,
}

/// Unwraps a fresh key.
/// Otherwise, the calling function returns the stored outcome, or the error that the key is in use.
macro_rules! fresh {
    ($state:expr) => {
        match $state {
            $crate::services::idempotency::KeyState::Fresh(value) => value,
            $crate::services::idempotency::KeyState::Replayed(outcome) => return Ok(outcome.into()),
            $crate::services::idempotency::KeyState::InProgress => {
                return Err($crate::services::error::Error::KeyInProgress);
            }
        }
    };
}

pub(crate) use fresh;

impl<T> From<StoredOutcome> for KeyState<T> {
    fn from(outcome: StoredOutcome) -> Self {
        Self::Replayed(outcome)
    }
}

/// Locks of the keys whose requests are running in this process.
///
/// Without them, duplicates would wait for the claim inside the database, each holding one of few connections.
pub(crate) type KeyLocks = KeyedSemaphores<(UserId, String)>;

impl ServiceContext {
    /// Locks a key, or returns `None` if an earlier request runs for too long.
    pub(crate) async fn lock_key(&self, user: UserId, key: &str) -> Option<OwnedSemaphorePermit> {
        lock(&self.key_locks, user, key).await
    }
}

async fn lock(locks: &KeyLocks, user: UserId, key: &str) -> Option<OwnedSemaphorePermit> {
    let lock = locks.get((user, key.to_owned()), 1);
    timeout(WAIT_TIMEOUT, lock.acquire_owned()).await.ok()?.ok()
}

/// Returns the associated data that binds an encrypted outcome to user and key.
pub(crate) fn aad(user: UserId, key: &str) -> String {
    format!("{user} {key}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_key_is_held_by_one_request_at_a_time() {
        let (ada, bob) = (UserId::generate(), UserId::generate());
        let locks = KeyLocks::default();
        let first = lock(&locks, ada, "key").await.unwrap();
        assert!(lock(&locks, bob, "key").await.is_some(), "the same key of another user");
        assert!(lock(&locks, ada, "another").await.is_some());
        assert!(lock(&locks, ada, "key").await.is_none(), "the wait times out");
        let (second, ()) = tokio::join!(lock(&locks, ada, "key"), async { drop(first) });
        assert!(second.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn released_keys_leave_no_entry() {
        let ada = UserId::generate();
        let locks = KeyLocks::default();
        let first = lock(&locks, ada, "key").await.unwrap();
        assert!(lock(&locks, ada, "key").await.is_none());
        assert!(!locks.is_unused());
        drop(first);
        assert!(locks.is_unused());
    }
}
