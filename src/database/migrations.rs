//! Bringing the schema up to date, safely when several processes start at once.

use migration::{Migrator, MigratorTrait};
use sea_orm::sea_query::Query;
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, Statement};

use super::error::ErrorClass;
use super::transaction::begin;
use crate::repositories::StoreError;

/// Names the lock on PostgreSQL; any number that nothing else uses ("pockettk" in ASCII).
const LOCK: i64 = 0x706f_636b_6574_746b;

/// One change of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationStatus {
    /// Its name, which begins with its number.
    pub name: String,
    /// Whether it was made in this database.
    pub applied: bool,
}

/// Makes the changes that are missing, all or none.
pub(super) async fn migrate(connection: &DatabaseConnection) -> Result<(), StoreError> {
    let transaction = begin_with_migration_lock(connection).await?;
    let pending = Migrator::get_pending_migrations(&transaction).await?;
    Migrator::up(&transaction, None).await?;
    transaction.commit().await?;
    for migration in pending {
        tracing::info!(schema.change = migration.name(), "the schema was changed");
    }
    Ok(())
}

/// Takes all changes back.
pub(super) async fn rollback_all(connection: &DatabaseConnection) -> Result<(), StoreError> {
    let transaction = begin_with_migration_lock(connection).await?;
    Migrator::down(&transaction, None).await?;
    Ok(transaction.commit().await?)
}

/// Says which changes were made.
pub(super) async fn status(connection: &DatabaseConnection) -> Result<Vec<MigrationStatus>, StoreError> {
    let transaction = begin_with_migration_lock(connection).await?;
    let pending = Migrator::get_pending_migrations(&transaction).await?;
    let pending: Vec<&str> = pending.iter().map(migration::Migration::name).collect();
    let all = Migrator::get_migration_files();
    let describe = |name: &str| MigrationStatus { name: name.to_owned(), applied: !pending.contains(&name) };
    Ok(all.iter().map(|migration| describe(migration.name())).collect())
}

/// Fails unless every change that this program knows was made. Changes that it does not know are no matter: a newer
/// version of the program made them, which is how one replaces another without a gap.
pub(super) async fn check(connection: &impl ConnectionTrait) -> Result<(), DbErr> {
    let mut applied = Query::select();
    applied.column("version").from(Migrator::migration_table_name());
    let applied = match connection.query_all(&applied).await {
        // Where not even the table of changes is, none was made.
        Err(error) if ErrorClass::of(&error) == ErrorClass::Defect => Vec::new(),
        applied => applied?,
    };
    let applied: Vec<String> = applied.iter().map(|row| row.try_get("", "version")).collect::<Result<_, _>>()?;
    let all = Migrator::get_migration_files();
    match all.iter().find(|migration| !applied.iter().any(|name| name == migration.name())) {
        None => Ok(()),
        Some(missing) => Err(DbErr::Migration(format!("{} is missing; run: pocket-tasks migrate", missing.name()))),
    }
}

/// Opens a transaction that no other process that migrates has open at the same time: on SQLite by writing, on
/// PostgreSQL by an advisory lock, which ends with the transaction.
async fn begin_with_migration_lock(connection: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let transaction = begin(connection).await?;
    if transaction.get_database_backend() == DbBackend::Postgres {
        // No request waits for this. A large table takes long, and a busy machine pauses between two statements.
        transaction.execute_unprepared("SET LOCAL statement_timeout = 0").await?;
        transaction.execute_unprepared("SET LOCAL idle_in_transaction_session_timeout = 0").await?;
        let lock =
            Statement::from_sql_and_values(DbBackend::Postgres, "SELECT pg_advisory_xact_lock($1)", [LOCK.into()]);
        transaction.execute_raw(lock).await?;
    }
    Ok(transaction)
}
