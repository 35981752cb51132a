//! How much of this process one owner's receivers may take at a time.
//!
//! A receiver that hangs costs a place in its lane and a connection for as long as it is waited for. So nobody has more
//! than a share of the places of a lane, however many webhooks they have and whatever they point to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::contract::UserId;
use crate::repositories::Lane;

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

/// The places of this process.
pub(super) struct Places {
    taken: Mutex<HashMap<(Lane, UserId), usize>>,
    further: Arc<Semaphore>,
    database: Semaphore,
}

/// A place in a lane; dropping it makes room for another run.
pub(super) struct Place {
    places: Arc<Places>,
    of: (Lane, UserId),
    further: Option<OwnedSemaphorePermit>,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            taken: Mutex::default(),
            further: Arc::new(Semaphore::new(FURTHER_REQUESTS)),
            database: Semaphore::new(AT_DATABASE),
        }
    }
}

impl Places {
    /// Takes a place; `None` when the owner has as many as may be.
    pub(super) fn take(self: &Arc<Self>, lane: Lane, owner: UserId) -> Option<Place> {
        let most = if lane == Lane::Failing { AILING_OF_OWNER } else { OF_OWNER };
        let mut taken = self.lock();
        let count = taken.entry((lane, owner)).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        drop(taken);
        let further = (lane != Lane::Failing)
            .then(|| Arc::clone(&self.further).try_acquire_many_owned(REQUESTS - 1).ok())
            .flatten();
        Some(Place { places: Arc::clone(self), of: (lane, owner), further })
    }

    /// Waits for a turn at the database.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // Never closed; if it were, nobody would have to wait.
        self.database.acquire().await.ok()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(Lane, UserId), usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// How many requests it may have at once.
    pub(super) fn requests(&self) -> usize {
        match (&self.further, self.of.0) {
            (Some(further), _) => further.num_permits() + 1,
            (None, Lane::Failing) => AILING_REQUESTS,
            (None, _) => 1,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        if let Some(count) = taken.get_mut(&self.of) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_more_than_a_share_of_a_lane_and_what_ends_makes_room() {
        let places = Arc::new(Places::default());
        let (ada, bob) = (UserId::generate(), UserId::generate());
        for (lane, most) in [(Lane::Webhooks, OF_OWNER), (Lane::Failing, AILING_OF_OWNER)] {
            let mut of_ada: Vec<_> = (0..most).map(|_| places.take(lane, ada).unwrap()).collect();
            assert!(places.take(lane, ada).is_none(), "{lane:?}");
            assert!(places.take(lane, bob).is_some(), "{lane:?}");
            of_ada.pop();
            of_ada.push(places.take(lane, ada).unwrap());
            assert!(places.take(lane, ada).is_none(), "{lane:?}");
        }
        assert!(places.lock().is_empty(), "all have ended");
    }

    #[test]
    fn there_are_so_many_requests_at_once_and_one_for_everybody() {
        let places = Arc::new(Places::default());
        let mut taken = Vec::new();
        let mut sum = 0;
        for _ in 0..128 {
            let place = places.take(Lane::Webhooks, UserId::generate()).unwrap();
            sum += place.requests();
            taken.push(place);
        }
        assert_eq!((taken[0].requests(), taken[127].requests()), (8, 1));
        assert_eq!(sum, 128 + FURTHER_REQUESTS);
        assert_eq!(places.take(Lane::Failing, UserId::generate()).unwrap().requests(), AILING_REQUESTS);
        taken.clear();
        assert_eq!(places.take(Lane::Webhooks, UserId::generate()).unwrap().requests(), 8);
    }
}
