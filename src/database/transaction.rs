//! A transaction that is acknowledged only if it was committed.
//!
//! The drivers do not ensure that (see `docs/decisions/0003-acknowledge-only-what-was-committed.md`): after a failed
//! statement SQLite may have rolled back, and PostgreSQL acknowledges a COMMIT that rolls back. So a transaction with a
//! failed statement is never committed, and on SQLite a commit counts only if SQLite itself reports it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult,
    QueryResult, RuntimeErr, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};
use tracing::{Instrument as _, Span};

use super::error::{ErrorClass, sqlite_code};
use super::health::StorageHealth;
use super::sqlite_state::SqliteState;
use crate::telemetry::{self, ConnectionUse, PendingConnection};

/// Name of the writing connections in metrics.
pub(super) const WRITE_POOL: &str = "write";

/// Result code of SQLite for a file that it opened read-only, for lack of permission.
const SQLITE_READONLY: u32 = 8;

/// An open transaction. Dropping it rolls back and interrupts its statement.
pub(super) struct GuardedTransaction {
    // First, because fields are dropped in order: the statement must be interrupted before the rollback.
    statements: Statements,
    transaction: DatabaseTransaction,
    health: Arc<StorageHealth>,
    commits_before: u64,
    in_use: ConnectionUse,
}

/// The statements of a transaction.
struct Statements {
    has_failed: AtomicBool,
    /// Number of started statements that have not returned, even if abandoned.
    unfinished: AtomicUsize,
    writer: Option<Arc<SqliteState>>,
}

impl Drop for Statements {
    fn drop(&mut self) {
        if let Some(writer) = &self.writer
            && self.unfinished.load(Ordering::Acquire) > 0
        {
            writer.interrupt();
        }
    }
}

impl Statements {
    fn all_succeeded(&self) -> bool {
        !self.has_failed.load(Ordering::Acquire) && self.unfinished.load(Ordering::Acquire) == 0
    }
}

impl GuardedTransaction {
    /// Opens a transaction; on SQLite with the write lock.
    pub(super) async fn begin(
        connection: &DatabaseConnection,
        writer: Option<Arc<SqliteState>>,
        health: Arc<StorageHealth>,
    ) -> Result<Self, DbErr> {
        let pending = PendingConnection::begin(WRITE_POOL);
        let transaction = match begin_uncancelled(connection, &health).await {
            Ok(transaction) => transaction,
            Err(error) => {
                if matches!(error, DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)) {
                    pending.timed_out();
                }
                record_failure(&error, &health, writer.as_deref());
                return Err(match &writer {
                    // Only a connection that is already in a transaction refuses a BEGIN.
                    Some(writer) if ErrorClass::classify(&error) == ErrorClass::Defect => {
                        writer.condemn();
                        tracing::error!(%error, "SQLite refused to begin a transaction; its connection will be closed");
                        not_committed("the transaction could not begin")
                    }
                    _ => error,
                });
            }
        };
        pending.acquired();
        let in_use = ConnectionUse::begin(WRITE_POOL);
        let commits_before = writer.as_ref().map_or(0, |writer| writer.commits());
        let statements = Statements { has_failed: AtomicBool::new(false), unfinished: AtomicUsize::new(0), writer };
        Ok(Self { statements, transaction, health, commits_before, in_use })
    }

    /// Commits, and verifies that the commit happened.
    pub(super) async fn commit(self) -> Result<(), DbErr> {
        if !self.statements.all_succeeded() {
            return Err(not_committed("a statement of the transaction failed, so all of it is rolled back"));
        }
        let Self { statements, transaction, health, commits_before, in_use } = self;
        let committed = health.bounded(transaction.commit()).await;
        committed.inspect_err(|error| record_failure(error, &health, statements.writer.as_deref()))?;
        // A second line of defence, behind the check of the transaction depth before a connection is reused.
        if let Some(writer) = &statements.writer
            && writer.commits() == commits_before
        {
            writer.condemn();
            tracing::error!("SQLite acknowledged a COMMIT that ended no transaction; its connection will be closed");
            return Err(not_committed("the transaction was not committed"));
        }
        health.record_commit();
        drop(in_use);
        Ok(())
    }

    fn start(&self) -> Result<GuardedStatement<'_>, DbErr> {
        // SQLite might have rolled back, and would commit each further statement on its own.
        if self.statements.has_failed.load(Ordering::Acquire) {
            return Err(not_committed("an earlier statement of the transaction failed"));
        }
        self.statements.unfinished.fetch_add(1, Ordering::AcqRel);
        Ok(GuardedStatement(self))
    }
}

