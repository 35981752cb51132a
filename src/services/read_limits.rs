//! Per-user limits on concurrent list reads.
//!
//! A search scans the tasks of its projects, and a list over all projects visits each of them. Each user gets a few
//! concurrent reads and further ones wait, so that connections and CPU time remain for other users.

use std::ops::Deref;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::error::Error;
use super::keyed_semaphores::KeyedSemaphores;
use crate::contract::UserId;
use crate::repositories::Repositories;

/// Maximum time that a read waits for other reads of the same user.
const WAIT_TIMEOUT: Duration = Duration::from_secs(2);

/// Limits of all users. Indexed reads never wait for unindexed ones.
pub(crate) struct ReadLimits {
    pub(crate) indexed: PerUserLimit,
    pub(crate) unindexed: PerUserLimit,
}

impl ReadLimits {
    pub(crate) fn new(max_per_user: usize) -> Self {
        Self { indexed: PerUserLimit::new(max_per_user), unindexed: PerUserLimit::new(max_per_user) }
    }
}

pub(crate) struct PerUserLimit {
    running: KeyedSemaphores<UserId>,
    max_per_user: usize,
}

/// Repositories for a list read. Dropping them starts the user's next one.
pub(crate) struct LimitedRead<'a> {
    repositories: &'a dyn Repositories,
    _permit: OwnedSemaphorePermit,
}

impl<'a> LimitedRead<'a> {
    pub(crate) fn new(repositories: &'a dyn Repositories, permit: OwnedSemaphorePermit) -> Self {
        Self { repositories, _permit: permit }
    }
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

    pub(crate) async fn acquire(&self, user: UserId) -> Result<OwnedSemaphorePermit, Error> {
        match timeout(WAIT_TIMEOUT, self.running.get(user, self.max_per_user).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Error::TooManySearches),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn reads_of_a_user_wait_for_each_other_but_not_for_other_users() {
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
