//! A connection of SeaORM to SQLite, for migrations.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use sea_orm::{DatabaseConnection, DbBackend, DbErr, ProxyDatabaseTrait, ProxyExecResult, ProxyRow, Statement};

use super::errors::connection_error;
use super::rows;

/// Access of a connection to a file that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::database) enum Access {
    ReadOnly,
    ReadWrite,
}

/// Opens a connection whose statements block the thread.
///
/// Transactions are begun and ended by statements: SeaORM ignores the failures of those of a proxy.
pub(in crate::database) async fn connect(
    path: &Path,
    access: Access,
    busy_timeout: Duration,
) -> Result<DatabaseConnection, DbErr> {
    let connection = open(path, access, busy_timeout).map_err(connection_error)?;
    let proxied = ProxiedConnection(Mutex::new(connection));
    sea_orm::Database::connect_proxy(DbBackend::Sqlite, Arc::new(Box::new(proxied))).await
}

/// Opens a connection.
pub(in crate::database) fn open(path: &Path, access: Access, busy_timeout: Duration) -> rusqlite::Result<Connection> {
    let flags = match access {
        Access::ReadOnly => OpenFlags::SQLITE_OPEN_READ_ONLY,
        Access::ReadWrite => OpenFlags::SQLITE_OPEN_READ_WRITE,
    };
    // Without SQLite's own lock: a connection is used by one thread at a time.
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(busy_timeout)?;
    // Otherwise SQLite plans a statement again with each new value, in case another plan is better for it. That takes
    // longer than most statements.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Acknowledged writes survive a power cut, not only a crash of the process.
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

#[derive(Debug)]
struct ProxiedConnection(Mutex<Connection>);

#[async_trait]
impl ProxyDatabaseTrait for ProxiedConnection {
    async fn query(&self, statement: Statement) -> Result<Vec<ProxyRow>, DbErr> {
        rows::query(&self.0.lock().unwrap_or_else(PoisonError::into_inner), &statement)
    }

    async fn execute(&self, statement: Statement) -> Result<ProxyExecResult, DbErr> {
        rows::execute(&self.0.lock().unwrap_or_else(PoisonError::into_inner), &statement)
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    /// Runs a statement with several values, and returns how often it was planned again.
    fn replans(connection: &Connection) -> i32 {
        let mut statement = connection.prepare("SELECT id FROM numbers WHERE kind = ?1 AND id > ?2").unwrap();
        for value in 0..5 {
            statement.query_map([value, value * 10], |row| row.get::<_, i64>(0)).unwrap().for_each(drop);
        }
        statement.get_status(StatementStatus::RePrepare)
    }

    #[test]
    fn a_statement_keeps_its_plan_when_its_values_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plans.db");
        let plain = Connection::open(&path).unwrap();
        plain
            .execute_batch(
                "CREATE TABLE numbers (id INTEGER PRIMARY KEY, kind INTEGER); CREATE INDEX by_kind ON numbers (kind);
                 WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1000)
                 INSERT INTO numbers SELECT x, x % 7 FROM n; ANALYZE",
            )
            .unwrap();
        assert!(replans(&plain) > 0, "SQLite no longer plans again");
        let connection = open(&path, Access::ReadOnly, Duration::ZERO).unwrap();
        assert_eq!(replans(&connection), 0);
    }
}