/// Returns the tracing span of a statement, whose text has placeholders for values.
pub(super) fn query_span(statement: &Statement) -> Span {
    telemetry::query_span(&statement.sql, engine_name(statement.db_backend))
        .unwrap_or_else(|| tracing::debug_span!("query", db.query.text = statement.sql))
}

/// Returns the name of an engine, as OpenTelemetry has it.
pub(super) const fn engine_name(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Postgres => "postgresql",
        _ => "sqlite",
    }
}

/// A running statement of a transaction.
struct GuardedStatement<'a>(&'a GuardedTransaction);

impl GuardedStatement<'_> {
    fn finish<T>(self, result: Result<T, DbErr>) -> Result<T, DbErr> {
        let Self(GuardedTransaction { statements, health, .. }) = self;
        if let Err(error) = &result {
            statements.has_failed.store(true, Ordering::Release);
            record_failure(error, health, statements.writer.as_deref());
        }
        statements.unfinished.fetch_sub(1, Ordering::AcqRel);
        result
    }
}

#[async_trait]
impl ConnectionTrait for GuardedTransaction {
    fn get_database_backend(&self) -> DbBackend {
        self.transaction.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let (running, span) = (self.start()?, query_span(&statement));
        running.finish(self.health.bounded(self.transaction.execute_raw(statement).instrument(span)).await)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let running = self.start()?;
        running.finish(self.health.bounded(self.transaction.execute_unprepared(sql)).await)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let (running, span) = (self.start()?, query_span(&statement));
        running.finish(self.health.bounded(self.transaction.query_one_raw(statement).instrument(span)).await)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let (running, span) = (self.start()?, query_span(&statement));
        running.finish(self.health.bounded(self.transaction.query_all_raw(statement).instrument(span)).await)
    }
}

/// Opens a transaction, even if the caller is dropped.
///
/// Dropping the future of a BEGIN that PostgreSQL has received would leave the connection in an unknown transaction.
async fn begin_uncancelled(
    connection: &DatabaseConnection,
    health: &Arc<StorageHealth>,
) -> Result<DatabaseTransaction, DbErr> {
    if connection.get_database_backend() != DbBackend::Postgres {
        return begin(connection).await;
    }
    let (connection, health) = (connection.clone(), Arc::clone(health));
    let begun = tokio::spawn(async move { health.bounded(begin(&connection)).await }.in_current_span());
    begun.await.map_err(|error| not_committed(&error.to_string()))?
}

/// Opens a transaction without a guard, for migrations.
///
/// On SQLite it takes the write lock at once, because a transaction that has read cannot wait for it.
pub(super) async fn begin(connection: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    #[expect(clippy::disallowed_methods, reason = "the one place where transactions begin")]
    connection.begin_with_options(options).await
}

fn record_failure(error: &DbErr, health: &StorageHealth, writer: Option<&SqliteState>) {
    health.record_write_error(error);
    if let Some(writer) = writer.filter(|_| sqlite_code(error) == Some(SQLITE_READONLY)) {
        writer.condemn();
    }
}

/// Error after which the caller may retry.
fn not_committed(message: &str) -> DbErr {
    DbErr::Conn(RuntimeErr::Internal(message.to_owned()))
}
