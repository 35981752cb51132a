//! Idempotency keys.
//!
//! The first request with a key claims it in the transaction of its effect, and stores its response there (see
//! `unit_of_work`). Duplicates receive the stored response (see `replay`).

pub(crate) mod replay;

use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use crate::contract::UserId;
use crate::services::context::ServiceContext;
use crate::services::error::Error;
use crate::services::keyed_semaphores::KeyedSemaphores;

/// Period in which a used idempotency key is remembered.
pub(crate) const KEY_TTL: Duration = Duration::from_hours(24);

/// Maximum time that a request waits for an earlier one with the same key.
const WAIT_TIMEOUT: Duration = Duration::from_secs(5);

/// Locks of the keys whose requests are running in this process.
///
/// Without them, duplicates would wait for the claim inside the database, each holding one of few connections.
pub(crate) type KeyLocks = KeyedSemaphores<(UserId, String)>;

impl ServiceContext {
    /// Locks a key until the permit is dropped. Waits for an earlier request with the same key.
    pub(crate) async fn lock_key(&self, user: UserId, key: &str) -> Result<OwnedSemaphorePermit, Error> {
        lock(&self.key_locks, user, key).await
    }
}

async fn lock(locks: &KeyLocks, user: UserId, key: &str) -> Result<OwnedSemaphorePermit, Error> {
    let lock = locks.get((user, key.to_owned()), 1);
    match timeout(WAIT_TIMEOUT, lock.acquire_owned()).await {
        Ok(Ok(permit)) => Ok(permit),
        Ok(Err(_)) | Err(_) => Err(Error::KeyInProgress),
    }
}

/// Returns the associated data of an encrypted response, which binds it to its user and key.
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
        assert!(lock(&locks, bob, "key").await.is_ok(), "the same key of another user");
        assert!(lock(&locks, ada, "another").await.is_ok());
        assert!(lock(&locks, ada, "key").await.is_err(), "the wait times out");
        let (second, ()) = tokio::join!(lock(&locks, ada, "key"), async { drop(first) });
        assert!(second.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn released_keys_leave_no_entry() {
        let ada = UserId::generate();
        let locks = KeyLocks::default();
        let first = lock(&locks, ada, "key").await.unwrap();
        assert!(lock(&locks, ada, "key").await.is_err());
        assert!(!locks.is_unused());
        drop(first);
        assert!(locks.is_unused());
    }
}
