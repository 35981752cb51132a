//! Store over another one, with faults that a test switches on.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use pocket_tasks::contract::account::audit_entry::{AuditEntry, AuditEntrySort, AuditEntryType};
use pocket_tasks::contract::event::Event;
use pocket_tasks::contract::page::{Page, Paging, Sort};
use pocket_tasks::contract::project::Role;
use pocket_tasks::contract::{ProjectId, Timestamp, UserId};
use pocket_tasks::repositories::{
    ApiTokenRepository, AuditFilter, AuditLogRepository, AuditRecord, CommentRepository, CounterRepository,
    DeliveryRepository, EmailTokenRepository, EventFilter, EventHeader, EventRange, EventRepository, FeedBounds,
    IdempotencyRepository, IdempotentRequest, InvitationRepository, JobRepository, KeyClaim, KnownAddressRepository,
    LongTextRepository, MaintenanceRepository, MemberRepository, NewEvent, ProjectCountRepository, ProjectRepository,
    QueueRepository, RateLimitRepository, Repositories, Revocation, SealedValueRepository, SessionRepository, Store,
    StoreError, StoredResponse, StreamTicketRepository, TaskListRepository, TaskRepository, Transaction,
    UserRepository, WebhookMaintenanceRepository, WebhookRepository, Write,
};
use tokio::sync::watch;

/// State of a `FaultStore`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Events are appended, and then the storage reports an error.
    AppendFails,
    /// The shared reader of the feed waits until the fault is over.
    TailWaits,
    /// Another transaction holds every idempotency key.
    ClaimInProgress,
    /// Transactions never begin, and lists of the audit log, which need none, never end.
    Stuck,
    /// Every access panics.
    Panic,
}

/// Store over another one, which counts the reads outside of transactions.
pub(crate) struct FaultStore {
    reader: Faulty<Arc<dyn Store>>,
    reads: AtomicUsize,
}

impl FaultStore {
    pub(crate) fn over(store: Arc<dyn Store>, fault: Fault) -> Arc<Self> {
        let reader = Faulty { inner: store, feed: None, fault: Arc::new(watch::Sender::new(fault)) };
        Arc::new(Self { reader, reads: AtomicUsize::default() })
    }

    /// Wraps a store whose feed is replaced for readers.
    pub(crate) fn with_feed(store: Arc<dyn Store>, feed: Arc<dyn EventRepository>) -> Arc<Self> {
        let reader = Faulty { inner: store, feed: Some(feed), fault: Arc::new(watch::Sender::new(Fault::None)) };
        Arc::new(Self { reader, reads: AtomicUsize::default() })
    }

    pub(crate) fn set(&self, fault: Fault) {
        self.reader.fault.send_replace(fault);
    }

