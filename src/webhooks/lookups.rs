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
pub struct Lookups(Arc<[Arc<Semaphore>]>);

/// The right to look one name up; to be dropped when that is over, whether somebody waits for it still or not.
#[derive(Debug)]
pub struct Turn(#[expect(dead_code, reason = "it is given back when it is dropped")] Vec<OwnedSemaphorePermit>);

impl Lookups {
    /// As many at once as each of these says. The narrowest comes first: whoever waits there holds nothing that others
    /// wait for.
    #[must_use]
    pub fn new(shares: impl Into<Arc<[Arc<Semaphore>]>>) -> Self {
        Self(shares.into())
    }

    /// So many at once.
    pub(super) fn of_all(count: usize) -> Self {
        Self::new([Arc::new(Semaphore::new(count))])
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
        let mut permits = Vec::with_capacity(self.0.len());
        for share in &*self.0 {
            permits.push(Arc::clone(share).acquire_owned().await.map_err(io::Error::other)?);
        }
        Ok(Turn(permits))
    }
}
