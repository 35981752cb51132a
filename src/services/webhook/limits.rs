//! How much of this process one owner's receivers may take at a time.
//!
//! A receiver that hangs costs a slot in its lane and a connection for as long as it is waited for. So nobody has more
//! than a share of the slots of a lane, however many webhooks they have and whatever they point to.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::contract::UserId;
use crate::repositories::Lane;
use crate::services::keyed_semaphores::KeyedSemaphores;
use crate::webhooks::Lookups;

/// As many runs of one owner there are at once among those that answer well, and among the others.
const OF_OWNER: usize = 16;
const AILING_OF_OWNER: usize = 32;

/// As many requests a run has at once where things go well, as far as there is room, and where they do not.
const REQUESTS: u32 = 8;
const AILING_REQUESTS: usize = 2;

/// As many requests all runs together have at once beside the first of each: connections are files, of which a process
/// has not many.
const FURTHER_REQUESTS: usize = 224;

/// As many runs ask the database at once. There are few connections, and requests need them too.
const AT_DATABASE: usize = 8;

/// As many names are looked up at once for all runs of a lane together. A name may take as long as a receiver, so those
/// who ail have lookups of their own; an owner has as many as runs, and a run, which has one name to look up, one.
const LOOKUPS: usize = 128;

/// The slots of this process.
pub(crate) struct Slots {
    shares: KeyedSemaphores<(Of, Lane, UserId)>,
    further: Arc<Semaphore>,
    lookups: Arc<Semaphore>,
    ailing_lookups: Arc<Semaphore>,
    database: Semaphore,
}

/// What an owner has a share of. Each lasts as long as something is taken of it: a lookup may go on for longer than the
/// run that it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Of {
    Runs,
    Lookups,
}

/// A slot in a lane; dropping it makes room for another run.
pub(crate) struct Slot {
    lane: Lane,
    _run: OwnedSemaphorePermit,
    further: Option<OwnedSemaphorePermit>,
    lookups: Lookups,
}

impl Default for Slots {
    fn default() -> Self {
        Self {
            shares: KeyedSemaphores::default(),
            further: Arc::new(Semaphore::new(FURTHER_REQUESTS)),
            lookups: Arc::new(Semaphore::new(LOOKUPS)),
            ailing_lookups: Arc::new(Semaphore::new(LOOKUPS)),
            database: Semaphore::new(AT_DATABASE),
        }
    }
}

impl Slots {
    /// Takes a slot; `None` when the owner has as many as may be.
    pub(crate) fn take(&self, lane: Lane, owner: UserId) -> Option<Slot> {
        let is_ailing = lane == Lane::Failing;
        let run = self.share(Of::Runs, lane, owner).try_acquire_owned().ok()?;
        let all = if is_ailing { &self.ailing_lookups } else { &self.lookups };
        let of_run = Arc::new(Semaphore::new(1));
        let lookups = Lookups::new([of_run, self.share(Of::Lookups, lane, owner), Arc::clone(all)]);
        let further = (!is_ailing).then(|| Arc::clone(&self.further).try_acquire_many_owned(REQUESTS - 1).ok());
        Some(Slot { lane, _run: run, further: further.flatten(), lookups })
    }

    /// Waits for a turn at the database.
    pub(crate) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // Never closed; if it were, nobody would have to wait.
        self.database.acquire().await.ok()
    }

    fn share(&self, of: Of, lane: Lane, owner: UserId) -> Arc<Semaphore> {
        let most = if lane == Lane::Failing { AILING_OF_OWNER } else { OF_OWNER };
        self.shares.get((of, lane, owner), most)
    }
}

impl Slot {
    /// What its requests may look up.
    pub(crate) fn lookups(&self) -> Lookups {
        self.lookups.clone()
    }

    /// How many requests it may have at once.
    pub(crate) fn requests(&self) -> usize {
        match (&self.further, self.lane) {
            (Some(further), _) => further.num_permits() + 1,
            (None, Lane::Failing) => AILING_REQUESTS,
            (None, _) => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_more_than_a_share_of_a_lane_and_what_ends_makes_room() {
        let slots = Slots::default();
        let (ada, bob) = (UserId::generate(), UserId::generate());
        for (lane, most) in [(Lane::Webhooks, OF_OWNER), (Lane::Failing, AILING_OF_OWNER)] {
            let mut of_ada: Vec<_> = (0..most).map(|_| slots.take(lane, ada).unwrap()).collect();
            assert!(slots.take(lane, ada).is_none(), "{lane:?}");
            assert!(slots.take(lane, bob).is_some(), "{lane:?}");
            of_ada.pop();
            of_ada.push(slots.take(lane, ada).unwrap());
            assert!(slots.take(lane, ada).is_none(), "{lane:?}");
        }
        assert!(slots.shares.is_unused(), "all have ended");
    }

    #[test]
    fn there_are_so_many_requests_at_once_and_one_for_everybody() {
        let slots = Slots::default();
        let mut taken = Vec::new();
        let mut sum = 0;
        for _ in 0..128 {
            let slot = slots.take(Lane::Webhooks, UserId::generate()).unwrap();
            sum += slot.requests();
            taken.push(slot);
        }
        assert_eq!((taken[0].requests(), taken[127].requests()), (8, 1));
        assert_eq!(sum, 128 + FURTHER_REQUESTS);
        assert_eq!(slots.take(Lane::Failing, UserId::generate()).unwrap().requests(), AILING_REQUESTS);
        taken.clear();
        assert_eq!(slots.take(Lane::Webhooks, UserId::generate()).unwrap().requests(), 8);
    }
}
