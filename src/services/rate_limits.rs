//! Rate limits that several servers share.
//!
//! A server counts in memory first, which refuses a flood without a query. The other requests are also counted in the
//! database, so that more servers do not allow more guesses.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::context::ServiceContext;
use crate::repositories::{BucketCharge, CounterKey, StoreError};

/// Time in which an empty bucket is full again.
const CAPACITY: Duration = Duration::from_mins(1);

/// Time limit for the database. After that, a request counts in this process alone.
const CHARGE_TIMEOUT: Duration = Duration::from_secs(2);

/// Charge of a request to a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedCharge {
    /// Name of the bucket, unique among all limits.
    pub bucket: String,
    /// Requests per minute.
    pub limit: u32,
    /// Cost of the request, at most the limit.
    pub cost: u32,
}

/// State of the fullest bucket of a request, after the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedLimit {
    /// Requests per minute.
    pub limit: u32,
    /// Remaining requests.
    pub remaining: u32,
    /// Time in which the bucket is full again.
    pub reset: Duration,
    /// Time to wait, if the request is refused.
    pub retry_after: Option<Duration>,
}

impl SharedCharge {
    /// Time in which the bucket regains what the request takes.
    fn cost(&self) -> Duration {
        CAPACITY * self.cost / self.limit.max(1)
    }

    /// State of the bucket at a level, which includes the charge if the request is allowed.
    fn state(&self, level: Duration, is_allowed: bool) -> SharedLimit {
        // Rounded up, because the cost of a request was rounded down.
        let free = CAPACITY.saturating_sub(level).as_micros() + 1;
        let remaining = free * u128::from(self.limit) / CAPACITY.as_micros();
        SharedLimit {
            limit: self.limit,
            remaining: if is_allowed { u32::try_from(remaining).unwrap_or(u32::MAX) } else { 0 },
            reset: level,
            retry_after: (!is_allowed).then(|| (level + self.cost()).saturating_sub(CAPACITY)),
        }
    }
}

/// Rate limits that several servers share.
#[derive(Clone)]
pub struct SharedLimits(pub(crate) Arc<ServiceContext>);

impl SharedLimits {
    /// Charges the buckets of a request, or none of them if one lacks what the request takes.
    ///
    /// Returns the state of the bucket with the least remaining requests. `None` if the server counts alone: without a
    /// shared database, or while that does not respond.
    pub async fn charge(&self, charges: &[SharedCharge]) -> Option<SharedLimit> {
        if charges.is_empty() || !self.0.store.is_shared() {
            return None;
        }
        match timeout(CHARGE_TIMEOUT, self.charge_shared(charges)).await {
            Ok(Ok(limit)) => limit,
            Ok(Err(error)) => {
                tracing::warn!(%error, "failed to count a request in the database; counting in this process only");
                None
            }
            Err(_) => {
                tracing::warn!("timed out counting a request in the database; counting in this process only");
                None
            }
        }
    }

    async fn charge_shared(&self, charges: &[SharedCharge]) -> Result<Option<SharedLimit>, StoreError> {
        let keys: Vec<CounterKey> =
            charges.iter().map(|charge| self.0.keyed_hash(&format!("rate {}", charge.bucket))).collect();
        let costs: Vec<_> =
            keys.iter().zip(charges).map(|(key, charge)| BucketCharge { key: *key, cost: charge.cost() }).collect();
        let transaction = self.0.store.begin().await?;
        let levels = transaction.rate_limits().charge(&costs, CAPACITY).await?;
        if let Some(levels) = levels.iter().copied().collect::<Option<Vec<_>>>() {
            transaction.commit().await?;
            let states = charges.iter().zip(levels).map(|(charge, level)| charge.state(level, true));
            return Ok(states.min_by_key(|state| state.remaining));
        }
        // Rolls back, so that a refused request takes nothing from the other buckets.
        drop(transaction);
        let found = self.0.store.read().rate_limits().find_levels(&keys).await?;
        let refused = charges.iter().zip(levels).zip(found).filter(|((_, charged), _)| charged.is_none());
        let states = refused.map(|((charge, _), level)| charge.state(level, false));
        Ok(states.max_by_key(|state| state.retry_after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn charge(limit: u32, cost: u32) -> SharedCharge {
        SharedCharge { bucket: String::new(), limit, cost }
    }

    #[test]
    fn a_level_is_the_time_that_the_bucket_takes_to_fill() {
        let bucket = charge(3, 1);
        assert_eq!(bucket.cost(), SECOND * 20);
        let allowed = |level, remaining| {
            assert_eq!(
                bucket.state(level, true),
                SharedLimit { limit: 3, remaining, reset: level, retry_after: None },
                "{level:?}"
            );
        };
        allowed(SECOND * 20, 2);
        allowed(SECOND * 21, 1);
        allowed(SECOND * 40, 1);
        allowed(SECOND * 60, 0);
        let refused = SharedLimit { limit: 3, remaining: 0, reset: SECOND * 50, retry_after: Some(SECOND * 10) };
        assert_eq!(bucket.state(SECOND * 50, false), refused);
    }

    #[test]
    fn limits_that_do_not_divide_a_minute_count_every_request() {
        for limit in [1, 7, 11, 600, 999_983] {
            let level = charge(limit, 1).cost();
            assert_eq!(charge(limit, 1).state(level, true).remaining, limit - 1, "{limit}");
            assert!(charge(limit, limit).cost() <= CAPACITY, "{limit}");
        }
    }
}
