//! Storage on SQLite and PostgreSQL, by SeaORM: the only folder that may name it.
//!
//! One generic struct implements every repository, over a pool as well as over a transaction. Transactions and reads have
//! connections of their own, and so do the reads that no index serves. On SQLite one connection writes, in `IMMEDIATE`
//! transactions, because with a plain pool concurrent writers fail at once, whatever the busy timeout.

mod bulk_insert;
mod comments;
mod connect;
mod deliveries;
mod entities;
mod error;
mod events;
mod health;
mod idempotency;
mod invitations;
mod job_enqueue;
mod job_queue;
mod maintenance;
mod mapping;
mod members;
mod migrations;
mod notifier;
mod pagination;
mod projects;
mod read_pool;
mod sessions;
mod task_filter;
mod task_lists;
mod tasks;
mod text_search;
mod tokens;
mod transaction;
mod users;
mod visible_events;
mod visible_tasks;
mod webhook_maintenance;
mod webhooks;
mod writer_state;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sea_orm::sea_query::Expr;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, EntityTrait as _};

use crate::contract::Timestamp;
use crate::repositories::{
    ApiTokenRepository, CommentRepository, DeliveryRepository, EmailTokenRepository, EventRepository,
    IdempotencyRepository, InvitationRepository, JobRepository, MaintenanceRepository, MemberRepository,
    ProjectRepository, QueueRepository, Repositories, SessionRepository, Store, StoreError, TaskRepository,
    Transaction, UserRepository, WebhookRepository,
};
use connect::Connections;
pub use connect::{Engine, Settings};
use entities::storage_probe;
use health::StorageHealth;
pub use migrations::MigrationStatus;
use notifier::Notifier;
use read_pool::ReadPool;
use transaction::GuardedTransaction;
use writer_state::WriterState;

/// A log filter for the libraries below, which would report every migration at every start, and every statement that was
/// cancelled because its caller has gone away.
pub const QUIET_LIBRARIES: &str = "sea_orm_migration=warn,sqlx_core::pool=error";

/// How long the readiness check waits for the database.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// The database, as a store.
pub struct SeaStore {
    reader: SeaRepositories<ReadPool>,
    unindexed_reader: SeaRepositories<ReadPool>,
    writer: DatabaseConnection,
    writer_state: Option<Arc<WriterState>>,
    health: Arc<StorageHealth>,
    notifiers: Arc<Notifiers>,
}

/// What wakes those who wait for others' commits.
struct Notifiers {
    jobs: Notifier,
    events: Notifier,
}

impl SeaStore {
    /// Connects, and brings the schema up to date if the settings say so.
    pub async fn open(settings: &Settings) -> Result<Self, StoreError> {
        let Connections { writer, reader, unindexed_reader, writer_state, health } = connect::connect(settings).await?;
        if settings.migrate {
            migrations::migrate(&writer).await?;
        }
        let notifier = |channel| match writer.get_database_backend() {
            DbBackend::Postgres => Notifier::on_postgres(writer.clone(), settings.url.clone(), channel),
            _ => Notifier::new(),
        };
        let notifiers =
            Arc::new(Notifiers { jobs: notifier("pocket_tasks_jobs"), events: notifier("pocket_tasks_events") });
        let [reader, unindexed_reader] = [reader, unindexed_reader].map(SeaRepositories);
        Ok(Self { reader, unindexed_reader, writer, writer_state, health, notifiers })
    }

    /// The changes of the schema that this program knows, and whether each was made.
    pub async fn migrations(&self) -> Result<Vec<MigrationStatus>, StoreError> {
        migrations::status(&self.writer).await
    }

    /// Makes the changes of the schema that are missing.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        migrations::migrate(&self.writer).await
    }

    /// Takes all changes of the schema back, and with them all data.
    pub async fn rollback_all(&self) -> Result<(), StoreError> {
        migrations::rollback_all(&self.writer).await
    }

    /// Fails unless the database answers and its schema is the one that this program knows.
    pub async fn check_schema(&self) -> Result<(), StoreError> {
        match tokio::time::timeout(CHECK_TIMEOUT, migrations::check(&self.reader.0)).await {
            Ok(result) => Ok(result?),
            Err(elapsed) => Err(StoreError::Unavailable(Box::new(elapsed))),
        }
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.reader.0.close().await;
        self.unindexed_reader.0.close().await;
        if let Err(error) = self.writer.close_by_ref().await {
            tracing::warn!(%error, "failed to close a database connection");
        }
    }

    async fn open_transaction(&self) -> Result<GuardedTransaction, StoreError> {
        let (writer_state, health) = (self.writer_state.clone(), Arc::clone(&self.health));
        let transaction = GuardedTransaction::begin(&self.writer, writer_state, health).await?;
        // After the wait for the connection, which may have been opened again, from another file.
        self.health.verify_file()?;
        if self.writer_state.is_some() {
            // A write to a damaged file may be lost with it. On PostgreSQL damage is confined to a table or an index.
            self.health.verify_undamaged()?;
        }
        Ok(transaction)
    }

    /// Writes a row of its own.
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
            enqueued_jobs: AtomicBool::new(false),
            appended_events: AtomicBool::new(false),
            notifiers: Arc::clone(&self.notifiers),
        }))
    }

    async fn wait_for_jobs(&self) {
        self.notifiers.jobs.notified().await;
    }

    async fn wait_for_events(&self) {
        self.notifiers.events.notified().await;
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.health.verify_file()?;
        self.health.verify_undamaged()?;
        self.check_schema().await?;
        self.health.verify_writable(self.probe_write()).await
    }
}

