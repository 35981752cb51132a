//! Each user's share of the reads whose cost grows with what is stored.
//!
//! A search looks at every task of its projects, and a list over all projects of a user looks at each of them. Such reads
//! of one user run one after the other: however many are sent, they take one of the connections for such reads, and the
//! others are left to the other users.

use std::ops::Deref;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::Shared;
use super::error::Error;
use super::keyed_semaphores::KeyedSemaphores;
use crate::contract::UserId;
use crate::repositories::Repositories;

/// Reads of one user that may run at the same time.
const MAX_PER_USER: usize = 1;

/// How long a read waits for the user's other reads.
const WAIT_TIMEOUT: Duration = Duration::from_secs(2);

/// The shares of all users.
#[derive(Default)]
pub(super) struct UnindexedReads(KeyedSemaphores<UserId>);

/// Repositories for a list. Dropping them lets the user's next one run.
pub(super) struct ListRead<'a> {
    repositories: &'a dyn Repositories,
    _permit: Option<OwnedSemaphorePermit>,
}

impl<'a> Deref for ListRead<'a> {
    type Target = dyn Repositories + 'a;

    fn deref(&self) -> &Self::Target {
        self.repositories
    }
}

impl UnindexedReads {
    async fn acquire(&self, user: UserId) -> Result<OwnedSemaphorePermit, Error> {
        match timeout(WAIT_TIMEOUT, self.0.get(user, MAX_PER_USER).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Error::TooManySearches),
        }
    }
}

impl Shared {
    /// Returns repositories for a list that an index serves.
    pub(super) fn read_indexed(&self) -> ListRead<'_> {
        ListRead { repositories: self.store.read(), _permit: None }
    }

    /// Returns repositories for a list that no index serves, when it is the user's turn.
    pub(super) async fn read_unindexed(&self, user: UserId) -> Result<ListRead<'_>, Error> {
        let permit = self.unindexed_reads.acquire(user).await?;
        Ok(ListRead { repositories: self.store.read_unindexed(), _permit: Some(permit) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_user_has_one_read_at_a_time_and_others_do_not_wait_for_it() {
        let reads = UnindexedReads::default();
        let (ada, bob) = (UserId::generate(), UserId::generate());
        let first = reads.acquire(ada).await.unwrap();
        assert!(matches!(reads.acquire(ada).await, Err(Error::TooManySearches)));
        drop(reads.acquire(bob).await.unwrap());
        let (second, ()) = tokio::join!(reads.acquire(ada), async {
            tokio::time::advance(WAIT_TIMEOUT / 2).await;
            drop(first);
        });
        drop(second.unwrap());
        assert!(reads.0.is_unused());
    }
}
