//! Read-only connections whose statements stop when the caller is dropped.
//!
//! Neither driver stops a statement whose future was dropped, so an abandoned search would keep its connection. Each
//! connection is a pool of one, so that the connection of a statement is known: SQLite's progress handler stops the
//! statement, and on PostgreSQL another connection cancels the backend.

use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sea_orm::sea_query::{Asterisk, Expr, Func, Query};
use sea_orm::{
    ConnAcquireErr, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, ExecResult,
    QueryResult, Statement,
};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tracing::Instrument as _;

use super::health::StorageHealth;
use super::sqlite_state::SqliteState;
use super::transaction::query_span;
use crate::telemetry::{PendingConnection, PoolConnections};

/// Name of the pool of indexed reads in metrics.
const READ_POOL: &str = "read";

/// Maximum time for the cancellation of a statement.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// Placeholder for an unknown backend process id.
const NO_BACKEND: i32 = 0;

/// A pool of read-only connections.
pub(super) struct ReadPool {
    /// Name in metrics.
    name: &'static str,
    backend: DbBackend,
    readers: Arc<Readers>,
    /// Maximum wait of a statement for a free connection.
    acquire_timeout: Duration,
    health: Arc<StorageHealth>,
}

struct Readers {
    all: Vec<Arc<Reader>>,
    /// A stack, so that no more connections are opened than are needed.
    idle: Mutex<Vec<Arc<Reader>>>,
    permits: Arc<Semaphore>,
}

/// A connection, opened on first use.
struct Reader {
    options: ConnectOptions,
    connection: Mutex<Option<DatabaseConnection>>,
    interrupt: Interrupt,
}

impl Reader {
    /// Returns the connection, which is opened if necessary. Only one caller uses a reader at a time.
    async fn connect(&self) -> Result<DatabaseConnection, DbErr> {
        let connected = self.connection.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(connection) = connected {
            return Ok(connection);
        }
        // Boxed, because the future of the driver is large.
        let connection = Box::pin(Database::connect(self.options.clone())).await?;
        *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection.clone());
        Ok(connection)
    }

    fn is_open(&self) -> bool {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn take_connection(&self) -> Option<DatabaseConnection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Means of stopping the statement of a connection.
enum Interrupt {
    Sqlite(Arc<SqliteState>),
    Postgres { backend_pid: Arc<AtomicI32>, canceller: DatabaseConnection },
}

impl ReadPool {
    /// Creates a pool over SQLite. The options must open it read-only.
    pub(super) fn sqlite(
        size: u32,
        options: &ConnectOptions,
        acquire_timeout: Duration,
        health: Arc<StorageHealth>,
    ) -> Self {
        let opened = Arc::clone(&health);
        let interrupt = |options: &mut ConnectOptions| {
            let state = Arc::new(SqliteState::default());
            state.observe(options, &opened);
            Interrupt::Sqlite(state)
        };
        Self::new(DbBackend::Sqlite, size, options, interrupt, acquire_timeout, health)
    }

    /// Creates a pool over PostgreSQL.
    pub(super) fn postgres(
        size: u32,
        options: &ConnectOptions,
        canceller: &DatabaseConnection,
        acquire_timeout: Duration,
        health: Arc<StorageHealth>,
    ) -> Self {
        let opened = Arc::clone(&health);
        let interrupt = |options: &mut ConnectOptions| {
            let backend_pid = Arc::new(AtomicI32::new(NO_BACKEND));
            store_backend_pid(options, &backend_pid, &opened);
            Interrupt::Postgres { backend_pid, canceller: canceller.clone() }
        };
        Self::new(DbBackend::Postgres, size, options, interrupt, acquire_timeout, health)
    }

    fn new(
        backend: DbBackend,
        size: u32,
        options: &ConnectOptions,
        interrupt: impl Fn(&mut ConnectOptions) -> Interrupt,
        acquire_timeout: Duration,
        health: Arc<StorageHealth>,
    ) -> Self {
        let reader = |_| {
            let mut options = options.clone();
            options.idle_timeout(None).max_lifetime(None);
            let interrupt = interrupt(&mut options);
            Arc::new(Reader { options, connection: Mutex::default(), interrupt })
        };
        let all: Vec<_> = (0..size.max(1)).map(reader).collect();
        let (idle, permits) = (Mutex::new(all.clone()), Arc::new(Semaphore::new(all.len())));
        Self { name: READ_POOL, backend, readers: Arc::new(Readers { all, idle, permits }), acquire_timeout, health }
    }

    /// Sets the name of the pool in metrics.
    pub(super) fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    /// Counts the connections.
    pub(super) fn connections(&self) -> PoolConnections {
        let Readers { all, permits, .. } = &*self.readers;
        let open = all.iter().filter(|reader| reader.is_open()).count();
        let used = all.len().saturating_sub(permits.available_permits());
        PoolConnections { pool: self.name, used, idle: open.saturating_sub(used), max: all.len() }
    }

    /// Opens the first connection and reads from it.
    pub(super) async fn open_first(&self) -> Result<(), DbErr> {
        let tables = Func::count(Expr::col(Asterisk));
        self.query_one(Query::select().expr(tables).from("sqlite_master")).await.map(drop)
    }

    /// Closes all connections. Later statements fail.
    pub(super) async fn close(&self) {
        self.readers.permits.close();
        for reader in &self.readers.all {
            if let Interrupt::Sqlite(state) = &reader.interrupt {
                state.interrupt();
            }
            if let Some(connection) = reader.take_connection()
                && let Err(error) = connection.close_by_ref().await
            {
                tracing::warn!(%error, "failed to close a database connection");
            }
        }
    }

    /// Waits for a free connection, and opens it if necessary.
    async fn start(&self) -> Result<PooledStatement<'_>, DbErr> {
        let readers = &self.readers;
        let pending = PendingConnection::begin(self.name);
        let permit = match timeout(self.acquire_timeout, Arc::clone(&readers.permits).acquire_owned()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => return Err(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)),
            Err(_) => {
                pending.timed_out();
                return Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout));
            }
        };
        pending.acquired();
        // Each permit has an idle reader.
        let reader = readers.lock_idle().pop().ok_or(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))?;
        let guard = ReaderGuard { reader, readers: Arc::clone(readers), _permit: permit };
        let connection = guard.reader.connect().await.inspect_err(|error| self.health.record_read_error(error))?;
        Ok(PooledStatement { connection, guard: Some(guard), health: &self.health })
    }
}

