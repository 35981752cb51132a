//! The store and its transactions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sea_orm::sea_query::Expr;
use sea_orm::{DatabaseConnection, DbBackend, EntityTrait as _};
use tracing::Instrument as _;

use super::connect::{self, BUSY_TIMEOUT, DatabaseConnections, Settings};
use super::decode::DecodingConnection;
use super::entities::storage_probe;
use super::free_pages;
use super::health::StorageHealth;
use super::integrity;
use super::migrations::{self, MigrationStatus};
use super::notifier::Notifier;
use super::read_pool::ReadPool;
use super::repositories::SeaRepositories;
use super::revocations::RevocationListener;
use super::server_wait::wait_for_server;
use super::sqlite;
use super::transaction::{GuardedTransaction, Writers};
use crate::contract::Timestamp;
use crate::repositories::{
    ApiTokenRepository, AuditLogRepository, CommentRepository, CounterRepository, DeliveryRepository,
    EmailTokenRepository, EventRepository, IdempotencyRepository, InvitationRepository, JobRepository,
    KnownAddressRepository, LongTextRepository, MaintenanceRepository, MemberRepository, ProjectCountRepository,
    ProjectRepository, QueueRepository, RateLimitRepository, Repositories, Revocation, SealedValueRepository,
    SessionRepository, Store, StoreError, StreamTicketRepository, TaskListRepository, TaskRepository, Transaction,
    UserRepository, WebhookMaintenanceRepository, WebhookRepository,
};

/// Maximum wait of the readiness check for the database.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// A store in SQLite or PostgreSQL.
pub struct SeaStore {
    pub(super) reader: SeaRepositories<ReadPool>,
    pub(super) unindexed_reader: SeaRepositories<ReadPool>,
    pub(super) writers: Writers,
    pub(super) health: Arc<StorageHealth>,
    notifiers: Arc<Notifiers>,
    revocations: RevocationListener,
}

/// Notifiers of commits.
struct Notifiers {
    jobs: Notifier,
    events: Notifier,
}

impl SeaStore {
    /// Connects, and migrates the schema if the settings say so.
    pub async fn open(settings: &Settings) -> Result<Self, StoreError> {
        let connected = match connect::connect(settings).await {
            Ok(connected) => connected,
            Err(error) => {
                // A pool reports only that it waited; one more attempt finds the cause.
                wait_for_server(&settings.url, Duration::ZERO).await?;
                return Err(error);
            }
        };
        let DatabaseConnections { writers, reader, unindexed_reader, health } = connected;
        let notifier = |channel| match &writers {
            Writers::Postgres(pool) => {
                Notifier::on_postgres(pool.clone(), Arc::clone(&health), settings.url.clone(), channel)
            }
            Writers::Sqlite(_) => Notifier::new(),
        };
        let notifiers = Notifiers { jobs: notifier("pocket_tasks_jobs"), events: notifier("pocket_tasks_events") };
        let [reader, unindexed_reader] = [reader, unindexed_reader].map(SeaRepositories);
        let is_postgres = writers.backend() == DbBackend::Postgres;
        let revocations = RevocationListener::new(is_postgres.then(|| settings.url.clone()));
        let notifiers = Arc::new(notifiers);
        let store = Self { reader, unindexed_reader, writers, health, notifiers, revocations };
        if settings.migrate {
            store.migrate().await?;
        }
        Ok(store)
    }

    /// Lists the migrations, those of a newer version last.
    pub async fn migrations(&self) -> Result<Vec<MigrationStatus>, StoreError> {
        let connection = self.connect_migrating().await?;
        let status = migrations::status(&connection).await;
        self.close_migrating(connection).await;
        status
    }

    /// Applies the pending migrations.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let connection = self.connect_migrating().await?;
        let migrated = migrations::migrate(&connection).await;
        self.close_migrating(connection).await;
        migrated
    }

    /// Rolls back the last `count` applied migrations, or all, with the data that they added.
    pub async fn roll_back(&self, count: Option<u32>) -> Result<(), StoreError> {
        let connection = self.connect_migrating().await?;
        let rolled_back = migrations::roll_back(&connection, count).await;
        self.close_migrating(connection).await;
        rolled_back
    }

    /// Returns a connection of SeaORM, which the migrations need.
    async fn connect_migrating(&self) -> Result<DatabaseConnection, StoreError> {
        match &self.writers {
            Writers::Postgres(pool) => Ok(pool.clone()),
            Writers::Sqlite(writer) => {
                Ok(sqlite::connect(writer.path(), sqlite::Access::ReadWrite, BUSY_TIMEOUT).await?)
            }
        }
    }

    async fn close_migrating(&self, connection: DatabaseConnection) {
        if matches!(self.writers, Writers::Sqlite(_))
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "failed to close a database connection");
        }
    }

    /// Fails unless the database responds and all migrations are applied. Returns the names of those of a newer version.
    pub async fn check_schema(&self) -> Result<Vec<String>, StoreError> {
        match tokio::time::timeout(CHECK_TIMEOUT, migrations::check(&self.reader.0)).await {
            Ok(result) => Ok(result?),
            Err(elapsed) => Err(StoreError::Unavailable(Box::new(elapsed))),
        }
    }

    /// Checks the whole database for damage, and returns the problems found; `None` on PostgreSQL, which has no such check.
    pub async fn check_integrity(&self) -> Result<Option<Vec<String>>, StoreError> {
        match self.writers.backend() {
            DbBackend::Sqlite => Ok(Some(integrity::sqlite_problems(&self.unindexed_reader.0).await?)),
            _ => Ok(None),
        }
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.reader.0.close().await;
        self.unindexed_reader.0.close().await;
        match &self.writers {
            Writers::Sqlite(writer) => writer.close().await,
            Writers::Postgres(pool) => {
                if let Err(error) = pool.close_by_ref().await {
                    tracing::warn!(%error, "failed to close a database connection");
                }
            }
        }
    }

    pub(super) async fn open_transaction(&self) -> Result<GuardedTransaction, StoreError> {
        let transaction = GuardedTransaction::begin(&self.writers, Arc::clone(&self.health)).await?;
        // After the wait for the connection, which may have been reopened from another file.
        self.health.verify_file()?;
        if matches!(self.writers, Writers::Sqlite(_)) {
            // A write to a damaged file may be lost with it. On PostgreSQL damage is confined to a table or an index.
            self.health.verify_undamaged()?;
        }
        Ok(transaction)
    }

    async fn probe_write(&self) -> Result<(), StoreError> {
        let transaction = self.open_transaction().await?;
        let probed = storage_probe::Entity::update_many()
            .col_expr(storage_probe::Column::CheckedAt, Expr::value(Timestamp::now().0))
            .exec(&transaction)
            .await?;
        if probed.rows_affected != 1 {
            return Err(StoreError::Internal("the table storage_probe does not have its one row".into()));
        }
        Ok(transaction.commit().await?)
    }
}

