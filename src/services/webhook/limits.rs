//! Per-owner concurrency limits for webhook delivery.
//!
//! A hanging endpoint occupies a worker and a connection. Each owner therefore gets a fixed share of each queue,
//! regardless of the number of webhooks.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::contract::UserId;
use crate::repositories::Queue;
use crate::services::keyed_semaphores::KeyedSemaphores;

/// Maximum number of concurrent runs per owner, healthy and degraded.
const MAX_RUNS_PER_OWNER: usize = 16;
const MAX_DEGRADED_RUNS_PER_OWNER: usize = 32;

/// Maximum number of concurrent requests of a run: in a burst, and if degraded.
const MAX_CONCURRENT_REQUESTS: u32 = 8;
const MAX_CONCURRENT_REQUESTS_DEGRADED: usize = 2;

/// Maximum number of requests beyond the first of each run: bounds open sockets.
const MAX_BURST_REQUESTS: usize = 224;

/// Maximum number of runs that use the database: API requests need it too.
const MAX_CONCURRENT_DB: usize = 8;

/// Limits of this process.
pub(crate) struct DeliveryLimits {
    owners: KeyedSemaphores<(Queue, UserId)>,
    burst: Arc<Semaphore>,
    database: Semaphore,
}

/// Permit for a run. Dropping it lets another run start.
pub(crate) struct DeliveryPermit {
    queue: Queue,
    _run: OwnedSemaphorePermit,
    burst: Option<OwnedSemaphorePermit>,
}

impl Default for DeliveryLimits {
    fn default() -> Self {
        Self {
            owners: KeyedSemaphores::default(),
            burst: Arc::new(Semaphore::new(MAX_BURST_REQUESTS)),
            database: Semaphore::new(MAX_CONCURRENT_DB),
        }
    }
}

impl DeliveryLimits {
    /// Acquires a permit, or returns `None` if the owner has reached the limit.
    pub(crate) fn try_acquire(&self, queue: Queue, owner: UserId) -> Option<DeliveryPermit> {
        let is_degraded = queue == Queue::WebhooksDegraded;
        let max = if is_degraded { MAX_DEGRADED_RUNS_PER_OWNER } else { MAX_RUNS_PER_OWNER };
        let run = self.owners.get((queue, owner), max).try_acquire_owned().ok()?;
        let burst =
            (!is_degraded).then(|| Arc::clone(&self.burst).try_acquire_many_owned(MAX_CONCURRENT_REQUESTS - 1).ok());
        Some(DeliveryPermit { queue, _run: run, burst: burst.flatten() })
    }

    pub(crate) async fn acquire_db(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.database.acquire().await.ok()
    }
}

impl DeliveryPermit {
    /// Returns the maximum number of concurrent requests of the run.
    pub(crate) fn max_concurrent_requests(&self) -> usize {
        match (&self.burst, self.queue) {
            (Some(burst), _) => burst.num_permits() + 1,
            (None, Queue::WebhooksDegraded) => MAX_CONCURRENT_REQUESTS_DEGRADED,
            (None, _) => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_an_owner_are_limited_per_queue() {
        let delivery_limits = DeliveryLimits::default();
        let (ada, bob) = (UserId::generate(), UserId::generate());
        for (queue, max) in
            [(Queue::Webhooks, MAX_RUNS_PER_OWNER), (Queue::WebhooksDegraded, MAX_DEGRADED_RUNS_PER_OWNER)]
        {
            let mut of_ada: Vec<_> = (0..max).map(|_| delivery_limits.try_acquire(queue, ada).unwrap()).collect();
            assert!(delivery_limits.try_acquire(queue, ada).is_none(), "{queue:?}");
            assert!(delivery_limits.try_acquire(queue, bob).is_some(), "{queue:?}");
            of_ada.pop();
            of_ada.push(delivery_limits.try_acquire(queue, ada).unwrap());
            assert!(delivery_limits.try_acquire(queue, ada).is_none(), "{queue:?}");
        }
        assert!(delivery_limits.owners.is_unused(), "all runs have ended");
    }

    #[test]
    fn burst_requests_are_limited_and_every_run_has_one() {
        let delivery_limits = DeliveryLimits::default();
        let mut taken = Vec::new();
        let mut sum = 0;
        for _ in 0..128 {
            let slot = delivery_limits.try_acquire(Queue::Webhooks, UserId::generate()).unwrap();
            sum += slot.max_concurrent_requests();
            taken.push(slot);
        }
        assert_eq!((taken[0].max_concurrent_requests(), taken[127].max_concurrent_requests()), (8, 1));
        assert_eq!(sum, 128 + MAX_BURST_REQUESTS);
        assert_eq!(
            delivery_limits.try_acquire(Queue::WebhooksDegraded, UserId::generate()).unwrap().max_concurrent_requests(),
            MAX_CONCURRENT_REQUESTS_DEGRADED
        );
        taken.clear();
        assert_eq!(
            delivery_limits.try_acquire(Queue::Webhooks, UserId::generate()).unwrap().max_concurrent_requests(),
            8
        );
    }
}
