//! How much of this process one owner's receivers may take at a time.
//!
//! A receiver that hangs costs a slot in its lane and a connection for as long as it is waited for. So nobody has more
//! than a share of the delivery_limits of a lane, however many webhooks they have and whatever they point to.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::contract::UserId;
use crate::repositories::Lane;
use crate::services::keyed_semaphores::KeyedSemaphores;
use crate::webhooks::Lookups;

/// As many runs of one owner there are at once among those that answer well, and among the others.
const MAX_RUNS_PER_OWNER: usize = 16;
const MAX_DEGRADED_RUNS_PER_OWNER: usize = 32;

/// As many requests a run has at once where things go well, as far as there is room, and where they do not.
const MAX_CONCURRENT_REQUESTS: u32 = 8;
const MAX_CONCURRENT_REQUESTS_DEGRADED: usize = 2;

/// As many requests all runs together have at once beside the first of each: connections are files, of which a process
/// has not many.
const MAX_BURST_REQUESTS: usize = 224;

/// As many runs ask the database at once. There are few connections, and requests need them too.
const MAX_CONCURRENT_DB: usize = 8;

/// As many names are looked up at once for all runs of a lane together. A name may take as long as a receiver, so those
/// who ail have lookups of their own; an owner has as many as runs, and a run, which has one name to look up, one.
const MAX_CONCURRENT_LOOKUPS: usize = 128;

/// The delivery_limits of this process.
pub(crate) struct DeliveryLimits {
    owners: KeyedSemaphores<(Quota, Lane, UserId)>,
    burst: Arc<Semaphore>,
    lookups: Arc<Semaphore>,
    degraded_lookups: Arc<Semaphore>,
    database: Semaphore,
}

/// What an owner has a share of. Each lasts as long as something is taken of it: a lookup may go on for longer than the
/// run that it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Quota {
    Runs,
    Lookups,
}

/// A slot in a lane; dropping it makes room for another run.
pub(crate) struct DeliveryPermit {
    lane: Lane,
    _run: OwnedSemaphorePermit,
    burst: Option<OwnedSemaphorePermit>,
    lookups: Lookups,
}

impl Default for DeliveryLimits {
    fn default() -> Self {
        Self {
            owners: KeyedSemaphores::default(),
            burst: Arc::new(Semaphore::new(MAX_BURST_REQUESTS)),
            lookups: Arc::new(Semaphore::new(MAX_CONCURRENT_LOOKUPS)),
            degraded_lookups: Arc::new(Semaphore::new(MAX_CONCURRENT_LOOKUPS)),
            database: Semaphore::new(MAX_CONCURRENT_DB),
        }
    }
}

impl DeliveryLimits {
    /// Takes a slot; `None` when the owner has as many as may be.
    pub(crate) fn try_acquire(&self, lane: Lane, owner: UserId) -> Option<DeliveryPermit> {
        let is_degraded = lane == Lane::Failing;
        let run = self.owner_semaphore(Quota::Runs, lane, owner).try_acquire_owned().ok()?;
        let all = if is_degraded { &self.degraded_lookups } else { &self.lookups };
        let of_run = Arc::new(Semaphore::new(1));
        let lookups = Lookups::new([of_run, self.owner_semaphore(Quota::Lookups, lane, owner), Arc::clone(all)]);
        let burst =
            (!is_degraded).then(|| Arc::clone(&self.burst).try_acquire_many_owned(MAX_CONCURRENT_REQUESTS - 1).ok());
        Some(DeliveryPermit { lane, _run: run, burst: burst.flatten(), lookups })
    }

    /// Waits for a turn at the database.
    pub(crate) async fn acquire_db(&self) -> Option<SemaphorePermit<'_>> {
        // Never closed; if it were, nobody would have to wait.
        self.database.acquire().await.ok()
    }

    fn owner_semaphore(&self, of: Quota, lane: Lane, owner: UserId) -> Arc<Semaphore> {
        let max = if lane == Lane::Failing { MAX_DEGRADED_RUNS_PER_OWNER } else { MAX_RUNS_PER_OWNER };
        self.owners.get((of, lane, owner), max)
    }
}

impl DeliveryPermit {
    /// What its requests may look up.
    pub(crate) fn lookups(&self) -> Lookups {
        self.lookups.clone()
    }

    /// How many requests it may have at once.
    pub(crate) fn max_concurrent_requests(&self) -> usize {
        match (&self.burst, self.lane) {
            (Some(burst), _) => burst.num_permits() + 1,
            (None, Lane::Failing) => MAX_CONCURRENT_REQUESTS_DEGRADED,
            (None, _) => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_more_than_a_share_of_a_lane_and_what_ends_makes_room() {
        let delivery_limits = DeliveryLimits::default();
        let (ada, bob) = (UserId::generate(), UserId::generate());
        for (lane, max) in [(Lane::Webhooks, MAX_RUNS_PER_OWNER), (Lane::Failing, MAX_DEGRADED_RUNS_PER_OWNER)] {
            let mut of_ada: Vec<_> = (0..max).map(|_| delivery_limits.try_acquire(lane, ada).unwrap()).collect();
            assert!(delivery_limits.try_acquire(lane, ada).is_none(), "{lane:?}");
            assert!(delivery_limits.try_acquire(lane, bob).is_some(), "{lane:?}");
            of_ada.pop();
            of_ada.push(delivery_limits.try_acquire(lane, ada).unwrap());
            assert!(delivery_limits.try_acquire(lane, ada).is_none(), "{lane:?}");
        }
        assert!(delivery_limits.owners.is_unused(), "all have ended");
    }

    #[test]
    fn there_are_so_many_requests_at_once_and_one_for_everybody() {
        let delivery_limits = DeliveryLimits::default();
        let mut taken = Vec::new();
        let mut sum = 0;
        for _ in 0..128 {
            let slot = delivery_limits.try_acquire(Lane::Webhooks, UserId::generate()).unwrap();
            sum += slot.max_concurrent_requests();
            taken.push(slot);
        }
        assert_eq!((taken[0].max_concurrent_requests(), taken[127].max_concurrent_requests()), (8, 1));
        assert_eq!(sum, 128 + MAX_BURST_REQUESTS);
        assert_eq!(
            delivery_limits.try_acquire(Lane::Failing, UserId::generate()).unwrap().max_concurrent_requests(),
            MAX_CONCURRENT_REQUESTS_DEGRADED
        );
        taken.clear();
        assert_eq!(
            delivery_limits.try_acquire(Lane::Webhooks, UserId::generate()).unwrap().max_concurrent_requests(),
            8
        );
    }
}
