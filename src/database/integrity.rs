//! Check of a SQLite file for damage.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

/// Checks pages, indexes and constraints. The result is one row `ok`, or one row per problem.
const INTEGRITY_CHECK: &str = "PRAGMA integrity_check";

/// Checks references between tables. The result is one row per problem.
const FOREIGN_KEY_CHECK: &str = "PRAGMA foreign_key_check";

/// Returns the problems of a SQLite file, at most 100 of each kind.
pub(super) async fn sqlite_problems(connection: &impl ConnectionTrait) -> Result<Vec<String>, DbErr> {
    let statement = |sql: &str| Statement::from_string(DbBackend::Sqlite, sql);
    let mut problems = Vec::new();
    for row in connection.query_all_raw(statement(INTEGRITY_CHECK)).await? {
        let line: String = row.try_get_by_index(0)?;
        if line != "ok" {
            problems.push(line);
        }
    }
    for row in connection.query_all_raw(statement(FOREIGN_KEY_CHECK)).await?.iter().take(100) {
        let (table, parent): (String, String) = (row.try_get_by_index(0)?, row.try_get_by_index(2)?);
        problems.push(format!("a row of {table} refers to a missing row of {parent}"));
    }
    Ok(problems)
}
