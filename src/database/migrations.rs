//! Migration of the schema, safe when several processes start at once.

use migration::{Migrator, MigratorTraitSelf as _, TolerantMigrator};
use sea_orm::sea_query::Query;
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, Statement};

use super::error::ErrorClass;
use super::transaction::begin;
use crate::repositories::StoreError;

/// Key of the advisory lock on PostgreSQL ("pockettk" in ASCII).
const MIGRATION_LOCK: i64 = 0x706f_636b_6574_746b;

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
    let transaction = begin_with_migration_lock(connection).await?;
    let status = statuses(&transaction).await?;
    migrator(&status).up(&transaction, None).await?;
    transaction.commit().await?;
    for migration in status.iter().filter(|migration| migration.state == MigrationState::Pending) {
        tracing::info!(migration.name, "applied a migration");
    }
    Ok(())
}

/// Rolls back the last `count` applied migrations, or all, with the data that they added.
///
/// Fails if one of them belongs to a newer version.
pub(super) async fn roll_back(connection: &DatabaseConnection, count: Option<u32>) -> Result<(), StoreError> {
    let transaction = begin_with_migration_lock(connection).await?;
    let status = statuses(&transaction).await?;
    migrator(&status).down(&transaction, count).await?;
    Ok(transaction.commit().await?)
}

/// Lists the migrations, those of a newer version last.
pub(super) async fn status(connection: &DatabaseConnection) -> Result<Vec<MigrationStatus>, StoreError> {
    let transaction = begin_with_migration_lock(connection).await?;
    Ok(statuses(&transaction).await?)
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
    // A query of a missing table would end the transaction on PostgreSQL.
    Migrator.install(&transaction).await?;
    Ok(transaction)
}
