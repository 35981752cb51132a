//! The one connection that writes to SQLite, with group commit.
//!
//! Units of work run one after the other, each in a savepoint of a common transaction. The first of a group enqueues the
//! commit behind the units that wait already: those join the group, later ones form the next. A unit is acknowledged
//! after the commit of its group, and one that fails is rolled back alone. So many requests share one flush to disk, and
//! none waits for others to come. See `docs/decisions/0022-sqlite-in-process.md`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, MAIN_DB};
use sea_orm::{ConnAcquireErr, DbErr, ExecResult, RuntimeErr, Statement};
use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::PREPARED_STATEMENTS;
use super::connection::{self, Access};
use super::errors::{connection_error, driver_error, query_error};
use super::rows::{self, FromRow};
use crate::database::error::{ErrorClass, SQLITE_BUSY, sqlite_code};
use crate::database::health::StorageHealth;

/// Size to which SQLite cuts its log, in bytes. Reads that take long let it grow further.
const LOG_SIZE_LIMIT: i64 = 67_108_864;

/// Message of an error for a transaction that SQLite has rolled back.
const ROLLED_BACK: &str = "the transaction was rolled back";

/// How to open the writer.
#[derive(Debug, Clone)]
pub(in crate::database) struct WriterOptions {
    pub(in crate::database) path: PathBuf,
    /// Maximum wait for the lock of another process.
    pub(in crate::database) busy_timeout: Duration,
    /// Maximum wait of a unit of work for its turn.
    pub(in crate::database) acquire_timeout: Duration,
}

/// The connection that writes.
#[derive(Clone)]
pub(in crate::database) struct Writer {
    options: WriterOptions,
    health: Arc<StorageHealth>,
    /// Held by the unit of work or the commit whose turn it is; others wait in order.
    turn: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// None before the first unit of work, after a failure of the connection, and after it was closed.
    ///
    /// The lock is never contended: it makes units of work shareable between the futures of one request.
    connection: Option<std::sync::Mutex<Connection>>,
    is_closed: bool,
    /// The open group, if one of its units has ended successfully.
    group: Option<Group>,
}

/// Units of work that are committed together.
struct Group {
    outcome: watch::Sender<Option<Outcome>>,
}

/// Whether a group was committed, or why not.
type Outcome = Result<(), Arc<sqlx::Error>>;

/// A unit of work. Dropping it rolls it back.
pub(in crate::database) struct Unit {
    writer: Writer,
    /// None after the unit has ended.
    state: Option<OwnedMutexGuard<State>>,
}

impl Writer {
    pub(in crate::database) fn new(options: WriterOptions, health: Arc<StorageHealth>) -> Self {
        Self { options, health, turn: Arc::default() }
    }

    /// Opens the connection, which switches the file to write-ahead logging.
    pub(in crate::database) async fn connect(&self) -> Result<(), DbErr> {
        let mut state = self.turn.lock().await;
        state.connection = Some(self.open(Duration::ZERO)?.into());
        Ok(())
    }

