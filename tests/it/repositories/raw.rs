//! Direct SQL access to the database, as an operator has.

use std::path::Path;

use pocket_tasks::contract::account::user::User;
use pocket_tasks::contract::project::Project;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions as _, Connection as _, Executor as _, PgConnection, Row as _,
    SqliteConnection,
};
use uuid::Uuid;

use crate::support::TestDatabase;

/// Separate connection.
pub(crate) enum Raw {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Raw {
    pub(crate) async fn connect(database: &TestDatabase) -> Self {
        if database.is_postgres() {
            Self::Postgres(PgConnection::connect(&database.url).await.unwrap())
        } else {
            Self::Sqlite(SqliteConnection::connect(&database.url).await.unwrap())
        }
    }

    /// Opens a SQLite file, which it creates if necessary.
    pub(crate) async fn open(file: &Path) -> Self {
        let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
        Self::Sqlite(options.connect().await.unwrap())
    }

    /// Runs statements, or returns the error.
    pub(crate) async fn try_execute(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(connection) => connection.execute(sql).await.map(drop),
            Self::Postgres(connection) => connection.execute(sql).await.map(drop),
        }
    }

    pub(crate) async fn execute(&mut self, sql: &str) {
        self.try_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Text column of all rows.
    pub(crate) async fn texts(&mut self, sql: &str, column: &str) -> Vec<String> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(connection) => {
                let rows = connection.fetch_all(sql).await.unwrap();
                rows.iter().map(|row| row.get(column)).collect()
            }
            Self::Postgres(connection) => {
                let rows = connection.fetch_all(sql).await.unwrap();
                // The only column of EXPLAIN has a name of its own.
                rows.iter().map(|row| row.get(row.columns().first().map_or(column, |only| only.name()))).collect()
            }
        }
    }

    /// Id as an SQL literal.
    pub(crate) fn id(&self, id: Uuid) -> String {
        match self {
            Self::Sqlite(_) => format!("x'{}'", id.simple()),
            Self::Postgres(_) => format!("'{id}'"),
        }
    }

    /// Adds a user to a project.
    pub(crate) async fn add_member(&mut self, project: &Project, user: &User, role: &str) {
        let (project, user) = (self.id(project.id.0), self.id(user.id.0));
        self.execute(&format!(
            "INSERT INTO members (project_id, user_id, role, joined_at) VALUES ({project}, {user}, '{role}', 7)"
        ))
        .await;
    }
}
