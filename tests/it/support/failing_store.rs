//! Store that fails when an event is appended, after the change was written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use pocket_tasks::contract::event::Event;
use pocket_tasks::contract::project::Role;
use pocket_tasks::contract::{ProjectId, UserId};
use pocket_tasks::repositories::{
    EventFilter, EventRange, EventRepository, FeedBounds, NewEvent, Repositories, Store, StoreError, Transaction,
};

use super::delegation::feed_over;

/// Store whose event feed can be made to fail.
pub(crate) struct FailingStore {
    store: Arc<dyn Store>,
    fails: Arc<AtomicBool>,
}

impl FailingStore {
    /// Wraps a store, and returns the switch for failures.
    pub(crate) fn over(store: Arc<dyn Store>) -> (Arc<Self>, Arc<AtomicBool>) {
        let fails = Arc::new(AtomicBool::new(false));
        (Arc::new(Self { store, fails: Arc::clone(&fails) }), fails)
    }
}

#[async_trait]
impl Store for FailingStore {
    fn read(&self) -> &dyn Repositories {
        self.store.read()
    }

    fn read_unindexed(&self) -> &dyn Repositories {
        self.store.read_unindexed()
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>, StoreError> {
        let transaction = self.store.begin().await?;
        Ok(Box::new(Failing { transaction, fails: Arc::clone(&self.fails) }))
    }

    async fn wait_for_jobs(&self) {
        self.store.wait_for_jobs().await;
    }

    async fn wait_for_events(&self) {
        self.store.wait_for_events().await;
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.store.check().await
    }
}

struct Failing {
    transaction: Box<dyn Transaction>,
    fails: Arc<AtomicBool>,
}

feed_over!(Failing);

impl Failing {
    fn rest(&self) -> &dyn Repositories {
        &*self.transaction
    }

    fn feed(&self) -> &dyn EventRepository {
        self
    }
}

#[async_trait]
impl EventRepository for Failing {
    async fn append(&self, events: &[NewEvent]) -> Result<(), StoreError> {
        // As late as it can be: the events are there.
        self.transaction.events().append(events).await?;
        if self.fails.load(Ordering::SeqCst) { Err(StoreError::Internal("the feed is full".into())) } else { Ok(()) }
    }

    async fn bounds(&self) -> Result<FeedBounds, StoreError> {
        self.transaction.events().bounds().await
    }

    async fn list(&self, reader: UserId, filter: &EventFilter, walk: EventRange) -> Result<Vec<Event>, StoreError> {
        self.transaction.events().list(reader, filter, walk).await
    }

    async fn tail(&self, after: i64, limit: u64) -> Result<Vec<Event>, StoreError> {
        self.transaction.events().tail(after, limit).await
    }

    async fn memberships(&self, user: UserId) -> Result<Option<Vec<(ProjectId, Role)>>, StoreError> {
        self.transaction.events().memberships(user).await
    }
}

#[async_trait]
impl Transaction for Failing {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.transaction.commit().await
    }
}
