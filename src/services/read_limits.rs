//! Each user's share of the lists that are read at the same time.
//!
//! A search looks at every task of its projects, a list over all projects of a user looks at each of them, and even a page
//! that an index finds may be a megabyte. However many lists one user asks for, a few run at the same time and the others
//! wait for their turn, so that connections and processors are left for the other users.

use std::ops::Deref;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::ServiceContext;
use super::error::Error;
use super::keyed_semaphores::KeyedSemaphores;
use crate::contract::UserId;
use crate::repositories::Repositories;

/// Maximum wait of a read for the user's other reads.
const WAIT_TIMEOUT: Duration = Duration::from_secs(2);

/// The lists that are being read, of all users. Those that an index serves never wait for the others.
pub(crate) struct ReadLimits {
    indexed: PerUserLimit,
    unindexed: PerUserLimit,
}

impl ReadLimits {
    pub(crate) fn new(max_per_user: usize) -> Self {
        Self { indexed: PerUserLimit::new(max_per_user), unindexed: PerUserLimit::new(max_per_user) }
    }
}

/// The shares of all users in one kind of list.
struct PerUserLimit {
    running: KeyedSemaphores<UserId>,
    max_per_user: usize,
}

/// Repositories for a list. Dropping them lets the user's next one run.
pub(crate) struct LimitedRead<'a> {
    repositories: &'a dyn Repositories,
    _permit: OwnedSemaphorePermit,
}

impl<'a> Deref for LimitedRead<'a> {
    type Target = dyn Repositories + 'a;

    fn deref(&self) -> &Self::Target {
        self.repositories
    }
}

impl PerUserLimit {
    fn new(max_per_user: usize) -> Self {
        Self { running: KeyedSemaphores::default(), max_per_user }
    }

    async fn acquire(&self, user: UserId) -> Result<OwnedSemaphorePermit, Error> {
        match timeout(WAIT_TIMEOUT, self.running.get(user, self.max_per_user).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Error::TooManySearches),
        }
    }
}

impl ServiceContext {
    /// Returns repositories for a list that an index serves, when it is the user's turn.
    pub(crate) async fn read_indexed(&self, user: UserId) -> Result<LimitedRead<'_>, Error> {
        let permit = self.read_limits.indexed.acquire(user).await?;
        Ok(LimitedRead { repositories: self.store.read(), _permit: permit })
    }

    /// Returns repositories for a list that no index serves, when it is the user's turn.
    pub(crate) async fn read_unindexed(&self, user: UserId) -> Result<LimitedRead<'_>, Error> {
        let permit = self.read_limits.unindexed.acquire(user).await?;
        Ok(LimitedRead { repositories: self.store.read_unindexed(), _permit: permit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_user_has_a_share_of_the_reads_and_others_do_not_wait_for_it() {
        let reads = PerUserLimit::new(2);
        let (ada, bob) = (UserId::generate(), UserId::generate());
        let (first, other) = (reads.acquire(ada).await.unwrap(), reads.acquire(ada).await.unwrap());
        assert!(matches!(reads.acquire(ada).await, Err(Error::TooManySearches)));
        drop(reads.acquire(bob).await.unwrap());
        let (second, ()) = tokio::join!(reads.acquire(ada), async {
            tokio::time::advance(WAIT_TIMEOUT / 2).await;
            drop(first);
        });
        drop((second.unwrap(), other));
        assert!(reads.running.is_unused());
    }
}
