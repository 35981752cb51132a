//! Stores that count queries: one with an idle feed, and a wrapper of another store.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use async_trait::async_trait;
use pocket_tasks::contract::event::{Event, EventType};
use pocket_tasks::contract::project::Role;
use pocket_tasks::contract::{EventId, ProjectId, Timestamp, UserId};
use pocket_tasks::repositories::{
    EventFilter, EventRange, EventRepository, FeedBounds, NewEvent, Repositories, Store, StoreError, Transaction,
};

use super::delegation::feed_over;
use super::faulty_store::{Fault, FaultyStore};

/// Store whose feed only has events of other users. It never waits, so that a test can pause the clock.
pub(crate) struct IdleStore {
    end: AtomicI64,
    queries: AtomicUsize,
    list_queries: AtomicUsize,
    rest: FaultyStore,
}

impl Default for IdleStore {
    fn default() -> Self {
        let rest = FaultyStore(Fault::Failed);
        Self { end: AtomicI64::new(7), queries: AtomicUsize::default(), list_queries: AtomicUsize::default(), rest }
    }
}

impl IdleStore {
    /// Appends events of other users without a notification.
    pub(crate) fn append_foreign_events(&self, count: i64) {
        self.end.fetch_add(count, Ordering::SeqCst);
    }

    /// Number of queries.
    pub(crate) fn queries(&self) -> usize {
        self.queries.load(Ordering::SeqCst)
    }

    /// Number of queries for visible events.
    pub(crate) fn list_queries(&self) -> usize {
        self.list_queries.load(Ordering::SeqCst)
    }
}

feed_over!(IdleStore);

impl IdleStore {
    fn rest(&self) -> &dyn Repositories {
        &self.rest
    }

    fn feed(&self) -> &dyn EventRepository {
        self.queries.fetch_add(1, Ordering::SeqCst);
        self
    }
}

#[async_trait]
impl Store for IdleStore {
    fn read(&self) -> &dyn Repositories {
        self
    }

    fn read_unindexed(&self) -> &dyn Repositories {
        self
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>, StoreError> {
        self.rest.begin().await
    }

    async fn wait_for_jobs(&self) {
        self.rest.wait_for_jobs().await;
    }

    async fn wait_for_events(&self) {
        self.rest.wait_for_events().await;
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.rest.check().await
    }
}

#[async_trait]
impl EventRepository for IdleStore {
    async fn append(&self, events: &[NewEvent]) -> Result<(), StoreError> {
        self.rest.append(events).await
    }

    async fn bounds(&self) -> Result<FeedBounds, StoreError> {
        Ok(FeedBounds { pruned_through: 0, end: self.end.load(Ordering::SeqCst) })
    }

    async fn list(&self, _: UserId, _: &EventFilter, _: EventRange) -> Result<Vec<Event>, StoreError> {
        self.list_queries.fetch_add(1, Ordering::SeqCst);
        Ok(Vec::new())
    }

    async fn tail(&self, after: i64, limit: u64) -> Result<Vec<Event>, StoreError> {
        let end = self.end.load(Ordering::SeqCst);
        let limit = usize::try_from(limit).unwrap();
        let event = |sequence| Event {
            id: EventId::generate(),
            sequence,
            kind: EventType::TaskCreated,
            project_id: ProjectId::generate(),
            actor_id: None,
            occurred_at: Timestamp::now(),
            data: "{}".to_owned(),
            previous: None,
            request_id: None,
        };
        Ok((after + 1..=end).take(limit).map(event).collect())
    }

    async fn memberships(&self, _: UserId) -> Result<Option<Vec<(ProjectId, Role)>>, StoreError> {
        Ok(Some(Vec::new()))
    }
}

/// Wrapper that counts the reads outside of transactions.
pub(crate) struct CountingStore {
    store: Arc<dyn Store>,
    reads: AtomicUsize,
}

impl CountingStore {
    pub(crate) fn over(store: Arc<dyn Store>) -> Self {
        Self { store, reads: AtomicUsize::default() }
    }

    pub(crate) fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Store for CountingStore {
    fn read(&self) -> &dyn Repositories {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.store.read()
    }

    fn read_unindexed(&self) -> &dyn Repositories {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.store.read_unindexed()
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
