//! Migration of the schema, safe when several processes start at once.

use std::time::Duration;

use migration::{Migrator, MigratorTraitSelf as _, TolerantMigrator};
use sea_orm::sea_query::Query;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseExecutor, DatabaseTransaction, DbBackend, DbErr, Statement,
};
use tokio::time::{Instant, sleep};

use super::error::{ErrorClass, error_code};
use super::transaction::begin;
use crate::repositories::StoreError;

/// Key of the advisory lock on PostgreSQL ("pockettk" in ASCII).
const MIGRATION_LOCK: i64 = 0x706f_636b_6574_746b;

/// Statement that limits each wait for a lock on PostgreSQL, because requests queue up behind it.
///
/// The limit is below `deadlock_timeout`, which is 1 s by default. So in a deadlock with a request, the migration is the
/// first to be cancelled.
const SET_LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '500ms'";

/// Pause before the next attempt, in which running servers complete the requests that have queued up.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Time after which no further attempt begins.
const MAX_RETRY_TIME: Duration = Duration::from_mins(1);

/// Change of the schema.
#[derive(Clone, Copy)]
enum SchemaChange {
    Up,
    /// The last migrations, or all.
    Down(Option<u32>),
}

/// State of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MigrationState {
    /// Not applied to this database.
    Pending,
    /// Applied to this database.
    Applied,
    /// Applied to this database by a newer version, and unknown to this one.
    Newer,
}

/// Status of a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationStatus {
    /// Name of the migration, which begins with its number.
    pub name: String,
    /// State of the migration.
    pub state: MigrationState,
}

/// Applies the pending migrations, all or none. Migrations of a newer version are left as they are.
pub(super) async fn migrate(connection: &DatabaseConnection) -> Result<(), StoreError> {
    let status = run(connection, SchemaChange::Up).await?;
    for migration in status.iter().filter(|migration| migration.state == MigrationState::Pending) {
        tracing::info!(migration.name, "applied a migration");
    }
    Ok(())
}

/// Rolls back the last `count` applied migrations, or all, with the data that they added.
///
/// Fails if one of them belongs to a newer version.
pub(super) async fn roll_back(connection: &DatabaseConnection, count: Option<u32>) -> Result<(), StoreError> {
    run(connection, SchemaChange::Down(count)).await?;
    Ok(())
}

/// Runs migrations, and returns the status before. Starts again while running servers hold locks that it needs.
async fn run(connection: &DatabaseConnection, change: SchemaChange) -> Result<Vec<MigrationStatus>, DbErr> {
    let begun = Instant::now();
    let mut is_reported = false;
    loop {
        match attempt(connection, change).await {
            Err(error) if is_lock_conflict(&error) && begun.elapsed() < MAX_RETRY_TIME => {
                if !is_reported {
                    let timeout_seconds = MAX_RETRY_TIME.as_secs();
                    tracing::warn!(%error, timeout_seconds, "waiting for locks of running servers, to migrate");
                }
                is_reported = true;
            }
            result => return result,
        }
        sleep(RETRY_DELAY).await;
    }
}

/// Runs migrations in one transaction, and returns the status before.
async fn attempt(connection: &DatabaseConnection, change: SchemaChange) -> Result<Vec<MigrationStatus>, DbErr> {
    let transaction = MigrationTransaction::begin(connection).await?;
    let changed = apply(transaction.connection(), change).await;
    let ended = transaction.end(changed.is_ok()).await;
    // The cause of a failure comes first: SQLite may have rolled back by itself.
    let status = changed?;
    ended?;
    Ok(status)
}

async fn apply(transaction: DatabaseExecutor<'_>, change: SchemaChange) -> Result<Vec<MigrationStatus>, DbErr> {
    if transaction.get_database_backend() == DbBackend::Postgres {
        // After the wait for other migrating processes, which may take longer.
        transaction.execute_unprepared(SET_LOCK_TIMEOUT).await?;
    }
    let status = statuses(&transaction).await?;
    match change {
        SchemaChange::Up => migrator(&status).up(transaction, None).await?,
        SchemaChange::Down(count) => migrator(&status).down(transaction, count).await?,
    }
    Ok(status)
}

/// Returns whether another transaction held a lock for too long, or there was a deadlock with it.
fn is_lock_conflict(error: &DbErr) -> bool {
    // lock_not_available, deadlock_detected.
    error_code(error).is_some_and(|code| matches!(&*code, "55P03" | "40P01"))
}

