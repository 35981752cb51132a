//! A transaction that is acknowledged only if it was committed.
//!
//! The drivers do not ensure that. Where a statement fails because of its disk or memory, SQLite may roll back the whole
//! transaction by itself, and would commit what follows statement by statement. PostgreSQL answers the COMMIT of a
//! transaction in which a statement failed with success, and rolls back. And after a failed COMMIT, sqlx's driver for
//! SQLite keeps its transaction depth, so that SeaORM opens the next transaction as a savepoint, which nothing ever
//! commits. Therefore a transaction in which anything failed is never committed, a commit counts only if SQLite itself
//! reports it, and a connection whose transaction depth is not zero is closed and not used again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};

use super::error::ErrorClass;
use super::health::StorageHealth;
use super::writer_state::WriterState;

/// An open transaction. Dropping it rolls it back, and interrupts the statement that runs in it.
pub(super) struct GuardedTransaction {
    // The first field, because fields are dropped in order: the rollback must find the statement interrupted.
    statements: Statements,
    transaction: DatabaseTransaction,
    health: Arc<StorageHealth>,
    commits_before: u64,
}

/// The statements of a transaction.
struct Statements {
    has_failed: AtomicBool,
    /// Statements that were started and have not returned. One whose future was dropped stays among them.
    unfinished: AtomicUsize,
    writer: Option<Arc<WriterState>>,
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
    /// Opens a transaction; on SQLite one that may write from the start.
    pub(super) async fn begin(
        connection: &DatabaseConnection,
        writer: Option<Arc<WriterState>>,
        health: Arc<StorageHealth>,
    ) -> Result<Self, DbErr> {
        let transaction = match begin_uncancelled(connection).await {
            Ok(transaction) => transaction,
            Err(error) => {
                record_failure(&error, &health, writer.as_deref());
                return Err(match &writer {
                    // A BEGIN has nothing in it that could be wrong: the connection is in a transaction already.
                    Some(writer) if ErrorClass::of(&error) == ErrorClass::Defect => {
                        writer.condemn();
                        tracing::error!(%error, "SQLite refused to begin a transaction; its connection will be closed");
                        not_committed("the transaction could not begin")
                    }
                    _ => error,
                });
            }
        };
        let commits_before = writer.as_ref().map_or(0, |writer| writer.commits());
        let statements = Statements { has_failed: AtomicBool::new(false), unfinished: AtomicUsize::new(0), writer };
        Ok(Self { statements, transaction, health, commits_before })
    }

    /// Commits, and verifies that this happened.
    pub(super) async fn commit(self) -> Result<(), DbErr> {
        if !self.statements.all_succeeded() {
            return Err(not_committed("a statement of the transaction failed, so all of it is rolled back"));
        }
        let Self { statements, transaction, health, commits_before } = self;
        let committed = transaction.commit().await;
        committed.inspect_err(|error| record_failure(error, &health, statements.writer.as_deref()))?;
        // A second line of defence behind the check of the transaction depth, so it need not tell this commit from one
        // that follows at once.
        if let Some(writer) = &statements.writer
            && writer.commits() == commits_before
        {
            writer.condemn();
            tracing::error!("SQLite acknowledged a COMMIT that ended no transaction; its connection will be closed");
            return Err(not_committed("the transaction was not committed"));
        }
        health.record_commit();
        Ok(())
    }

    fn start(&self) -> Result<GuardedStatement<'_>, DbErr> {
        // PostgreSQL refuses these by itself. SQLite might have rolled back, and would commit each one on its own.
        if self.statements.has_failed.load(Ordering::Acquire) {
            return Err(not_committed("an earlier statement of the transaction failed"));
        }
        self.statements.unfinished.fetch_add(1, Ordering::AcqRel);
        Ok(GuardedStatement(self))
    }
}

/// A statement that runs in a transaction.
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
        let running = self.start()?;
        running.finish(self.transaction.execute_raw(statement).await)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let running = self.start()?;
        running.finish(self.transaction.execute_unprepared(sql).await)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let running = self.start()?;
        running.finish(self.transaction.query_one_raw(statement).await)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let running = self.start()?;
        running.finish(self.transaction.query_all_raw(statement).await)
    }
}

/// Opens a transaction, also if the caller goes away: a BEGIN that PostgreSQL has received, and whose future is dropped
/// before the answer, would leave its connection in a transaction of which the driver knows nothing.
async fn begin_uncancelled(connection: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    if connection.get_database_backend() != DbBackend::Postgres {
        return begin(connection).await;
    }
    let connection = connection.clone();
    let begun = tokio::spawn(async move { begin(&connection).await });
    begun.await.map_err(|error| not_committed(&error.to_string()))?
}

/// Opens a transaction without a guard, for changes of the schema. On SQLite it takes the lock to write at once: a
/// transaction that reads first cannot wait for it.
pub(super) async fn begin(connection: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    #[expect(clippy::disallowed_methods, reason = "the one place where transactions begin")]
    connection.begin_with_options(options).await
}

fn record_failure(error: &DbErr, health: &StorageHealth, writer: Option<&WriterState>) {
    health.record_write_error(error);
    if let Some(writer) = writer.filter(|_| ErrorClass::is_read_only(error)) {
        writer.condemn();
    }
}

/// An error that lets the caller try again.
fn not_committed(message: &str) -> DbErr {
    DbErr::Conn(RuntimeErr::Internal(message.to_owned()))
}

#[cfg(test)]
mod tests {
    use sqlx::{Connection as _, Row as _, SqliteConnection};
    use tempfile::TempDir;