    /// Begins a unit of work when it is its turn.
    pub(in crate::database) async fn begin(&self) -> Result<Unit, DbErr> {
        let turn = timeout(self.options.acquire_timeout, Arc::clone(&self.turn).lock_owned()).await;
        let state = turn.map_err(|_| DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))?;
        if state.is_closed {
            return Err(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed));
        }
        if !state.is_in_transaction() {
            return self.open_transaction(state).await;
        }
        state.with(|connection| run(connection, "SAVEPOINT unit"))?;
        Ok(Unit { writer: self.clone(), state: Some(state) })
    }

    /// Takes the write lock of the file, which another process may hold.
    async fn open_transaction(&self, mut state: OwnedMutexGuard<State>) -> Result<Unit, DbErr> {
        if state.group.take().is_some() {
            tracing::error!("SQLite rolled back units of work that were not committed yet");
        }
        match self.try_open_transaction(&mut state, Duration::ZERO) {
            Err(error) if sqlite_code(&error) == Some(SQLITE_BUSY) => {}
            result => return result.map(|()| Unit { writer: self.clone(), state: Some(state) }),
        }
        // Another process writes. If the caller is dropped in the meantime, the unit of work is rolled back.
        let writer = self.clone();
        let waiting = spawn_blocking(move || {
            let result = writer.try_open_transaction(&mut state, writer.options.busy_timeout);
            result.map(|()| Unit { writer, state: Some(state) })
        });
        waiting.await.map_err(|error| DbErr::Conn(RuntimeErr::Internal(error.to_string())))?
    }

    fn try_open_transaction(&self, state: &mut State, busy_timeout: Duration) -> Result<(), DbErr> {
        if state.connection.is_none() {
            state.connection = Some(self.open(busy_timeout)?.into());
        }
        let begun = state.with(|connection| {
            connection.busy_timeout(busy_timeout).map_err(connection_error)?;
            run(connection, "BEGIN IMMEDIATE")?;
            run(connection, LOAD_SCHEMA)?;
            // SQLite opens a file without permission to write, and refuses only the first write to it.
            if connection.is_readonly(MAIN_DB).map_err(connection_error)? {
                return Err(lost("the database file is read-only"));
            }
            run(connection, "SAVEPOINT unit")
        });
        match begun {
            Err(error) if sqlite_code(&error) != Some(SQLITE_BUSY) => {
                state.connection = None;
                Err(if ErrorClass::classify(&error) == ErrorClass::Defect { lost(&error.to_string()) } else { error })
            }
            begun => begun,
        }
    }

    fn open(&self, busy_timeout: Duration) -> Result<Connection, DbErr> {
        // The file exists. Creating it would put an empty database in the place of one that was moved away.
        let opened = connection::open(&self.options.path, Access::ReadWrite, busy_timeout);
        let connection = opened.map_err(connection_error)?;
        connection.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
        let is_new = std::fs::metadata(&self.options.path).is_ok_and(|metadata| metadata.len() == 0);
        configure(&connection, is_new).map_err(connection_error)?;
        self.health.verify_opened().map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(error.into())))?;
        Ok(connection)
    }

    pub(in crate::database) fn path(&self) -> &Path {
        &self.options.path
    }

    /// Returns whether the connection is open. One that is in use is.
    pub(in crate::database) fn is_open(&self) -> bool {
        self.turn.try_lock().map_or(true, |state| state.connection.is_some())
    }

    /// Returns whether it is the turn of a unit of work or a commit.
    pub(in crate::database) fn is_in_use(&self) -> bool {
        self.turn.try_lock().is_err()
    }

    /// Commits the open group when the units that wait now have joined it.
    fn enqueue_commit(&self) {
        let turn = Arc::clone(&self.turn);
        tokio::spawn(async move {
            let mut state = turn.lock_owned().await;
            if let Err(error) = spawn_blocking(move || state.commit_group()).await {
                tracing::error!(%error, "a commit panicked");
            }
        });
    }

    /// Closes the connection after the current unit of work.
    pub(in crate::database) async fn close(&self) {
        let mut state = self.turn.lock().await;
        state.is_closed = true;
        state.commit_group();
        if let Some(connection) = state.connection.take() {
            let connection = connection.into_inner().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = connection.execute_batch("PRAGMA optimize") {
                tracing::debug!(%error, "failed to update the statistics of the database");
            }
            if let Err((_, error)) = connection.close() {
                tracing::warn!(%error, "failed to close a database connection");
            }
        }
    }
}