impl Readers {
    fn lock_idle(&self) -> MutexGuard<'_, Vec<Arc<Reader>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Exclusive use of a reader.
struct ReaderGuard {
    reader: Arc<Reader>,
    readers: Arc<Readers>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for ReaderGuard {
    fn drop(&mut self) {
        self.readers.lock_idle().push(Arc::clone(&self.reader));
    }
}

impl ReaderGuard {
    /// Stops the running statement.
    fn interrupt(self) {
        match &self.reader.interrupt {
            Interrupt::Sqlite(state) => state.interrupt(),
            Interrupt::Postgres { .. } => {
                if let Ok(runtime) = Handle::try_current() {
                    runtime.spawn(self.cancel().in_current_span());
                }
            }
        }
    }

    /// Cancels the statement, and only then frees the connection for another one.
    async fn cancel(self) {
        let Interrupt::Postgres { backend_pid, canceller } = &self.reader.interrupt else { return };
        let backend_pid = backend_pid.load(Ordering::Acquire);
        if backend_pid == NO_BACKEND {
            return;
        }
        let cancel = Func::cust("pg_cancel_backend").arg(backend_pid);
        match timeout(CANCEL_TIMEOUT, canceller.query_one(Query::select().expr(cancel))).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "failed to cancel an abandoned statement");
                drop(self.reader.take_connection());
            }
            Err(_) => {
                tracing::warn!("cancelling an abandoned statement took too long");
                drop(self.reader.take_connection());
            }
        }
    }
}

/// A running statement. Dropping it interrupts the statement.
struct PooledStatement<'a> {
    connection: DatabaseConnection,
    guard: Option<ReaderGuard>,
    health: &'a StorageHealth,
}

impl PooledStatement<'_> {
    /// Runs the statement to its end, unless the caller is dropped.
    async fn run<T>(mut self, statement: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        let result = self.health.bounded(statement).await;
        if let Some(guard) = self.guard.take()
            && result.is_err()
            && self.health.is_unresponsive()
        {
            // The pool of the connection would wait for it.
            drop(guard.reader.take_connection());
        }
        result.inspect_err(|error| self.health.record_read_error(error))
    }
}

impl Drop for PooledStatement<'_> {
    fn drop(&mut self) {
        if let Some(guard) = self.guard.take() {
            guard.interrupt();
        }
    }
}

