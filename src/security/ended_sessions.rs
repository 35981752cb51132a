//! The sessions that were ended while access tokens of theirs may still be good, and the API tokens that were revoked
//! while somebody may still follow the feed by them.
//!
//! Kept in memory, so that a request costs no query: what this process ends is known at once, and what was ended
//! before it started, or by another process, is learnt from storage.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::watch;

use crate::contract::{ApiTokenId, SessionId, Timestamp};

/// Remembers ended sessions for as long as an access token is good.
pub type EndedSessions = Ended<SessionId>;

/// Remembers revoked API tokens for as long as a stream lasts.
pub type RevokedTokens = Ended<ApiTokenId>;

/// Remembers what has ended for a while.
#[derive(Debug)]
pub struct Ended<K> {
    known: RwLock<HashMap<K, Timestamp>>,
    keep: Duration,
    learnt_at: AtomicI64,
    news: watch::Sender<()>,
}

/// By how much the clocks of servers may differ, and a transaction may take from noting the time to being seen.
const MARGIN: Duration = Duration::from_mins(10);

impl<K: Copy + Eq + Hash> Ended<K> {
    /// `keep` is how long an access token is good: after that its own end refuses it.
    #[must_use]
    pub fn new(keep: Duration) -> Self {
        Self { known: RwLock::default(), keep, learnt_at: AtomicI64::new(i64::MIN), news: watch::Sender::default() }
    }

    /// Since when ended sessions matter at `now`.
    fn since(&self, now: Timestamp) -> Timestamp {
        now - self.keep - MARGIN
    }

    /// Since when sessions may have ended that are not known yet.
    #[must_use]
    pub fn unknown_since(&self, now: Timestamp) -> Timestamp {
        let learnt = Timestamp(self.learnt_at.load(Ordering::Relaxed)) - MARGIN;
        learnt.max(self.since(now))
    }

    /// Notes all sessions that storage knew, when it was asked at `now`, to have ended since `unknown_since`.
    pub fn learn(&self, sessions: impl IntoIterator<Item = K>, now: Timestamp) {
        self.insert(sessions, now);
        self.learnt_at.store(now.0, Ordering::Relaxed);
    }

    /// Notes that sessions were ended at or before `now`, and forgets those that no longer matter.
    pub fn insert(&self, sessions: impl IntoIterator<Item = K>, now: Timestamp) {
        let since = self.since(now);
        let mut ended = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let before = ended.len();
        for session in sessions {
            ended.entry(session).or_insert(now);
        }
        if ended.len() > before {
            ended.retain(|_, at| *at >= since);
            drop(ended);
            self.news.send_replace(());
        }
    }

    /// Tells when there is more that has ended.
    #[must_use]
    pub fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// Takes back what was noted too early.
    pub fn forget(&self, sessions: &[K]) {
        let mut ended = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for session in sessions {
            ended.remove(session);
        }
    }

    /// Whether the session was ended.
    #[must_use]
    pub fn contains(&self, session: K) -> bool {
        self.known.read().unwrap_or_else(PoisonError::into_inner).contains_key(&session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_learnt_is_not_asked_for_again() {
        let ended = EndedSessions::new(Duration::from_mins(15));
        let start = Timestamp(1_800_000_000_000);
        assert_eq!(ended.unknown_since(start), start - Duration::from_mins(25));
        ended.learn([], start);
        let later = start + Duration::from_secs(5);
        assert_eq!(ended.unknown_since(later), start - Duration::from_mins(10));
        let much_later = start + Duration::from_hours(1);
        assert_eq!(ended.unknown_since(much_later), much_later - Duration::from_mins(25));
    }

    #[test]
    fn ended_sessions_are_forgotten_when_their_tokens_have_expired() {
        let ended = EndedSessions::new(Duration::from_mins(15));
        let (old, new) = (SessionId::generate(), SessionId::generate());
        let start = Timestamp(1_800_000_000_000);
        ended.insert([old], start);
        assert!(ended.contains(old) && !ended.contains(new));
        ended.insert([new], start + Duration::from_hours(1));
        assert!(!ended.contains(old) && ended.contains(new));
    }
}
