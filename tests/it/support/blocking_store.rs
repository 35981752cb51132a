//! Store whose shared reader of the event feed can be blocked.

use std::sync::Arc;

use async_trait::async_trait;
use pocket_tasks::contract::event::Event;
use pocket_tasks::contract::project::Role;
use pocket_tasks::contract::{ProjectId, UserId};
use pocket_tasks::repositories::{
    EventFilter, EventRange, EventRepository, FeedBounds, NewEvent, Repositories, Store, StoreError, Transaction,
};
use tokio::sync::watch;

use super::delegation::feed_over;

/// Store in which new events are read only while the gate is open.
pub(crate) struct BlockingStore {
    store: Arc<dyn Store>,
    is_open: watch::Receiver<bool>,
}

impl BlockingStore {
    /// Wraps a store, and returns the gate, which is open.
    pub(crate) fn over(store: Arc<dyn Store>) -> (Arc<Self>, watch::Sender<bool>) {
        let (gate, is_open) = watch::channel(true);
        (Arc::new(Self { store, is_open }), gate)
    }
}

feed_over!(BlockingStore);

impl BlockingStore {
    fn rest(&self) -> &dyn Repositories {
        self.store.read()
    }

    fn feed(&self) -> &dyn EventRepository {
        self
    }
}

#[async_trait]
impl Store for BlockingStore {
    fn read(&self) -> &dyn Repositories {
        self
    }

    fn read_unindexed(&self) -> &dyn Repositories {
        self
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>, StoreError> {
        self.store.begin().await
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

#[async_trait]
impl EventRepository for BlockingStore {
    async fn append(&self, events: &[NewEvent]) -> Result<(), StoreError> {
        self.store.read().events().append(events).await
    }

    async fn bounds(&self) -> Result<FeedBounds, StoreError> {
        self.store.read().events().bounds().await
    }

    async fn list(&self, reader: UserId, filter: &EventFilter, walk: EventRange) -> Result<Vec<Event>, StoreError> {
        self.store.read().events().list(reader, filter, walk).await
    }

    async fn tail(&self, after: i64, limit: u64) -> Result<Vec<Event>, StoreError> {
        let _ = self.is_open.clone().wait_for(|is_open| *is_open).await;
        self.store.read().events().tail(after, limit).await
    }

    async fn memberships(&self, user: UserId) -> Result<Option<Vec<(ProjectId, Role)>>, StoreError> {
        self.store.read().events().memberships(user).await
    }
}
