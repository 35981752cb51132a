//! The store, its transactions, and access to all repositories.

use async_trait::async_trait;

use super::audit_log::AuditLogRepository;
use super::comments::CommentRepository;
use super::counters::CounterRepository;
use super::deliveries::DeliveryRepository;
use super::error::StoreError;
use super::events::EventRepository;
use super::idempotency::IdempotencyRepository;
use super::invitations::InvitationRepository;
use super::job_queue::{JobRepository, QueueRepository};
use super::known_addresses::KnownAddressRepository;
use super::long_texts::LongTextRepository;
use super::maintenance::MaintenanceRepository;
use super::members::MemberRepository;
use super::project_counts::ProjectCountRepository;
use super::projects::ProjectRepository;
use super::rate_limits::RateLimitRepository;
use super::revocation::Revocation;
use super::sealed_values::SealedValueRepository;
use super::sessions::SessionRepository;
use super::stream_tickets::StreamTicketRepository;
use super::task_lists::TaskListRepository;
use super::tasks::TaskRepository;
use super::tokens::{ApiTokenRepository, EmailTokenRepository};
use super::users::UserRepository;
use super::webhook_maintenance::WebhookMaintenanceRepository;
use super::webhooks::WebhookRepository;

/// A store of everything that is persistent.
#[async_trait]
pub trait Store: Send + Sync {
    /// Returns repositories that read committed data and cannot write.
    fn read(&self) -> &dyn Repositories;

    /// Returns repositories for queries that no index serves, such as searches.
    ///
    /// They have connections of their own, so that slow queries never delay fast ones.
    fn read_unindexed(&self) -> &dyn Repositories;

    /// Opens a transaction; dropping it rolls back.
    async fn begin(&self) -> Result<Box<dyn Transaction>, StoreError>;

    /// Waits until jobs or events may have been committed, by this process or another one.
    ///
    /// Commits between two calls are reported by the second.
    async fn wait_for_jobs(&self);

    /// Waits until events may have been committed, in the same way.
    async fn wait_for_events(&self);

    /// Returns a portion of the unused space of the database to the file system, if there is much of it.
    ///
    /// Returns whether more is left.
    async fn release_free_pages(&self) -> Result<bool, StoreError>;

    /// Waits for the next announcement of revoked credentials, by this process or another one.
    ///
    /// Without announcements between processes, as on SQLite, it waits for ever.
    async fn next_revocation(&self) -> Revocation;

    /// Returns whether several servers may share the database, so that limits must be counted in it.
    fn is_shared(&self) -> bool;

    /// Fails unless the database responds, accepts writes and has the expected schema.
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
    /// Members of projects.
    fn members(&self) -> &dyn MemberRepository;
    /// Invitations into projects.
    fn invitations(&self) -> &dyn InvitationRepository;
    /// Tasks.
    fn tasks(&self) -> &dyn TaskRepository;
    /// Lists of tasks.
    fn task_lists(&self) -> &dyn TaskListRepository;
    /// Comments on tasks.
    fn comments(&self) -> &dyn CommentRepository;
    /// The event feed. The commit notifies its subscribers.
    fn events(&self) -> &dyn EventRepository;
    /// Tickets for event streams.
    fn stream_tickets(&self) -> &dyn StreamTicketRepository;
    /// Long texts of events and stored responses.
    fn long_texts(&self) -> &dyn LongTextRepository;
    /// Webhooks.
    fn webhooks(&self) -> &dyn WebhookRepository;
    /// Deliveries to webhooks.
    fn deliveries(&self) -> &dyn DeliveryRepository;
    /// Idempotency keys.
    fn idempotency(&self) -> &dyn IdempotencyRepository;
    /// Tokens sent by e-mail.
    fn email_tokens(&self) -> &dyn EmailTokenRepository;
    /// Networks from which accounts were used.
    fn known_addresses(&self) -> &dyn KnownAddressRepository;
    /// Usage counters.
    fn counters(&self) -> &dyn CounterRepository;
    /// Shared buckets of rate limits.
    fn rate_limits(&self) -> &dyn RateLimitRepository;
    /// API tokens.
    fn api_tokens(&self) -> &dyn ApiTokenRepository;
    /// The audit log.
    fn audit_log(&self) -> &dyn AuditLogRepository;
    /// Producer side of the job queue. The commit notifies the workers.
    fn jobs(&self) -> &dyn JobRepository;
    /// Worker and operator side of the job queue.
    fn queue(&self) -> &dyn QueueRepository;
    /// Pruning and purging.
    fn maintenance(&self) -> &dyn MaintenanceRepository;
    /// Counters of projects, compared with what they count.
    fn project_counts(&self) -> &dyn ProjectCountRepository;
    /// Encrypted values at rest.
    fn sealed_values(&self) -> &dyn SealedValueRepository;
    /// Pruning and recovery of webhooks.
    fn webhook_maintenance(&self) -> &dyn WebhookMaintenanceRepository;
}

/// Repositories whose changes become visible together.
#[async_trait]
pub trait Transaction: Repositories {
    /// Makes the changes durable and visible.
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;

    /// Rolls back, and waits until all that the transaction has read is durable.
    ///
    /// For a success that changes nothing. Dropping is enough for an error.
    async fn discard(self: Box<Self>) -> Result<(), StoreError>;
}
