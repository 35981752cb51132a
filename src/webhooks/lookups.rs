//! How many names are looked up at once, and for whom.

use std::io;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

tokio::task_local! {
    /// The share of those for whom the current request is sent: the HTTP client has no room for it between the request
    /// and the resolver.
    static CURRENT: Lookups;
}

/// A share of the lookups of names. Each of these takes a thread of those that check passwords too, and takes it until
/// the machine gives up on the name, long after we have: nobody's names shall take so many that others wait.
#[derive(Debug, Clone)]
pub struct Lookups {
    own: Arc<Semaphore>,
    all: Arc<Semaphore>,
}

/// The right to look one name up; to be dropped when that is over, whether somebody waits for it still or not.
#[derive(Debug)]
pub struct Turn {
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Lookups {
    /// As many at once as both say: those of one owner, and those of all together.
    #[must_use]
    pub const fn new(own: Arc<Semaphore>, all: Arc<Semaphore>) -> Self {
        Self { own, all }
    }

    /// So many at once for everybody.
    pub(super) fn of_all(count: usize) -> Self {
        let semaphore = || Arc::new(Semaphore::new(count));
        Self::new(semaphore(), semaphore())
    }

    /// The share of the request that is being sent, if there is one.
    pub(super) fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Has this share pay for what is looked up for this work.
    pub(super) async fn pay_for<T>(&self, work: impl Future<Output = T>) -> T {
        CURRENT.scope(self.clone(), work).await
    }

    pub(super) async fn turn(&self) -> io::Result<Turn> {
        // One's own first: whoever has too many waits for oneself, and holds nothing that others wait for.
        let own = Arc::clone(&self.own).acquire_owned().await.map_err(io::Error::other)?;
        let all = Arc::clone(&self.all).acquire_owned().await.map_err(io::Error::other)?;
        Ok(Turn { _own: own, _all: all })
    }
}