    /// Number of reads.
    pub(crate) fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    fn begin_read(&self) {
        self.reader.panic_if_faulty();
        self.reads.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Store for FaultStore {
    fn read(&self) -> &dyn Repositories {
        self.begin_read();
        &self.reader
    }

    fn read_unindexed(&self) -> &dyn Repositories {
        self.begin_read();
        if self.reader.feed.is_some() || self.reader.has(Fault::Stuck) {
            &self.reader
        } else {
            self.reader.inner.read_unindexed()
        }
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>, StoreError> {
        self.reader.panic_if_faulty();
        if self.reader.has(Fault::Stuck) {
            return pending().await;
        }
        let inner = self.reader.inner.begin().await?;
        Ok(Box::new(Faulty { inner, feed: None, fault: Arc::clone(&self.reader.fault) }))
    }

    async fn wait_for_jobs(&self) {
        self.reader.inner.wait_for_jobs().await;
    }

    async fn wait_for_events(&self) {
        self.reader.inner.wait_for_events().await;
    }

    async fn release_free_pages(&self) -> Result<bool, StoreError> {
        self.reader.inner.release_free_pages().await
    }

    async fn next_revocation(&self) -> Revocation {
        self.reader.inner.next_revocation().await
    }

    fn is_shared(&self) -> bool {
        self.reader.inner.is_shared()
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.reader.inner.check().await
    }
}

/// Repositories of a store or a transaction, with its faults.
struct Faulty<R> {
    inner: R,
    /// Replacement of the feed.
    feed: Option<Arc<dyn EventRepository>>,
    fault: Arc<watch::Sender<Fault>>,
}

impl<R> Faulty<R> {
    fn has(&self, fault: Fault) -> bool {
        *self.fault.borrow() == fault
    }

    fn panic_if_faulty(&self) {
        assert!(!self.has(Fault::Panic), "panicked at SELECT in src/database/users.rs");
    }
}

/// Store or transaction with repositories.
trait Inner: Send + Sync {
    fn repositories(&self) -> &dyn Repositories;
}

impl Inner for Arc<dyn Store> {
    fn repositories(&self) -> &dyn Repositories {
        self.read()
    }
}

impl Inner for Box<dyn Transaction> {
    fn repositories(&self) -> &dyn Repositories {
        &**self
    }
}

macro_rules! delegate {
    ($($name:ident: $trait:ident,)*) => {
        impl<R: Inner> Repositories for Faulty<R> {
            $(
                fn $name(&self) -> &dyn $trait {
                    self.inner.repositories().$name()
                }
            )*

            fn events(&self) -> &dyn EventRepository {
                self.feed.as_deref().unwrap_or(self)
            }

            fn idempotency(&self) -> &dyn IdempotencyRepository {
                self
            }

            fn audit_log(&self) -> &dyn AuditLogRepository {
                self
            }
        }
    };
}

delegate! {
    users: UserRepository,
    sessions: SessionRepository,
    projects: ProjectRepository,
    members: MemberRepository,
    invitations: InvitationRepository,
    tasks: TaskRepository,
    task_lists: TaskListRepository,
    comments: CommentRepository,
    long_texts: LongTextRepository,
    webhooks: WebhookRepository,
    deliveries: DeliveryRepository,
    email_tokens: EmailTokenRepository,
    known_addresses: KnownAddressRepository,
    stream_tickets: StreamTicketRepository,
    counters: CounterRepository,
    rate_limits: RateLimitRepository,
    api_tokens: ApiTokenRepository,
    jobs: JobRepository,
    queue: QueueRepository,
    maintenance: MaintenanceRepository,
    project_counts: ProjectCountRepository,
    sealed_values: SealedValueRepository,
    webhook_maintenance: WebhookMaintenanceRepository,
}

#[async_trait]
impl<R: Inner> AuditLogRepository for Faulty<R> {
    async fn add(&self, record: &AuditRecord, repeat_key: Option<&str>) -> Result<(), StoreError> {
        self.inner.repositories().audit_log().add(record, repeat_key).await
    }

    async fn count(&self, user: Option<UserId>, kind: AuditEntryType, since: Timestamp) -> Result<u64, StoreError> {
        self.inner.repositories().audit_log().count(user, kind, since).await
    }

    async fn list(
        &self,
        user: UserId,
        kind: Option<AuditEntryType>,
        sort: Sort<AuditEntrySort>,
        paging: Paging,
    ) -> Result<Page<AuditEntry>, StoreError> {
        if self.has(Fault::Stuck) {
            return pending().await;
        }
        self.inner.repositories().audit_log().list(user, kind, sort, paging).await
    }

    async fn list_all(&self, filter: &AuditFilter, limit: u64) -> Result<Vec<AuditRecord>, StoreError> {
        self.inner.repositories().audit_log().list_all(filter, limit).await
    }
}

#[async_trait]
impl<R: Inner> EventRepository for Faulty<R> {
    async fn write_and_append(&self, writes: &[Write<'_>], events: &[NewEvent]) -> Result<(), StoreError> {
        self.inner.repositories().events().write_and_append(writes, events).await?;
        if self.has(Fault::AppendFails) { Err(StoreError::Internal("the feed is full".into())) } else { Ok(()) }
    }

    async fn bounds(&self) -> Result<FeedBounds, StoreError> {
        self.inner.repositories().events().bounds().await
    }

    async fn list(&self, reader: UserId, filter: &EventFilter, range: EventRange) -> Result<Vec<Event>, StoreError> {
        self.inner.repositories().events().list(reader, filter, range).await
    }

    async fn tail(&self, after: i64, limit: u64) -> Result<Vec<Event>, StoreError> {
        let _ = self.fault.subscribe().wait_for(|fault| *fault != Fault::TailWaits).await;
        self.inner.repositories().events().tail(after, limit).await
    }

    async fn list_headers(
        &self,
        reader: UserId,
        filter: &EventFilter,
        range: EventRange,
    ) -> Result<Vec<EventHeader>, StoreError> {
        self.inner.repositories().events().list_headers(reader, filter, range).await
    }

    async fn tail_headers(&self, after: i64, limit: u64) -> Result<Vec<EventHeader>, StoreError> {
        self.inner.repositories().events().tail_headers(after, limit).await
    }

    async fn memberships(&self, user: UserId) -> Result<Option<Vec<(ProjectId, Role)>>, StoreError> {
        self.inner.repositories().events().memberships(user).await
    }
}

#[async_trait]
impl<R: Inner> IdempotencyRepository for Faulty<R> {
    async fn claim(
        &self,
        user: UserId,
        request: &IdempotentRequest,
        now: Timestamp,
        expired_before: Timestamp,
    ) -> Result<KeyClaim, StoreError> {
        if self.has(Fault::ClaimInProgress) {
            return Ok(KeyClaim::InProgress);
        }
        self.inner.repositories().idempotency().claim(user, request, now, expired_before).await
    }

    async fn store_response(&self, user: UserId, key: &str, response: &StoredResponse) -> Result<(), StoreError> {
        self.inner.repositories().idempotency().store_response(user, key, response).await
    }

    async fn find(
        &self,
        user: UserId,
        key: &str,
        expired_before: Timestamp,
    ) -> Result<Option<([u8; 32], StoredResponse)>, StoreError> {
        self.inner.repositories().idempotency().find(user, key, expired_before).await
    }
}

#[async_trait]
impl Transaction for Faulty<Box<dyn Transaction>> {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.inner.commit().await
    }

    async fn discard(self: Box<Self>) -> Result<(), StoreError> {
        self.inner.discard().await
    }
}
