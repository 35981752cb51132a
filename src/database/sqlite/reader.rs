//! A read-only connection to SQLite.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr, Statement};

use super::PREPARED_STATEMENTS;
use super::connection::{self, Access};
use super::errors::connection_error;
use super::rows::{self, FromRow};
use crate::database::error::{SQLITE_BUSY, SQLITE_INTERRUPT, sqlite_code};
use crate::database::health::StorageHealth;

/// Instructions of SQLite between two calls of the progress handler.
const PROGRESS_INTERVAL: i32 = 4_000;

/// Calls of the progress handler after which a statement leaves the thread of the request: about a millisecond.
const MAX_INLINE_STEPS: i32 = 8;

/// Operator of statements that are not interrupted while they search an index of words, because the progress handler is not
/// called.
const UNINTERRUPTED: &str = " MATCH ";

/// How to open a reader.
#[derive(Debug, Clone)]
pub(in crate::database) struct ReaderOptions {
    pub(in crate::database) path: PathBuf,
    /// Maximum wait for the lock of another process.
    pub(in crate::database) busy_timeout: Duration,
}

/// A read-only connection, opened on first use. Only one statement uses it at a time.
pub(in crate::database) struct Reader {
    options: ReaderOptions,
    health: Arc<StorageHealth>,
    connection: Mutex<State>,
    limits: Arc<Limits>,
}

enum State {
    Unopened,
    Open(Connection),
    Closed,
}

/// When the running statement must end.
#[derive(Debug, Default)]
struct Limits {
    /// Number of the current statement.
    current: AtomicU64,
    /// Number of the statement that was interrupted last.
    interrupted: AtomicU64,
    /// Remaining calls of the progress handler.
    steps: AtomicI32,
    is_closing: AtomicBool,
}

impl Limits {
    /// Returns whether the statement must end.
    fn end(&self) -> bool {
        self.steps.fetch_sub(1, Ordering::Relaxed) <= 0
            || self.is_closing.load(Ordering::Acquire)
            || self.interrupted.load(Ordering::Acquire) == self.current.load(Ordering::Acquire)
    }
}

impl Reader {
    pub(in crate::database) fn new(options: ReaderOptions, health: Arc<StorageHealth>) -> Self {
        Self { options, health, connection: Mutex::new(State::Unopened), limits: Arc::default() }
    }

    pub(in crate::database) fn is_open(&self) -> bool {
        // A connection that is in use is open.
        self.connection.try_lock().map_or(true, |state| matches!(*state, State::Open(_)))
    }

    /// Closes the connection, after the end of the running statement.
    pub(in crate::database) fn close(&self) {
        self.limits.is_closing.store(true, Ordering::Release);
        *self.lock() = State::Closed;
    }

    /// Assigns a number to the next statement.
    pub(in crate::database) fn begin(&self) -> u64 {
        self.limits.current.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Stops a statement, if it is still running.
    pub(in crate::database) fn interrupt(&self, number: u64) {
        // A late call concerns a statement that has ended, and must not undo a later one.
        self.limits.interrupted.fetch_max(number, Ordering::AcqRel);
    }

    /// Runs a statement in the calling thread if it is short; `None` if it is not.
    pub(in crate::database) fn query_inline<R: FromRow>(&self, statement: &Statement) -> Option<Result<Vec<R>, DbErr>> {
        if statement.sql.contains(UNINTERRUPTED) {
            return None;
        }
        self.begin();
        let result = self.run(statement, MAX_INLINE_STEPS, Duration::ZERO);
        let is_too_long = |error| matches!(sqlite_code(error), Some(SQLITE_BUSY | SQLITE_INTERRUPT));
        (!result.as_ref().is_err_and(is_too_long)).then_some(result)
    }

    /// Runs a statement until it ends or is interrupted. Blocks the thread.
    pub(in crate::database) fn query<R: FromRow>(&self, statement: &Statement) -> Result<Vec<R>, DbErr> {
        self.run(statement, i32::MAX, self.options.busy_timeout)
    }

    fn run<R: FromRow>(&self, statement: &Statement, steps: i32, busy_timeout: Duration) -> Result<Vec<R>, DbErr> {
        let mut state = self.lock();
        if let State::Unopened = *state {
            *state = State::Open(self.open(busy_timeout)?);
        }
        let State::Open(connection) = &*state else {
            return Err(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed));
        };
        self.limits.steps.store(steps, Ordering::Relaxed);
        connection.busy_timeout(busy_timeout).map_err(connection_error)?;
        rows::query(connection, statement)
    }

    fn open(&self, busy_timeout: Duration) -> Result<Connection, DbErr> {
        let opened = connection::open(&self.options.path, Access::ReadOnly, busy_timeout);
        let connection = opened.map_err(connection_error)?;
        self.health.verify_opened().map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(error.into())))?;
        connection.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
        let limits = Arc::clone(&self.limits);
        connection.progress_handler(PROGRESS_INTERVAL, Some(move || limits.end())).map_err(connection_error)?;
        Ok(connection)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
