//! A transaction that is acknowledged only if it was committed.
//!
//! The drivers do not ensure that (see `docs/decisions/0003-acknowledge-only-what-was-committed.md`): after a failed
//! statement SQLite may have rolled back, and PostgreSQL acknowledges a COMMIT that rolls back. So a transaction with a
//! failed statement is never committed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult,
    QueryResult, RuntimeErr, Statement, TransactionTrait,
};
use tracing::{Instrument as _, Span};

use super::decode::{Decode, DecodingConnection, RowReader};
use super::health::StorageHealth;
use super::sqlite;
use crate::telemetry::{self, ConnectionUse, PendingConnection};

/// Name of the writing connections in metrics.
pub(super) const WRITE_POOL: &str = "write";

/// The connections that transactions use.
pub(super) enum Writers {
    /// One connection.
    Sqlite(sqlite::Writer),
    /// A pool.
    Postgres(DatabaseConnection),
}

/// An open transaction. Dropping it rolls back.
pub(super) struct GuardedTransaction {
    has_failed: AtomicBool,
    /// Number of started statements that have not returned, even if abandoned.
    unfinished: AtomicUsize,
    transaction: OpenTransaction,
    health: Arc<StorageHealth>,
    in_use: ConnectionUse,
}

enum OpenTransaction {
    Sqlite(sqlite::Unit),
    Postgres(DatabaseTransaction),
}

impl Writers {
    pub(super) fn backend(&self) -> DbBackend {
        match self {
            Self::Sqlite(_) => DbBackend::Sqlite,
            Self::Postgres(_) => DbBackend::Postgres,
        }
    }
}

impl GuardedTransaction {
    /// Opens a transaction; on SQLite with the write lock.
    pub(super) async fn begin(writers: &Writers, health: Arc<StorageHealth>) -> Result<Self, DbErr> {
        let pending = PendingConnection::begin(WRITE_POOL);
        let begun = match writers {
            Writers::Sqlite(writer) => writer.begin().await.map(OpenTransaction::Sqlite),
            Writers::Postgres(pool) => begin_uncancelled(pool, &health).await.map(OpenTransaction::Postgres),
        };
        match begun {
            Ok(transaction) => {
                pending.acquired();
                let (has_failed, unfinished) = (AtomicBool::new(false), AtomicUsize::new(0));
                Ok(Self { has_failed, unfinished, transaction, health, in_use: ConnectionUse::begin(WRITE_POOL) })
            }
            Err(error) => {
                if matches!(error, DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)) {
                    pending.timed_out();
                }
                health.record_write_error(&error);
                Err(error)
            }
        }
    }

    /// Commits, and verifies that the commit happened.
    pub(super) async fn commit(self) -> Result<(), DbErr> {
        if self.has_failed.load(Ordering::Acquire) || self.unfinished.load(Ordering::Acquire) > 0 {
            return Err(not_committed("a statement of the transaction failed, so all of it is rolled back"));
        }
        let Self { transaction, health, in_use, .. } = self;
        let committed = match transaction {
            OpenTransaction::Sqlite(unit) => unit.commit().await,
            OpenTransaction::Postgres(transaction) => health.bounded(transaction.commit()).await,
        };
        committed.inspect_err(|error| health.record_write_error(error))?;
        health.record_commit();
        drop(in_use);
        Ok(())
    }

    /// Rolls back, and waits until all that the transaction has read is committed.
    pub(super) async fn discard(self) -> Result<(), DbErr> {
        match self.transaction {
            OpenTransaction::Sqlite(unit) => unit.discard().await,
            // Others see nothing before it is committed.
            OpenTransaction::Postgres(_) => Ok(()),
        }
    }

    fn start(&self) -> Result<GuardedStatement<'_>, DbErr> {
        // PostgreSQL would acknowledge a COMMIT that rolls back.
        if self.has_failed.load(Ordering::Acquire) {
            return Err(not_committed("an earlier statement of the transaction failed"));
        }
        self.unfinished.fetch_add(1, Ordering::AcqRel);
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
        let Self(transaction) = self;
        if let Err(error) = &result {
            transaction.has_failed.store(true, Ordering::Release);
            transaction.health.record_write_error(error);
        }
        transaction.unfinished.fetch_sub(1, Ordering::AcqRel);
        result
    }
}

#[async_trait]
impl ConnectionTrait for GuardedTransaction {
    fn get_database_backend(&self) -> DbBackend {
        match &self.transaction {
            OpenTransaction::Sqlite(_) => DbBackend::Sqlite,
            OpenTransaction::Postgres(_) => DbBackend::Postgres,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let (running, span) = (self.start()?, query_span(&statement));
        running.finish(match &self.transaction {
            OpenTransaction::Sqlite(unit) => span.in_scope(|| unit.execute(&statement)),
            OpenTransaction::Postgres(transaction) => {
                self.health.bounded(transaction.execute_raw(statement).instrument(span)).await
            }
        })
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let running = self.start()?;
        running.finish(match &self.transaction {
            OpenTransaction::Sqlite(unit) => unit.execute(&Statement::from_string(DbBackend::Sqlite, sql)),
            OpenTransaction::Postgres(transaction) => self.health.bounded(transaction.execute_unprepared(sql)).await,
        })
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let (running, span) = (self.start()?, query_span(&statement));
        running.finish(match &self.transaction {
            OpenTransaction::Sqlite(unit) => {
                span.in_scope(|| unit.query(&statement)).map(|rows| rows.into_iter().next())
            }
            OpenTransaction::Postgres(transaction) => {
                self.health.bounded(transaction.query_one_raw(statement).instrument(span)).await
            }
        })
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let (running, span) = (self.start()?, query_span(&statement));
        running.finish(match &self.transaction {
            OpenTransaction::Sqlite(unit) => span.in_scope(|| unit.query(&statement)),
            OpenTransaction::Postgres(transaction) => {
                self.health.bounded(transaction.query_all_raw(statement).instrument(span)).await
            }
        })
    }
}

impl DecodingConnection for GuardedTransaction {
    async fn query_decoded<R: Decode>(&self, statement: Statement) -> Result<Vec<R>, DbErr> {
        if let OpenTransaction::Sqlite(unit) = &self.transaction {
            let (running, span) = (self.start()?, query_span(&statement));
            return running.finish(span.in_scope(|| unit.query(&statement)));
        }
        let rows = self.query_all_raw(statement).await?;
        rows.iter().map(|row| R::decode(&mut RowReader::postgres(row))).collect()
    }
}

/// Opens a transaction, even if the caller is dropped.
///
/// Dropping the future of a BEGIN that PostgreSQL has received would leave the connection in an unknown transaction.
async fn begin_uncancelled(
    connection: &DatabaseConnection,
    health: &Arc<StorageHealth>,
) -> Result<DatabaseTransaction, DbErr> {
    let (connection, health) = (connection.clone(), Arc::clone(health));
    let begun = tokio::spawn(async move { health.bounded(begin(&connection)).await }.in_current_span());
    begun.await.map_err(|error| not_committed(&error.to_string()))?
}

/// Opens a transaction without a guard, for migrations.
pub(super) async fn begin(connection: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    #[expect(clippy::disallowed_methods, reason = "the one place where transactions begin")]
    connection.begin().await
}

/// Error after which the caller may retry.
fn not_committed(message: &str) -> DbErr {
    DbErr::Conn(RuntimeErr::Internal(message.to_owned()))
}
