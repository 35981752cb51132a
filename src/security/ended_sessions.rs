//! The sessions that were ended while access tokens of theirs may still be good.
//!
//! Kept in memory, so that a request costs no query: what this process ends is known at once, and what was ended
//! before it started, or by another process, is learnt from storage.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use crate::contract::{SessionId, Timestamp};

/// Remembers ended sessions for as long as an access token is good.
#[derive(Debug)]
pub struct EndedSessions {
    ended: RwLock<HashMap<SessionId, Timestamp>>,
    keep: Duration,
}

impl EndedSessions {
    /// `keep` is how long an access token is good: after that its own end refuses it.
    #[must_use]
    pub fn new(keep: Duration) -> Self {
        Self { ended: RwLock::default(), keep }
    }

    /// Since when ended sessions matter at `now`.
    #[must_use]
    pub fn since(&self, now: Timestamp) -> Timestamp {
        // A little longer, because the clocks of servers differ.
        now.minus(self.keep).minus(Duration::from_mins(1))
    }

    /// Notes that sessions were ended at or before `now`, and forgets those that no longer matter.
    pub fn insert(&self, sessions: impl IntoIterator<Item = SessionId>, now: Timestamp) {
        let since = self.since(now);
        let mut ended = self.ended.write().unwrap_or_else(PoisonError::into_inner);
        let before = ended.len();
        for session in sessions {
            ended.entry(session).or_insert(now);
        }
        if ended.len() > before {
            ended.retain(|_, at| *at >= since);
        }
    }

    /// Whether the session was ended.
    #[must_use]
    pub fn contains(&self, session: SessionId) -> bool {
        self.ended.read().unwrap_or_else(PoisonError::into_inner).contains_key(&session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ended_sessions_are_forgotten_when_their_tokens_have_expired() {
        let ended = EndedSessions::new(Duration::from_mins(15));
        let (old, new) = (SessionId::generate(), SessionId::generate());
        let start = Timestamp(1_800_000_000_000);
        ended.insert([old], start);
        assert!(ended.contains(old) && !ended.contains(new));
        ended.insert([new], start.plus(Duration::from_secs(1_000)));
        assert!(!ended.contains(old) && ended.contains(new));
    }
}
