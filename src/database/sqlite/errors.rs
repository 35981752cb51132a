//! Errors of `rusqlite` as those of SeaORM.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Display};
use std::sync::Arc;

use sea_orm::{DbErr, RuntimeErr};
use sqlx::error::{DatabaseError, ErrorKind};

/// Failure that SQLite reported, with its code, as the driver of SeaORM reports it.
#[derive(Debug)]
struct SqliteFailure {
    code: i32,
    message: String,
}

impl Display for SqliteFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(code: {}) {}", self.code, self.message)
    }
}

impl Error for SqliteFailure {}

impl DatabaseError for SqliteFailure {
    fn message(&self) -> &str {
        &self.message
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        Some(self.code.to_string().into())
    }

    fn as_error(&self) -> &(dyn Error + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn Error + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn Error + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

/// Converts the error of a query.
pub(super) fn query_error(error: rusqlite::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(driver_error(error))))
}

/// Converts the error of opening a connection.
pub(super) fn connection_error(error: rusqlite::Error) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(Arc::new(driver_error(error))))
}

/// Converts an error to one of the driver of SeaORM.
pub(super) fn driver_error(error: rusqlite::Error) -> sqlx::Error {
    match error {
        rusqlite::Error::SqliteFailure(failure, message) => {
            let message = message.unwrap_or_else(|| failure.to_string());
            sqlx::Error::Database(Box::new(SqliteFailure { code: failure.extended_code, message }))
        }
        other => sqlx::Error::Decode(Box::new(other)),
    }
}