#[async_trait]
impl ConnectionTrait for ReadPool {
    fn get_database_backend(&self) -> DbBackend {
        self.backend
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let running = self.start().await?;
        let (connection, span) = (running.connection.clone(), query_span(&statement));
        running.run(connection.execute_raw(statement).instrument(span)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let running = self.start().await?;
        let connection = running.connection.clone();
        running.run(connection.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let running = self.start().await?;
        let (connection, span) = (running.connection.clone(), query_span(&statement));
        running.run(connection.query_one_raw(statement).instrument(span)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let running = self.start().await?;
        let (connection, span) = (running.connection.clone(), query_span(&statement));
        running.run(connection.query_all_raw(statement).instrument(span)).await
    }
}

/// Stores the backend process id of a connection.
fn store_backend_pid(options: &mut ConnectOptions, backend_pid: &Arc<AtomicI32>, health: &Arc<StorageHealth>) {
    let (backend_pid, health) = (Arc::clone(backend_pid), Arc::clone(health));
    options.map_sqlx_postgres_pool_opts(move |pool| {
        let backend_pid = Arc::clone(&backend_pid);
        health.close_unresponsive(pool).after_connect(move |connection, _| {
            let backend_pid = Arc::clone(&backend_pid);
            Box::pin(async move {
                backend_pid.store(NO_BACKEND, Ordering::Release);
                let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(connection).await?;
                backend_pid.store(pid, Ordering::Release);
                Ok(())
            })
        })
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDLESS: &str =
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) AS answer FROM c";

    fn statement(backend: DbBackend, sql: &str) -> Statement {
        Statement::from_string(backend, sql)
    }

    /// Abandons more endless statements than there are connections, then runs another.
    async fn a_statement_that_is_abandoned_gives_its_connection_back(pool: &ReadPool, endless: &str) {
        let backend = pool.get_database_backend();
        for _ in 0..3 {
            let running = [pool, pool].map(|pool| pool.query_one_raw(statement(backend, endless)));
            let abandoned = tokio::time::timeout(Duration::from_millis(50), futures_util::future::join_all(running));
            assert!(abandoned.await.is_err(), "it ended");
        }
        let answered = pool.query_one_raw(statement(backend, "SELECT 7 AS answer")).await.unwrap().unwrap();
        assert_eq!(answered.try_get::<i32>("", "answer").unwrap(), 7);
    }

    #[tokio::test]
    async fn on_sqlite_a_statement_that_is_abandoned_stops() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/test.db?mode=rwc", folder.path().display());
        let mut options = ConnectOptions::new(url);
        options.max_connections(1);
        let pool = ReadPool::sqlite(2, &options, Duration::from_secs(20), Arc::default());
        a_statement_that_is_abandoned_gives_its_connection_back(&pool, ENDLESS).await;
        pool.close().await;
    }

    #[tokio::test]
    async fn on_postgres_a_statement_that_is_abandoned_is_cancelled() {
        let Some(url) = std::env::var("TEST_POSTGRES_URL").ok().filter(|url| !url.is_empty()) else { return };
        let mut options = ConnectOptions::new(url);
        options.max_connections(1);
        let canceller = Box::pin(Database::connect(options.clone())).await.unwrap();
        let pool = ReadPool::postgres(2, &options, &canceller, Duration::from_secs(20), Arc::default());
        a_statement_that_is_abandoned_gives_its_connection_back(&pool, "SELECT pg_sleep(3600)::text AS answer").await;
        pool.close().await;
        canceller.close().await.unwrap();
    }

    #[tokio::test]
    async fn a_statement_waits_for_a_free_connection_only_so_long() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/test.db?mode=rwc", folder.path().display());
        let mut options = ConnectOptions::new(url);
        options.max_connections(1);
        let pool = ReadPool::sqlite(1, &options, Duration::from_millis(50), Arc::default());
        let running = pool.start().await.unwrap();
        let refused = pool.query_one_raw(statement(DbBackend::Sqlite, "SELECT 7 AS answer")).await;
        assert!(matches!(refused, Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))), "{refused:?}");
        drop(running);
        pool.query_one_raw(statement(DbBackend::Sqlite, "SELECT 7 AS answer")).await.unwrap();
        pool.close().await;
        let closed = pool.query_one_raw(statement(DbBackend::Sqlite, "SELECT 7 AS answer")).await;
        assert!(matches!(closed, Err(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed))), "{closed:?}");
    }
}
