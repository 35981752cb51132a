//! Classification of database errors.

use std::borrow::Cow;

use sea_orm::{DbErr, RuntimeErr};

use crate::repositories::StoreError;

/// Result code of SQLite while another connection holds a lock.
pub(super) const SQLITE_BUSY: u32 = 5;

/// Result code of SQLite for a statement that was interrupted.
pub(super) const SQLITE_INTERRUPT: u32 = 9;

/// Class of a database error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ErrorClass {
    /// The database is away, overloaded, full or read-only. A retry may succeed.
    Unavailable,
    /// Stored data is corrupt.
    Damaged,
    /// The statement was wrong, or violated a constraint.
    Defect,
}

/// Returns the code of a database error: a number on SQLite, a SQLSTATE of five characters on PostgreSQL.
pub(super) fn error_code(error: &DbErr) -> Option<Cow<'_, str>> {
    let (DbErr::Conn(RuntimeErr::SqlxError(cause))
    | DbErr::Exec(RuntimeErr::SqlxError(cause))
    | DbErr::Query(RuntimeErr::SqlxError(cause))) = error
    else {
        return None;
    };
    cause.as_database_error()?.code()
}

/// Returns the primary result code of SQLite, the lowest byte.
pub(super) fn sqlite_code(error: &DbErr) -> Option<u32> {
    let code = error_code(error).filter(|code| code.len() < 5)?;
    Some(code.parse::<u32>().ok()? & 0xff)
}

impl ErrorClass {
    pub(super) fn classify(error: &DbErr) -> Self {
        match error {
            DbErr::ConnectionAcquire(_) | DbErr::Conn(RuntimeErr::Internal(_)) => Self::Unavailable,
            DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause)) => {
                Self::classify_sqlx(cause)
            }
            DbErr::Conn(RuntimeErr::SqlxError(cause)) => match Self::classify_sqlx(cause) {
                Self::Damaged => Self::Damaged,
                _ => Self::Unavailable,
            },
            _ => Self::Defect,
        }
    }

    fn classify_sqlx(cause: &sqlx::Error) -> Self {
        match cause {
            sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => Self::Unavailable,
            sqlx::Error::Database(cause) => cause.code().map_or(Self::Defect, |code| Self::classify_code(&code)),
            _ => Self::Defect,
        }
    }

    /// Classifies a code of SQLite (up to four digits) or a SQLSTATE (five characters).
    fn classify_code(code: &str) -> Self {
        match code.parse::<u32>() {
            Ok(number) if code.len() < 5 => Self::classify_sqlite(number),
            _ => Self::classify_sqlstate(code),
        }
    }

    /// Classifies a result code of SQLite by its primary code, the lowest byte.
    const fn classify_sqlite(code: u32) -> Self {
        match code & 0xff {
            // BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL.
            5 | 6 | 7 | 8 | 9 | 10 | 13 | 14 | 15 => Self::Unavailable,
            // CORRUPT, NOTADB.
            11 | 26 => Self::Damaged,
            _ => Self::Defect,
        }
    }

    /// Classifies an error code of PostgreSQL.
    fn classify_sqlstate(code: &str) -> Self {
        match code {
            // data_corrupted, index_corrupted, undefined_file.
            "XX001" | "XX002" | "58P01" => Self::Damaged,
            // serialization_failure, deadlock_detected, lock_not_available, query_canceled.
            "40001" | "40P01" | "55P03" | "57014" => Self::Unavailable,
            // Connection exceptions, invalid transaction state, insufficient resources, operator intervention, system errors.
            _ if ["08", "25", "53", "57P", "58"].iter().any(|class| code.starts_with(class)) => Self::Unavailable,
            _ => Self::Defect,
        }
    }
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        match ErrorClass::classify(&error) {
            ErrorClass::Unavailable => Self::Unavailable(Box::new(error)),
            ErrorClass::Damaged => Self::Damaged(Box::new(error)),
            ErrorClass::Defect => Self::Internal(Box::new(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_storage_are_unavailable_and_corruption_is_damage() {
        use ErrorClass::{Damaged, Defect, Unavailable};
        for (code, class) in [
            // SQLite: disk full, read-only, moved file, I/O on write and fsync, out of memory, busy snapshot.
            ("13", Unavailable),
            ("8", Unavailable),
            ("1032", Unavailable),
            ("778", Unavailable),
            ("1034", Unavailable),
            ("7", Unavailable),
            ("517", Unavailable),
            ("9", Unavailable),
            ("11", Damaged),
            ("267", Damaged),
            ("26", Damaged),
            // A constraint, and a statement that is wrong.
            ("2067", Defect),
            ("1", Defect),
            // PostgreSQL: disk full, out of memory, too many connections, I/O, read-only, cancelled, shutting down.
            ("53100", Unavailable),
            ("53200", Unavailable),
            ("53300", Unavailable),
            ("58030", Unavailable),
            ("25006", Unavailable),
            ("57014", Unavailable),
            ("57P01", Unavailable),
            ("08006", Unavailable),
            ("XX001", Damaged),
            ("XX002", Damaged),
            ("23505", Defect),
            ("25P02", Unavailable),
            ("42601", Defect),
        ] {
            assert_eq!(ErrorClass::classify_code(code), class, "{code}");
        }
    }
}