    use super::*;
    use crate::contract::Timestamp;
    use crate::contract::event::EventType;
    use crate::contract::ids::new_uuid;
    use crate::contract::{EventId, ProjectId};
    use crate::database::{SeaStore, Settings};
    use crate::repositories::{NewEvent, Store as _, StoreError};

    async fn store() -> (SeaStore, SqliteConnection, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/test.db", folder.path().display());
        let settings = Settings {
            url: url.as_str().into(),
            max_connections: 2,
            migrate: true,
            statement_timeout: std::time::Duration::from_secs(30),
        };
        let store = SeaStore::open(&settings).await.unwrap();
        (store, SqliteConnection::connect(&url).await.unwrap(), folder)
    }

    fn event(length: usize) -> NewEvent {
        NewEvent {
            id: EventId(new_uuid()),
            kind: EventType::TaskUpdated,
            project_id: ProjectId::generate(),
            actor_id: None,
            occurred_at: Timestamp::now(),
            data: "x".repeat(length),
            previous: None,
            request_id: None,
        }
    }

    /// Three statements, each of which needs new pages, and the commit.
    async fn write(store: &SeaStore) -> Result<Vec<EventId>, StoreError> {
        let transaction = store.begin().await?;
        let events: Vec<_> = (0..3).map(|_| event(9_000)).collect();
        for event in &events {
            transaction.events().append(std::slice::from_ref(event)).await?;
        }
        transaction.commit().await?;
        Ok(events.into_iter().map(|event| event.id).collect())
    }

    async fn stored(reader: &mut SqliteConnection) -> Vec<EventId> {
        let rows = sqlx::query("SELECT id FROM events ORDER BY sequence").fetch_all(reader).await.unwrap();
        rows.iter().map(|row| EventId(row.get("id"))).collect()
    }

    #[tokio::test]
    async fn a_file_that_is_full_at_any_statement_loses_no_acknowledged_write() {
        let (store, mut reader, _folder) = store().await;
        let mut acknowledged = Vec::new();
        let mut failures = 0;
        for free_pages in 0..12 {
            let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut reader).await.unwrap();
            let limit = format!("PRAGMA max_page_count = {}", pages + free_pages);
            store.writer.execute_unprepared(&limit).await.unwrap();
            match write(&store).await {
                Ok(events) => acknowledged.extend(events),
                Err(StoreError::Unavailable(_)) => failures += 1,
                Err(error) => panic!("{error:?}"),
            }
            assert_eq!(stored(&mut reader).await, acknowledged, "{free_pages} free pages");
            store.writer.execute_unprepared("PRAGMA max_page_count = 1073741823").await.unwrap();
            drop(store.begin().await.unwrap());
            acknowledged.extend(write(&store).await.unwrap());
            assert_eq!(stored(&mut reader).await, acknowledged, "after {free_pages} free pages");
        }
        assert!((2..12).contains(&failures), "{failures}");
        store.close().await;
    }

    #[tokio::test]
    async fn a_transaction_in_which_a_statement_failed_is_not_committed() {
        let (store, mut reader, _folder) = store().await;
        let transaction = store.begin().await.unwrap();
        let first = event(10);
        transaction.events().append(std::slice::from_ref(&first)).await.unwrap();
        transaction.events().append(&[first]).await.unwrap_err();
        // Neither what follows nor the commit happens, whatever the driver would do.
        transaction.events().append(&[event(10)]).await.unwrap_err();
        assert!(matches!(transaction.commit().await, Err(StoreError::Unavailable(_))));
        assert_eq!(stored(&mut reader).await, []);
        let acknowledged = write(&store).await.unwrap();
        assert_eq!(stored(&mut reader).await, acknowledged);
        store.close().await;
    }

    #[tokio::test]
    async fn a_commit_that_ends_no_transaction_is_no_success_and_its_connection_is_replaced() {
        let (store, mut reader, _folder) = store().await;
        let transaction = store.open_transaction().await.unwrap();
        transaction.execute_unprepared("ROLLBACK").await.unwrap();
        transaction.execute_unprepared("BEGIN").await.unwrap();
        assert!(transaction.commit().await.is_err());
        assert!(store.writer_state.as_ref().unwrap().is_condemned());
        let acknowledged = write(&store).await.unwrap();
        assert!(!store.writer_state.as_ref().unwrap().is_condemned(), "another connection was opened");
        assert_eq!(stored(&mut reader).await, acknowledged);
        store.close().await;
    }

    #[tokio::test]
    async fn a_connection_that_is_in_a_transaction_already_is_replaced() {
        let (store, mut reader, _folder) = store().await;
        store.writer.execute_unprepared("BEGIN").await.unwrap();
        assert!(matches!(write(&store).await, Err(StoreError::Unavailable(_))));
        let acknowledged = write(&store).await.unwrap();
        assert_eq!(stored(&mut reader).await, acknowledged);
        store.close().await;
    }

    #[tokio::test]
    async fn a_statement_that_is_abandoned_stops_and_the_next_transaction_writes() {
        const ENDLESS: &str = "CREATE TABLE endless AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) \
                               SELECT count(*) FROM c";
        let (store, mut reader, _folder) = store().await;
        for _ in 0..3 {
            let transaction = store.open_transaction().await.unwrap();
            let endless = transaction.execute_unprepared(ENDLESS);
            tokio::time::timeout(std::time::Duration::from_millis(50), endless).await.unwrap_err();
            drop(transaction);
        }
        let acknowledged = write(&store).await.unwrap();
        assert_eq!(stored(&mut reader).await, acknowledged);
        store.close().await;
    }
}
