//! Revocation lists: ended sessions whose access tokens have not expired, and revoked API tokens with open streams.
//!
//! The lists are in memory, so that a request costs no query. Revocations by this process apply at once; those by others,
//! or from before the start, are synced from storage.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::watch;

use crate::contract::{ApiTokenId, SessionId, Timestamp};

/// Ended sessions, kept for the lifetime of an access token.
pub type EndedSessions = RevocationList<SessionId>;

/// Revoked API tokens, kept for the lifetime of a stream.
pub type RevokedTokens = RevocationList<ApiTokenId>;

/// Ids that were revoked within a retention period.
#[derive(Debug)]
pub struct RevocationList<K> {
    revoked: RwLock<HashMap<K, Timestamp>>,
    retention: Duration,
    synced_at: AtomicI64,
    changes: watch::Sender<()>,
}

/// Clock difference between servers plus the duration of a transaction.
const CLOCK_SKEW: Duration = Duration::from_mins(10);

impl<K: Copy + Eq + Hash> RevocationList<K> {
    /// Creates an empty list. After `retention`, a revoked credential is rejected because it has expired.
    #[must_use]
    pub fn new(retention: Duration) -> Self {
        Self {
            revoked: RwLock::default(),
            retention,
            synced_at: AtomicI64::new(i64::MIN),
            changes: watch::Sender::default(),
        }
    }

    fn retained_since(&self, now: Timestamp) -> Timestamp {
        now - self.retention - CLOCK_SKEW
    }

    /// Time from which revocations must be loaded from storage.
    #[must_use]
    pub fn sync_since(&self, now: Timestamp) -> Timestamp {
        let synced = Timestamp(self.synced_at.load(Ordering::Relaxed)) - CLOCK_SKEW;
        synced.max(self.retained_since(now))
    }

    /// Adds the revocations since `sync_since` that storage returned at `now`.
    pub fn merge(&self, ids: impl IntoIterator<Item = K>, now: Timestamp) {
        self.insert(ids, now);
        self.synced_at.store(now.0, Ordering::Relaxed);
    }

    /// Adds ids revoked at or before `now`, and drops those past their retention.
    pub fn insert(&self, ids: impl IntoIterator<Item = K>, now: Timestamp) {
        let since = self.retained_since(now);
        let mut revoked = self.revoked.write().unwrap_or_else(PoisonError::into_inner);
        let before = revoked.len();
        for id in ids {
            revoked.entry(id).or_insert(now);
        }
        if revoked.len() > before {
            revoked.retain(|_, at| *at >= since);
            drop(revoked);
            self.changes.send_replace(());
        }
    }

    /// Returns a receiver that is notified of additions.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Removes ids whose revocation was not committed.
    pub fn remove(&self, ids: &[K]) {
        let mut revoked = self.revoked.write().unwrap_or_else(PoisonError::into_inner);
        for id in ids {
            revoked.remove(id);
        }
    }

    /// Returns whether an id is revoked.
    #[must_use]
    pub fn contains(&self, id: K) -> bool {
        self.revoked.read().unwrap_or_else(PoisonError::into_inner).contains_key(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn synced_revocations_are_not_loaded_again() {
        let ended = EndedSessions::new(Duration::from_mins(15));
        let start = Timestamp(1_800_000_000_000);
        assert_eq!(ended.sync_since(start), start - Duration::from_mins(25));
        ended.merge([], start);
        let later = start + Duration::from_secs(5);
        assert_eq!(ended.sync_since(later), start - Duration::from_mins(10));
        let much_later = start + Duration::from_hours(1);
        assert_eq!(ended.sync_since(much_later), much_later - Duration::from_mins(25));
    }

    #[test]
    fn ended_sessions_are_dropped_after_their_tokens_have_expired() {
        let ended = EndedSessions::new(Duration::from_mins(15));
        let (old, new) = (SessionId::generate(), SessionId::generate());
        let start = Timestamp(1_800_000_000_000);
        ended.insert([old], start);
        assert!(ended.contains(old) && !ended.contains(new));
        ended.insert([new], start + Duration::from_hours(1));
        assert!(!ended.contains(old) && ended.contains(new));
    }
}
