//! Migration of the schema, safe when several processes start at once.

use migration::{Migrator, MigratorTrait};
use sea_orm::sea_query::Query;
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, Statement};

use super::error::ErrorClass;
use super::transaction::begin;
use crate::repositories::StoreError;

/// Key of the advisory lock on PostgreSQL ("pockettk" in ASCII).
const MIGRATION_LOCK: i64 = 0x706f_636b_6574_746b;

/// Status of a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationStatus {
    /// Name of the migration, which begins with its number.
    pub name: String,
    /// True if it was applied to this database.
    pub applied: bool,
}

/// Applies the pending migrations, all or none.
pub(super) async fn migrate(connection: &DatabaseConnection) -> Result<(), StoreError> {
    let transaction = begin_with_migration_lock(connection).await?;
    let pending = Migrator::get_pending_migrations(&transaction).await?;
    Migrator::up(&transaction, None).await?;
    transaction.commit().await?;
    for migration in pending {
        tracing::info!(migration.name = migration.name(), "applied a migration");
    }
    Ok(())
}

/// Rolls back all migrations.
pub(super) async fn rollback_all(connection: &DatabaseConnection) -> Result<(), StoreError> {
    let transaction = begin_with_migration_lock(connection).await?;
    Migrator::down(&transaction, None).await?;
    Ok(transaction.commit().await?)
}

/// Lists the migrations, each with whether it is applied.
pub(super) async fn status(connection: &DatabaseConnection) -> Result<Vec<MigrationStatus>, StoreError> {
    let transaction = begin_with_migration_lock(connection).await?;
    let pending = Migrator::get_pending_migrations(&transaction).await?;
    let pending: Vec<&str> = pending.iter().map(migration::Migration::name).collect();
    let all = Migrator::get_migration_files();
    let describe = |name: &str| MigrationStatus { name: name.to_owned(), applied: !pending.contains(&name) };
    Ok(all.iter().map(|migration| describe(migration.name())).collect())
}

/// Fails unless all known migrations are applied; a newer version may have more.
pub(super) async fn check(connection: &impl ConnectionTrait) -> Result<(), DbErr> {
    let mut applied = Query::select();
    applied.column("version").from(Migrator::migration_table_name());
    let applied = match connection.query_all(&applied).await {
        // Without the table of migrations, none is applied.
        Err(error) if ErrorClass::classify(&error) == ErrorClass::Defect => Vec::new(),
        applied => applied?,
    };
    let applied: Vec<String> = applied.iter().map(|row| row.try_get("", "version")).collect::<Result<_, _>>()?;
    let all = Migrator::get_migration_files();
    match all.iter().find(|migration| !applied.iter().any(|name| name == migration.name())) {
        None => Ok(()),
        Some(missing) => Err(DbErr::Migration(format!("{} is missing; run: pocket-tasks migrate", missing.name()))),
    }
}

/// Opens a transaction that excludes other migrating processes.
async fn begin_with_migration_lock(connection: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let transaction = begin(connection).await?;
    if transaction.get_database_backend() == DbBackend::Postgres {
        // No request waits for a migration, which may take long.
        transaction.execute_unprepared("SET LOCAL statement_timeout = 0").await?;
        transaction.execute_unprepared("SET LOCAL idle_in_transaction_session_timeout = 0").await?;
        let lock = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT pg_advisory_xact_lock($1)",
            [MIGRATION_LOCK.into()],
        );
        transaction.execute_raw(lock).await?;
    }
    Ok(transaction)
}