/// Sets the properties of a connection.
///
/// Without memory-mapped reads: they save a request some 5 % of its time, but each connection maps the file, which counts
/// as resident memory of the process, and a file that shrinks would kill it.
fn configure(connection: &Connection, is_new: bool) -> rusqlite::Result<()> {
    if is_new {
        // Before anything is written. Not in other files, because SQLite would write the setting each time; see `free_pages`.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    connection.pragma_update(None, "journal_size_limit", LOG_SIZE_LIMIT)?;
    connection.pragma_update(None, "journal_mode", "WAL")
}

/// Statement that loads the schema if another process has changed it. A statement that writes to a virtual table cannot:
/// while it is prepared, the table reads its own tables, and it loses its place in the schema.
const LOAD_SCHEMA: &str = "SELECT 1 FROM sqlite_schema LIMIT 0";

/// Runs a statement without values or rows.
fn run(connection: &Connection, sql: &str) -> Result<(), DbErr> {
    connection.prepare_cached(sql).and_then(|mut statement| statement.raw_execute()).map(drop).map_err(query_error)
}

impl State {
    /// Returns whether units of work have ended that are not committed yet.
    fn is_in_transaction(&self) -> bool {
        self.group.is_some() && self.with(|connection| Ok(!connection.is_autocommit())).unwrap_or_default()
    }

    fn with<T>(&self, run: impl FnOnce(&Connection) -> Result<T, DbErr>) -> Result<T, DbErr> {
        let connection = self.connection.as_ref().ok_or(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed))?;
        run(&connection.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn commit_group(&mut self) {
        let (Some(group), Some(connection)) = (self.group.take(), &self.connection) else { return };
        let committed = {
            let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            if connection.is_autocommit() {
                // SQLite rolled everything back, as on a full disk. The group is dropped without an outcome.
                return;
            }
            connection.prepare_cached("COMMIT").and_then(|mut statement| statement.raw_execute())
        };
        let outcome = committed.map(drop).map_err(|error| Arc::new(driver_error(error)));
        if outcome.is_err() {
            // A connection whose commit failed may be in any state.
            self.connection = None;
        }
        group.outcome.send_replace(Some(outcome));
    }
}

impl Unit {
    /// Runs a statement that returns rows.
    pub(in crate::database) fn query<R: FromRow>(&self, statement: &Statement) -> Result<Vec<R>, DbErr> {
        self.with(|connection| rows::query(connection, statement))
    }

    /// Runs a statement that returns no rows.
    pub(in crate::database) fn execute(&self, statement: &Statement) -> Result<ExecResult, DbErr> {
        self.with(|connection| rows::execute(connection, statement).map(Into::into))
    }

    fn with<T>(&self, run: impl FnOnce(&Connection) -> Result<T, DbErr>) -> Result<T, DbErr> {
        self.state.as_ref().ok_or_else(|| lost(ROLLED_BACK))?.with(|connection| {
            // SQLite rolls everything back after some errors, and would commit each further statement on its own.
            if connection.is_autocommit() { Err(lost(ROLLED_BACK)) } else { run(connection) }
        })
    }

    /// Ends the unit, and waits until it is on disk with its group.
    pub(in crate::database) async fn commit(mut self) -> Result<(), DbErr> {
        self.with(|connection| run(connection, "RELEASE unit"))?;
        let outcome = {
            let Some(mut state) = self.state.take() else { return Err(lost(ROLLED_BACK)) };
            let group = state.group.get_or_insert_with(|| {
                self.writer.enqueue_commit();
                Group { outcome: watch::Sender::new(None) }
            });
            group.outcome.subscribe()
        };
        committed(outcome).await
    }

    /// Rolls the unit back, and waits until those that it has seen are on disk.
    pub(in crate::database) async fn discard(self) -> Result<(), DbErr> {
        let group = self.state.as_ref().and_then(|state| state.group.as_ref());
        let outcome = group.map(|group| group.outcome.subscribe());
        drop(self);
        match outcome {
            Some(outcome) => committed(outcome).await,
            None => Ok(()),
        }
    }
}

/// Waits for the outcome of a group.
async fn committed(mut outcome: watch::Receiver<Option<Outcome>>) -> Result<(), DbErr> {
    // A group that is rolled back is dropped without an outcome.
    let outcome = outcome.wait_for(Option::is_some).await.map_err(|_| lost(ROLLED_BACK))?;
    match &*outcome {
        Some(Ok(())) => Ok(()),
        Some(Err(error)) => Err(DbErr::Exec(RuntimeErr::SqlxError(Arc::clone(error)))),
        None => Err(lost(ROLLED_BACK)),
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        let Some(state) = &mut self.state else { return };
        let is_first = state.group.is_none();
        let rolled_back = state.with(|connection| {
            if connection.is_autocommit() {
                return Ok(());
            }
            let rollback = if is_first { "ROLLBACK" } else { "ROLLBACK TO unit; RELEASE unit" };
            connection.execute_batch(rollback).map_err(query_error)
        });
        if let Err(error) = rolled_back {
            tracing::error!(%error, "failed to roll back; the connection will be closed");
            state.connection = None;
            state.group = None;
        }
    }
}

/// Error of a unit of work that is not committed. The caller may retry.
fn lost(message: &str) -> DbErr {
    DbErr::Conn(RuntimeErr::Internal(message.to_owned()))
}