/// Lists the migrations, those of a newer version last.
pub(super) async fn status(connection: &DatabaseConnection) -> Result<Vec<MigrationStatus>, StoreError> {
    let transaction = MigrationTransaction::begin(connection).await?;
    let status = statuses(&transaction.connection()).await;
    let ended = transaction.end(false).await;
    let status = status?;
    ended?;
    Ok(status)
}

/// Fails unless all known migrations are applied. Returns the names of those of a newer version.
pub(super) async fn check(connection: &impl ConnectionTrait) -> Result<Vec<String>, DbErr> {
    let status = statuses(connection).await?;
    match status.iter().find(|migration| migration.state == MigrationState::Pending) {
        None => Ok(migrator(&status).newer),
        Some(missing) => Err(DbErr::Migration(format!("{} is missing; run: pocket-tasks migrate", missing.name))),
    }
}

/// Compares the known migrations with the applied ones, and changes nothing.
pub(super) async fn statuses(connection: &impl ConnectionTrait) -> Result<Vec<MigrationStatus>, DbErr> {
    let applied = applied(connection).await?;
    let known = Migrator.get_migration_files();
    let known: Vec<&str> = known.iter().map(migration::Migration::name).collect();
    let of_this_version = known.iter().map(|name| {
        let is_applied = applied.iter().any(|applied| applied == name);
        let state = if is_applied { MigrationState::Applied } else { MigrationState::Pending };
        MigrationStatus { name: (*name).to_owned(), state }
    });
    let newer = applied.iter().filter(|name| !known.contains(&name.as_str()));
    let newer = newer.map(|name| MigrationStatus { name: name.clone(), state: MigrationState::Newer });
    Ok(of_this_version.chain(newer).collect())
}

/// Lists the names of the applied migrations.
async fn applied(connection: &impl ConnectionTrait) -> Result<Vec<String>, DbErr> {
    let mut applied = Query::select();
    applied.column("version").from(Migrator.migration_table_name());
    let rows = match connection.query_all(&applied).await {
        // Without the table of migrations, none is applied.
        Err(error) if ErrorClass::classify(&error) == ErrorClass::Defect => Vec::new(),
        rows => rows?,
    };
    rows.iter().map(|row| row.try_get("", "version")).collect()
}

fn migrator(status: &[MigrationStatus]) -> TolerantMigrator {
    let newer = status.iter().filter(|migration| migration.state == MigrationState::Newer);
    TolerantMigrator { newer: newer.map(|migration| migration.name.clone()).collect() }
}

/// A transaction that excludes other migrating processes.
enum MigrationTransaction<'a> {
    /// On a connection of its own, which is closed after a failure.
    Sqlite(&'a DatabaseConnection),
    Postgres(DatabaseTransaction),
}

impl<'a> MigrationTransaction<'a> {
    async fn begin(connection: &'a DatabaseConnection) -> Result<Self, DbErr> {
        let transaction = if connection.get_database_backend() == DbBackend::Postgres {
            let transaction = begin(connection).await?;
            // No request waits for a migration, which may take long.
            transaction.execute_unprepared("SET LOCAL statement_timeout = 0").await?;
            // The table of migrations exists, as a rule: a notice about that is no news.
            transaction.execute_unprepared("SET LOCAL client_min_messages = warning").await?;
            transaction.execute_unprepared("SET LOCAL idle_in_transaction_session_timeout = 0").await?;
            let lock = Statement::from_sql_and_values(
                DbBackend::Postgres,
                "SELECT pg_advisory_xact_lock($1)",
                [MIGRATION_LOCK.into()],
            );
            transaction.execute_raw(lock).await?;
            Self::Postgres(transaction)
        } else {
            // With the write lock, because a transaction that has read cannot wait for it.
            connection.execute_unprepared("BEGIN IMMEDIATE").await?;
            Self::Sqlite(connection)
        };
        // A query of a missing table would end the transaction on PostgreSQL.
        Migrator.install(&transaction.connection()).await?;
        Ok(transaction)
    }

    fn connection(&self) -> DatabaseExecutor<'_> {
        match self {
            Self::Sqlite(connection) => DatabaseExecutor::Connection(connection),
            Self::Postgres(transaction) => DatabaseExecutor::Transaction(transaction),
        }
    }

    /// Commits or rolls back.
    async fn end(self, is_kept: bool) -> Result<(), DbErr> {
        match (self, is_kept) {
            (Self::Sqlite(connection), true) => connection.execute_unprepared("COMMIT").await.map(drop),
            (Self::Sqlite(connection), false) => connection.execute_unprepared("ROLLBACK").await.map(drop),
            (Self::Postgres(transaction), true) => transaction.commit().await,
            (Self::Postgres(transaction), false) => transaction.rollback().await,
        }
    }
}
