//! Storage on SQLite and PostgreSQL, by SeaORM: the only folder that may name it.
//!
//! One generic struct implements every repository, over a pool as well as over a transaction. On SQLite one connection
//! writes, in `IMMEDIATE` transactions, and a pool of others reads: with a plain pool, concurrent writers fail at once,
//! and no busy timeout helps. On PostgreSQL both are the same pool.

mod bell;
mod comments;
mod connect;
mod deliveries;
mod entities;
mod events;
mod idempotency;
mod inserts;
mod invitations;
mod jobs;
mod members;
mod paged;
mod projects;
mod promises;
mod rows;
mod schema;
mod sessions;
mod task_filter;
mod task_lists;
mod tasks;
mod text;
mod tokens;
mod upkeep;
mod users;
mod visible_events;
mod visible_tasks;
mod webhook_upkeep;
mod webhooks;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, RuntimeErr, SqliteTransactionMode,
    TransactionOptions, TransactionTrait,
};

use crate::repositories::{
    ApiTokenRepository, CommentRepository, DeliveryRepository, EventRepository, IdempotencyRepository,
    InvitationRepository, JobRepository, MailTokenRepository, MemberRepository, ProjectRepository, QueueRepository,
    Repositories, SessionRepository, Store, StoreError, TaskRepository, Transaction, UpkeepRepository, UserRepository,
    WebhookRepository,
};
use bell::Bell;
pub use connect::{Engine, Settings};
pub use schema::Migration;

/// A log filter for the libraries below, which would tell of every migration at every start.
pub const QUIET_LIBRARIES: &str = "sea_orm_migration=warn";

/// How long the readiness check waits for the database.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// The database, as a store.
pub struct SeaStore {
    reader: SeaRepositories<DatabaseConnection>,
    writer: DatabaseConnection,
    bells: Arc<Bells>,
}

/// What wakes those who wait for others' commits.
struct Bells {
    jobs: Bell,
    events: Bell,
}

impl SeaStore {
    /// Connects, and brings the schema up to date if the settings say so.
    pub async fn open(settings: &Settings) -> Result<Self, StoreError> {
        let (writer, reader) = connect::connect(settings).await?;
        if settings.migrate {
            schema::migrate(&writer).await?;
        }
        let bell = |channel| match writer.get_database_backend() {
            DbBackend::Postgres => Bell::on_postgres(writer.clone(), settings.url.clone(), channel),
            _ => Bell::new(),
        };
        let bells = Bells { jobs: bell("pocket_tasks_jobs"), events: bell("pocket_tasks_events") };
        Ok(Self { reader: SeaRepositories(reader), writer, bells: Arc::new(bells) })
    }

    /// The changes of the schema that this program knows, and whether each was made.
    pub async fn migrations(&self) -> Result<Vec<Migration>, StoreError> {
        schema::status(&self.writer).await
    }

    /// Makes the changes of the schema that are missing.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        schema::migrate(&self.writer).await
    }

    /// Takes all changes of the schema back, and with them all data.
    pub async fn unmigrate(&self) -> Result<(), StoreError> {
        schema::unmigrate(&self.writer).await
    }

    /// Closes all connections.
    pub async fn close(&self) {
        for connection in [&self.reader.0, &self.writer] {
            if let Err(error) = connection.close_by_ref().await {
                tracing::warn!(%error, "a database connection did not close");
            }
        }
    }
}

#[async_trait]
impl Store for SeaStore {
    fn read(&self) -> &dyn Repositories {
        &self.reader
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>, StoreError> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        #[expect(clippy::disallowed_methods, reason = "the one place where transactions begin")]
        let transaction = self.writer.begin_with_options(options).await?;
        Ok(Box::new(SeaTransaction {
            repositories: SeaRepositories(transaction),
            promises: AtomicBool::new(false),
            appends: AtomicBool::new(false),
            bells: Arc::clone(&self.bells),
        }))
    }

    async fn jobs_committed(&self) {
        self.bells.jobs.heard().await;
    }

    async fn events_committed(&self) {
        self.bells.events.heard().await;
    }

    async fn check(&self) -> Result<(), StoreError> {
        match tokio::time::timeout(CHECK_TIMEOUT, schema::check(&self.reader.0)).await {
            Ok(result) => Ok(result?),
            Err(elapsed) => Err(StoreError::Unavailable(Box::new(elapsed))),
        }
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

    fn mail_tokens(&self) -> &dyn MailTokenRepository {
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

    fn upkeep(&self) -> &dyn UpkeepRepository {
        self
    }
}

/// A transaction that with its commit wakes workers, if it promises jobs, and those who follow the feed, if it appends
/// to it.
struct SeaTransaction {
    repositories: SeaRepositories<DatabaseTransaction>,
    promises: AtomicBool,
    appends: AtomicBool,
    bells: Arc<Bells>,
}

impl SeaTransaction {
    async fn commit_and_ring(self: Box<Self>) -> Result<(), StoreError> {
        self.repositories.0.commit().await?;
        if self.promises.load(Ordering::Relaxed) {
            self.bells.jobs.ring();
        }
        if self.appends.load(Ordering::Relaxed) {
            self.bells.events.ring();
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
                self.promises.store(true, Ordering::Relaxed);
                &self.repositories
            }

            fn events(&self) -> &dyn EventRepository {
                self.appends.store(true, Ordering::Relaxed);
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
    mail_tokens: MailTokenRepository,
    api_tokens: ApiTokenRepository,
    queue: QueueRepository,
    upkeep: UpkeepRepository,
}

#[async_trait]
impl Transaction for SeaTransaction {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        // A caller who goes away drops the request, but a commit that has begun happens all the same: whoever waits for
        // it shall be woken by it.
        tokio::spawn(self.commit_and_ring()).await.map_err(|error| StoreError::Failed(Box::new(error)))?
    }
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        if is_passing(&error) { Self::Unavailable(Box::new(error)) } else { Self::Failed(Box::new(error)) }
    }
}

/// Whether the same statement may succeed in a moment.
fn is_passing(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause))) = error else {
        return matches!(error, DbErr::ConnectionAcquire(_) | DbErr::Conn(_));
    };
    match &**cause {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => true,
        // SQLite: busy, locked, and their extended codes. PostgreSQL: serialisation failure, deadlock, lock timeout,
        // statement timeout, idle in a transaction for too long, shutting down, too many connections.
        sqlx::Error::Database(cause) => cause.code().is_some_and(|code| {
            matches!(
                code.as_ref(),
                "5" | "6"
                    | "261"
                    | "517"
                    | "262"
                    | "40001"
                    | "40P01"
                    | "55P03"
                    | "57014"
                    | "25P03"
                    | "57P01"
                    | "57P03"
                    | "53300"
            )
        }),
        _ => false,
    }
}
