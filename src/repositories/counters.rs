//! Counters of what was used within a window of time, such as mails to an address or failed logins.

use std::time::Duration;

use async_trait::async_trait;

use super::error::StoreError;
use crate::contract::Timestamp;

/// Keyed hash of what is counted.
pub type CounterKey = [u8; 16];

/// A counter within its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowCount {
    /// Number of uses.
    pub count: u64,
    /// End of the window.
    pub ends_at: Timestamp,
}

/// Counters. A window begins with the first use after the end of the previous window.
///
/// A counter is locked until the end of the transaction that changes it, so concurrent uses count exactly. Lock order:
/// counters come after all rows but the sequence of events.
#[async_trait]
pub trait CounterRepository: Send + Sync {
    /// Counts a use, and returns the counter including it.
    async fn increment(&self, key: &CounterKey, window: Duration, now: Timestamp) -> Result<WindowCount, StoreError>;

    /// Takes back a use, unless the window has ended.
    async fn decrement(&self, key: &CounterKey, now: Timestamp) -> Result<(), StoreError>;
}
