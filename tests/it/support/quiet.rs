//! Storage that counts what it is asked: one in which next to nothing happens, and one that has another below it.

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
use super::faults::{Fault, FaultyStore};

/// A feed in which only strangers do something, and nothing else. It needs no time, so that a test may stop the clock.
pub(crate) struct Quiet {
    end: AtomicI64,
    asked: AtomicUsize,
    lists: AtomicUsize,
    rest: FaultyStore,
}

impl Default for Quiet {
    fn default() -> Self {
        let rest = FaultyStore(Fault::Failed);
        Self { end: AtomicI64::new(7), asked: AtomicUsize::default(), lists: AtomicUsize::default(), rest }
    }
}

impl Quiet {
    /// Strangers do so many things, and nobody is told.
    pub(crate) fn happen(&self, count: i64) {
        self.end.fetch_add(count, Ordering::SeqCst);
    }

    /// How often it was asked anything.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// How often it was asked for what somebody may see.
    pub(crate) fn lists(&self) -> usize {
        self.lists.load(Ordering::SeqCst)
    }
}

feed_over!(Quiet);

impl Quiet {
    fn rest(&self) -> &dyn Repositories {
        &self.rest
    }

    fn feed(&self) -> &dyn EventRepository {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self
    }
}

#[async_trait]
impl Store for Quiet {
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
impl EventRepository for Quiet {
    async fn append(&self, events: &[NewEvent]) -> Result<(), StoreError> {
        self.rest.append(events).await
    }

    async fn bounds(&self) -> Result<FeedBounds, StoreError> {
        Ok(FeedBounds { pruned_through: 0, end: self.end.load(Ordering::SeqCst) })
    }

    async fn list(&self, _: UserId, _: &EventFilter, _: EventRange) -> Result<Vec<Event>, StoreError> {
        self.lists.fetch_add(1, Ordering::SeqCst);
        Ok(Vec::new())
    }

    async fn tail(&self, beyond: i64, limit: u64) -> Result<Vec<Event>, StoreError> {
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
        Ok((beyond + 1..=end).take(limit).map(event).collect())
    }

    async fn memberships(&self, _: UserId) -> Result<Option<Vec<(ProjectId, Role)>>, StoreError> {
        Ok(Some(Vec::new()))
    }
}

/// Any storage, with a count of how often it is read from outside of transactions.
pub(crate) struct Counted {
    store: Arc<dyn Store>,
    reads: AtomicUsize,
}

impl Counted {
    pub(crate) fn over(store: Arc<dyn Store>) -> Self {
        Self { store, reads: AtomicUsize::default() }
    }

    pub(crate) fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Store for Counted {
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