#[async_trait]
impl Store for SeaStore {
    fn read(&self) -> &dyn Repositories {
        &self.reader
    }

    fn read_unindexed(&self) -> &dyn Repositories {
        &self.unindexed_reader
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>, StoreError> {
        Ok(Box::new(SeaTransaction {
            repositories: SeaRepositories(self.open_transaction().await?),
            has_enqueued_jobs: AtomicBool::new(false),
            has_appended_events: AtomicBool::new(false),
            notifiers: Arc::clone(&self.notifiers),
        }))
    }

    async fn wait_for_jobs(&self) {
        self.notifiers.jobs.notified().await;
    }

    async fn wait_for_events(&self) {
        self.notifiers.events.notified().await;
    }

    async fn release_free_pages(&self) -> Result<bool, StoreError> {
        let transaction = self.open_transaction().await?;
        let has_more = free_pages::release_portion(&transaction).await?;
        transaction.commit().await?;
        Ok(has_more)
    }

    async fn next_revocation(&self) -> Revocation {
        self.revocations.next().await
    }

    fn is_shared(&self) -> bool {
        self.writers.backend() == DbBackend::Postgres
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.health.verify_file()?;
        self.health.verify_undamaged()?;
        self.check_schema().await?;
        self.health.verify_writable(self.probe_write()).await
    }
}

/// A transaction whose commit notifies the workers and the subscribers of the feed.
struct SeaTransaction {
    repositories: SeaRepositories<GuardedTransaction>,
    has_enqueued_jobs: AtomicBool,
    has_appended_events: AtomicBool,
    notifiers: Arc<Notifiers>,
}

impl SeaTransaction {
    async fn commit_and_notify(self: Box<Self>) -> Result<(), StoreError> {
        self.repositories.0.commit().await?;
        let has_events = self.has_appended_events.load(Ordering::Relaxed);
        // Events cause jobs: the workers enqueue those of subscribed webhooks.
        if has_events || self.has_enqueued_jobs.load(Ordering::Relaxed) {
            self.notifiers.jobs.notify();
        }
        if has_events {
            self.notifiers.events.notify();
        }
        Ok(())
    }
}

#[async_trait]
impl Transaction for SeaTransaction {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        // A commit that has begun completes even if the caller is dropped, so the notification must follow too.
        let commit = tokio::spawn(self.commit_and_notify().in_current_span());
        commit.await.map_err(|error| StoreError::Internal(Box::new(error)))?
    }

    async fn discard(self: Box<Self>) -> Result<(), StoreError> {
        Ok(self.repositories.0.discard().await?)
    }
}

/// Accesses the repositories; some accesses set a flag of the transaction.
macro_rules! repositories {
    ($($name:ident: $trait:ident $(=> $flag:ident)?),* $(,)?) => {
        impl<C: DecodingConnection + Send + Sync> Repositories for SeaRepositories<C> {
            $(
                fn $name(&self) -> &dyn $trait {
                    self
                }
            )*
        }

        impl Repositories for SeaTransaction {
            $(
                fn $name(&self) -> &dyn $trait {
                    $(self.$flag.store(true, Ordering::Relaxed);)?
                    &self.repositories
                }
            )*
        }
    };
}

repositories! {
    users: UserRepository,
    sessions: SessionRepository,
    projects: ProjectRepository,
    members: MemberRepository,
    invitations: InvitationRepository,
    tasks: TaskRepository,
    task_lists: TaskListRepository,
    comments: CommentRepository,
    events: EventRepository => has_appended_events,
    stream_tickets: StreamTicketRepository,
    long_texts: LongTextRepository,
    webhooks: WebhookRepository,
    deliveries: DeliveryRepository,
    idempotency: IdempotencyRepository,
    email_tokens: EmailTokenRepository,
    known_addresses: KnownAddressRepository,
    counters: CounterRepository,
    rate_limits: RateLimitRepository,
    api_tokens: ApiTokenRepository,
    audit_log: AuditLogRepository,
    jobs: JobRepository => has_enqueued_jobs,
    queue: QueueRepository,
    maintenance: MaintenanceRepository,
    project_counts: ProjectCountRepository,
    sealed_values: SealedValueRepository,
    webhook_maintenance: WebhookMaintenanceRepository,
}

#[cfg(test)]
mod tests;
