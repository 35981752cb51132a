//! Read-only connections whose statements stop when the caller is dropped.
//!
//! No driver stops a statement whose future was dropped, so an abandoned search would keep its connection. On SQLite the
//! progress handler stops the statement, and on PostgreSQL another connection cancels the backend.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sea_orm::sea_query::{Asterisk, Expr, Func, Query};
use sea_orm::{
    ConnAcquireErr, ConnectOptions, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult,
    RuntimeErr, Statement,
};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::Instrument as _;

use super::decode::{Decode, DecodingConnection, RowReader};
use super::health::StorageHealth;
use super::postgres_reader::PostgresReader;
use super::sqlite::{self, FromRow, ReaderOptions};
use super::transaction::query_span;
use crate::telemetry::{PendingConnection, PoolConnections};

/// Name of the pool of indexed reads in metrics.
const READ_POOL: &str = "read";

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
    all: Vec<Reader>,
    /// A stack, so that no more connections are opened than are needed.
    idle: Mutex<Vec<Reader>>,
    permits: Arc<Semaphore>,
}

/// A connection, opened on first use.
#[derive(Clone)]
enum Reader {
    Sqlite(Arc<sqlite::Reader>),
    Postgres(Arc<PostgresReader>),
}

impl Reader {
    fn is_open(&self) -> bool {
        match self {
            Self::Sqlite(reader) => reader.is_open(),
            Self::Postgres(reader) => reader.is_open(),
        }
    }
}

impl ReadPool {
    /// Creates a pool over SQLite.
    pub(super) fn sqlite(
        size: u32,
        options: &ReaderOptions,
        acquire_timeout: Duration,
        health: &Arc<StorageHealth>,
    ) -> Self {
        let reader = || Reader::Sqlite(Arc::new(sqlite::Reader::new(options.clone(), Arc::clone(health))));
        Self::new(DbBackend::Sqlite, size, reader, acquire_timeout, Arc::clone(health))
    }

    /// Creates a pool over PostgreSQL.
    pub(super) fn postgres(
        size: u32,
        options: &ConnectOptions,
        canceller: &DatabaseConnection,
        acquire_timeout: Duration,
        health: &Arc<StorageHealth>,
    ) -> Self {
        let reader = || Reader::Postgres(Arc::new(PostgresReader::new(options.clone(), canceller.clone(), health)));
        Self::new(DbBackend::Postgres, size, reader, acquire_timeout, Arc::clone(health))
    }

    fn new(
        backend: DbBackend,
        size: u32,
        reader: impl Fn() -> Reader,
        acquire_timeout: Duration,
        health: Arc<StorageHealth>,
    ) -> Self {
        let all: Vec<_> = (0..size.max(1)).map(|_| reader()).collect();
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
            match reader {
                Reader::Sqlite(reader) => reader.close(),
                Reader::Postgres(reader) => reader.close().await,
            }
        }
    }

    /// Waits for a free connection.
    async fn acquire(&self) -> Result<ReaderGuard, DbErr> {
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
        Ok(ReaderGuard { reader, readers: Arc::clone(readers), _permit: permit })
    }

    /// Runs a statement and reads its rows; `decode` reads those of PostgreSQL.
    async fn query<R: FromRow>(
        &self,
        statement: Statement,
        decode: impl Fn(QueryResult) -> Result<R, DbErr> + Send,
    ) -> Result<Vec<R>, DbErr> {
        let (guard, span) = (self.acquire().await?, query_span(&statement));
        let result = match guard.reader.clone() {
            Reader::Sqlite(reader) => query_sqlite(reader, guard, statement).instrument(span).await,
            Reader::Postgres(reader) => {
                let rows = self.query_postgres(reader, guard, statement).instrument(span).await;
                rows.and_then(|rows| rows.into_iter().map(decode).collect())
            }
        };
        result.inspect_err(|error| self.health.record_read_error(error))
    }

    /// Runs a statement of PostgreSQL to its end, unless the caller is dropped.
    async fn query_postgres(
        &self,
        reader: Arc<PostgresReader>,
        guard: ReaderGuard,
        statement: Statement,
    ) -> Result<Vec<QueryResult>, DbErr> {
        let mut running = CancelOnDrop(Some((Arc::clone(&reader), guard)));
        let result = self.health.bounded(reader.query(statement)).await;
        running.0 = None;
        if result.is_err() && self.health.is_unresponsive() {
            // The pool of the connection would wait for it.
            reader.disconnect();
        }
        result
    }
}

impl Readers {
    fn lock_idle(&self) -> MutexGuard<'_, Vec<Reader>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Exclusive use of a reader.
struct ReaderGuard {
    reader: Reader,
    readers: Arc<Readers>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for ReaderGuard {
    fn drop(&mut self) {
        self.readers.lock_idle().push(self.reader.clone());
    }
}

/// Runs a statement of SQLite: in this thread if it is short.
async fn query_sqlite<R: FromRow>(
    reader: Arc<sqlite::Reader>,
    guard: ReaderGuard,
    statement: Statement,
) -> Result<Vec<R>, DbErr> {
    if let Some(result) = reader.query_inline(&statement) {
        return result;
    }
    let number = reader.begin();
    let _running = InterruptOnDrop { reader: Arc::clone(&reader), number };
    let result = spawn_blocking(move || {
        // Frees the connection at the end, even if the request was dropped.
        let _guard = guard;
        reader.query(&statement)
    });
    result.await.map_err(|error| DbErr::Conn(RuntimeErr::Internal(error.to_string())))?
}

/// Interrupts a statement of SQLite when it is dropped. After its end that has no effect.
struct InterruptOnDrop {
    reader: Arc<sqlite::Reader>,
    number: u64,
}

impl Drop for InterruptOnDrop {
    fn drop(&mut self) {
        self.reader.interrupt(self.number);
    }
}

/// Cancels a statement of PostgreSQL when it is dropped, and only then frees the connection for another one.
struct CancelOnDrop(Option<(Arc<PostgresReader>, ReaderGuard)>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some((reader, guard)) = self.0.take()
            && let Ok(runtime) = Handle::try_current()
        {
            let cancel = async move {
                reader.cancel().await;
                drop(guard);
            };
            runtime.spawn(cancel.in_current_span());
        }
    }
}

#[async_trait]
impl ConnectionTrait for ReadPool {
    fn get_database_backend(&self) -> DbBackend {
        self.backend
    }

    async fn execute_raw(&self, _: Statement) -> Result<ExecResult, DbErr> {
        Err(read_only())
    }

    async fn execute_unprepared(&self, _: &str) -> Result<ExecResult, DbErr> {
        Err(read_only())
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        Ok(self.query_all_raw(statement).await?.into_iter().next())
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.query(statement, Ok).await
    }
}

impl DecodingConnection for ReadPool {
    async fn query_decoded<R: Decode>(&self, statement: Statement) -> Result<Vec<R>, DbErr> {
        self.query(statement, |row| R::decode(&mut RowReader::postgres(&row))).await
    }
}

fn read_only() -> DbErr {
    DbErr::Custom("a connection for reads executes nothing".to_owned())
}

#[cfg(test)]
mod tests;
