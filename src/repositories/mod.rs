//! What services need from storage, as traits.
//!
//! `Store` gives repositories for reading, and transactions that are repositories too. A transaction is explicit: it
//! ends with `commit`, and dropping it rolls everything back. Only services and jobs begin one, a service method at
//! most one, and nothing slow happens while it is open. Verbs are few: `find` may find nothing, `lock` finds and keeps
//! others from changing until the end of the transaction, `list` gives a page, `add` and `update` write one row.

mod comments;
mod deliveries;
mod events;
mod idempotency;
mod invitations;
mod job;
mod job_queue;
mod maintenance;
mod members;
mod projects;
mod sessions;
mod tasks;
mod tokens;
mod users;
mod webhooks;

use async_trait::async_trait;

pub use comments::{CommentRepository, CommentWithContext};
pub use deliveries::{
    DeliverableEvent, DeliveryFilter, DeliveryRecord, DeliveryRepository, DueDelivery, WebhookSubscription,
};
pub use events::{EventFilter, EventRange, EventRepository, FeedBounds, NewEvent};
pub use idempotency::{IdempotencyRepository, IdempotentRequest, KeyClaim, RequiredAccess, StoredResponse};
pub use invitations::{InvitationRepository, InvitationScope};
pub use job::{Dedup, Job, Queue};
pub use job_queue::{JobRecord, JobRepository, JobState, Lease, LeasedJob, QueueRepository};
pub use maintenance::{AnonymizedContent, MaintenanceRepository, Prunable, StalledWebhooks};
pub use members::MemberRepository;
pub use projects::{LockedProject, ProjectFilter, ProjectRepository};
pub use sessions::{NewRefreshToken, NewSession, RefreshTokenRecord, SessionRecord, SessionRepository};
pub use tasks::{
    Assignee, CursorPage, CursorRequest, ProjectTaskPage, SortKey, SortValue, TaskFilter, TaskRepository,
    TaskWithContext, VisibleTaskPage,
};
pub use tokens::{ApiTokenRecord, ApiTokenRepository, EmailTokenPurpose, EmailTokenRepository};
pub use users::{Credentials, UserRepository};
pub use webhooks::{EndpointHealth, PreviousSecret, WebhookFilter, WebhookRecord, WebhookRepository};

/// Where everything is kept.
#[async_trait]
pub trait Store: Send + Sync {
    /// Repositories that see what is committed. Only for reading: on SQLite they cannot write.
    fn read(&self) -> &dyn Repositories;

    /// Repositories for lists whose cost grows with what is stored, such as searches. They have connections of their own,
    /// so that none of them holds up a short statement. The services decide how much of them a user may have.
    fn read_unindexed(&self) -> &dyn Repositories;

    /// Opens a transaction; dropping it rolls back.
    async fn begin(&self) -> Result<Box<dyn Transaction>, StoreError>;

    /// Waits until a job may have become due without anybody here knowing: one was committed, by this process or
    /// another one. What was committed between two calls counts for the second.
    async fn wait_for_jobs(&self);

    /// Waits until events may have been committed, in the same way.
    async fn wait_for_events(&self);

    /// Finds out whether the database answers and accepts writes, and its schema is the one this program knows.
    async fn check(&self) -> Result<(), StoreError>;
}

/// All repositories over one connection.
pub trait Repositories: Send + Sync {
    /// Accounts.
    fn users(&self) -> &dyn UserRepository;
    /// Sessions and their refresh tokens.
    fn sessions(&self) -> &dyn SessionRepository;
    /// Projects.
    fn projects(&self) -> &dyn ProjectRepository;
    /// The people in projects.
    fn members(&self) -> &dyn MemberRepository;
    /// Invitations into projects.
    fn invitations(&self) -> &dyn InvitationRepository;
    /// Tasks.
    fn tasks(&self) -> &dyn TaskRepository;
    /// Comments on tasks.
    fn comments(&self) -> &dyn CommentRepository;
    /// The feed. Whoever asks for it in a transaction wakes those who follow it with its commit.
    fn events(&self) -> &dyn EventRepository;
    /// Webhooks.
    fn webhooks(&self) -> &dyn WebhookRepository;
    /// Deliveries of events to webhooks.
    fn deliveries(&self) -> &dyn DeliveryRepository;
    /// Keys by which requests can be repeated.
    fn idempotency(&self) -> &dyn IdempotencyRepository;
    /// Tokens that were sent by mail.
    fn email_tokens(&self) -> &dyn EmailTokenRepository;
    /// API tokens.
    fn api_tokens(&self) -> &dyn ApiTokenRepository;
    /// Promises of jobs. Whoever asks for them in a transaction wakes the workers with its commit.
    fn jobs(&self) -> &dyn JobRepository;
    /// The queue, as workers and operators see it.
    fn queue(&self) -> &dyn QueueRepository;
    /// Removing for good.
    fn maintenance(&self) -> &dyn MaintenanceRepository;
}

/// Repositories whose changes become visible together, or not at all.
#[async_trait]
pub trait Transaction: Repositories {
    /// Makes the changes durable and visible.
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// Why storage did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It is away, overloaded, full or read-only; the same may work later.
    #[error("the database is not available")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What was to be locked went elsewhere meanwhile; a new transaction may find it there.
    #[error("what was to be locked was moved meanwhile")]
    ConcurrentMove,
    /// A part of the stored data cannot be read. Storage has reported that already.
    #[error("the database is damaged")]
    Damaged(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It refused, or holds something that this program cannot read.
    #[error("the database failed")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}
