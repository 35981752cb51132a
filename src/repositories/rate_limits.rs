//! Buckets of rate limits that all processes on a database share.

use std::time::Duration;

use async_trait::async_trait;

use super::counters::CounterKey;
use super::error::StoreError;

/// Charge of a request to a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketCharge {
    /// Key of the bucket.
    pub key: CounterKey,
    /// Time in which the bucket regains what the request takes; at most the capacity.
    pub cost: Duration,
}

/// Buckets, each described by the time in which it is full again (GCRA).
///
/// Times are relative to the clock of the database, which all processes share.
#[async_trait]
pub trait RateLimitRepository: Send + Sync {
    /// Returns for each bucket the time in which it is full again; zero if it is full.
    async fn find_levels(&self, keys: &[CounterKey]) -> Result<Vec<Duration>, StoreError>;

    /// Charges buckets that are full again within `capacity` at most, and returns for each the time in which it is full
    /// again. `None` if a bucket lacks what the request takes; then that bucket is not charged.
    ///
    /// Lock order: the keys must be in the same order in every call, the most specific first.
    async fn charge(&self, charges: &[BucketCharge], capacity: Duration) -> Result<Vec<Option<Duration>>, StoreError>;
}