/// All repositories over one connection or transaction.
struct SeaRepositories<C>(C);

impl<C: ConnectionTrait> SeaRepositories<C> {
    fn is_postgres(&self) -> bool {
        self.0.get_database_backend() == DbBackend::Postgres
    }
}

impl<C: ConnectionTrait + Send + Sync> Repositories for SeaRepositories<C> {
    fn users(&self) -> &dyn UserRepository {
        self
    }

    fn sessions(&self) -> &dyn SessionRepository {
        self
    }

    fn projects(&self) -> &dyn ProjectRepository {
        self
    }

    fn members(&self) -> &dyn MemberRepository {
        self
    }

    fn invitations(&self) -> &dyn InvitationRepository {
        self
    }

    fn tasks(&self) -> &dyn TaskRepository {
        self
    }

    fn comments(&self) -> &dyn CommentRepository {
        self
    }

    fn events(&self) -> &dyn EventRepository {
        self
    }

    fn webhooks(&self) -> &dyn WebhookRepository {
        self
    }

    fn deliveries(&self) -> &dyn DeliveryRepository {
        self
    }

    fn idempotency(&self) -> &dyn IdempotencyRepository {
        self
    }

    fn email_tokens(&self) -> &dyn EmailTokenRepository {
        self
    }

    fn api_tokens(&self) -> &dyn ApiTokenRepository {
        self
    }

    fn jobs(&self) -> &dyn JobRepository {
        self
    }

    fn queue(&self) -> &dyn QueueRepository {
        self
    }

    fn maintenance(&self) -> &dyn MaintenanceRepository {
        self
    }
}

/// A transaction that with its commit wakes workers, if it promises jobs, and those who follow the feed, if it appends
/// to it.
struct SeaTransaction {
    repositories: SeaRepositories<GuardedTransaction>,
    enqueued_jobs: AtomicBool,
    appended_events: AtomicBool,
    notifiers: Arc<Notifiers>,
}

impl SeaTransaction {
    async fn commit_and_notify(self: Box<Self>) -> Result<(), StoreError> {
        self.repositories.0.commit().await?;
        if self.enqueued_jobs.load(Ordering::Relaxed) {
            self.notifiers.jobs.notify();
        }
        if self.appended_events.load(Ordering::Relaxed) {
            self.notifiers.events.notify();
        }
        Ok(())
    }
}

macro_rules! within_transaction {
    ($($name:ident: $trait:ident),* $(,)?) => {
        impl Repositories for SeaTransaction {
            $(
                fn $name(&self) -> &dyn $trait {
                    &self.repositories
                }
            )*

            fn jobs(&self) -> &dyn JobRepository {
                self.enqueued_jobs.store(true, Ordering::Relaxed);
                &self.repositories
            }

            fn events(&self) -> &dyn EventRepository {
                self.appended_events.store(true, Ordering::Relaxed);
                &self.repositories
            }
        }
    };
}

within_transaction! {
    users: UserRepository,
    sessions: SessionRepository,
    projects: ProjectRepository,
    members: MemberRepository,
    invitations: InvitationRepository,
    tasks: TaskRepository,
    comments: CommentRepository,
    webhooks: WebhookRepository,
    deliveries: DeliveryRepository,
    idempotency: IdempotencyRepository,
    email_tokens: EmailTokenRepository,
    api_tokens: ApiTokenRepository,
    queue: QueueRepository,
    maintenance: MaintenanceRepository,
}

#[async_trait]
impl Transaction for SeaTransaction {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        // A caller who goes away drops the request, but a commit that has begun happens all the same: whoever waits for
        // it shall be woken by it.
        tokio::spawn(self.commit_and_notify()).await.map_err(|error| StoreError::Internal(Box::new(error)))?
    }
}
