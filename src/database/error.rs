//! Classification of database errors: what a client may retry, what an operator must repair, and what is a defect.

use sea_orm::{DbErr, RuntimeErr};

use crate::repositories::StoreError;

/// Meaning of an error of the database for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ErrorClass {
    /// The database is away, overloaded, full, read-only or cannot reach its disk. The same statement may succeed later.
    Unavailable,
    /// The stored data cannot be read: a page or an index is corrupt.
    Damaged,
    /// The statement was wrong, or violated a constraint.
    Defect,
}

impl ErrorClass {
    pub(super) fn of(error: &DbErr) -> Self {
        match error {
            DbErr::ConnectionAcquire(_) | DbErr::Conn(RuntimeErr::Internal(_)) => Self::Unavailable,
            DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause)) => {
                Self::of_sqlx(cause)
            }
            DbErr::Conn(RuntimeErr::SqlxError(cause)) => match Self::of_sqlx(cause) {
                Self::Damaged => Self::Damaged,
                _ => Self::Unavailable,
            },
            _ => Self::Defect,
        }
    }

    /// Returns whether SQLite refused to write over this connection. It opens a file that cannot be written for reading
    /// only, and a connection stays as it was opened.
    pub(super) fn is_read_only(error: &DbErr) -> bool {
        let (DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause))) = error else {
            return false;
        };
        let code = cause.as_database_error().and_then(sqlx::error::DatabaseError::code);
        code.is_some_and(|code| code.len() < 5 && code.parse::<u32>().is_ok_and(|code| code & 0xff == 8))
    }

    fn of_sqlx(cause: &sqlx::Error) -> Self {
        match cause {
            sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => Self::Unavailable,
            sqlx::Error::Database(cause) => cause.code().map_or(Self::Defect, |code| Self::of_code(&code)),
            _ => Self::Defect,
        }
    }

    /// Both engines in one place: a code of SQLite is a decimal number of up to four digits, a SQLSTATE has five
    /// characters.
    fn of_code(code: &str) -> Self {
        match code.parse::<u32>() {
            Ok(number) if code.len() < 5 => Self::of_sqlite(number),
            _ => Self::of_sqlstate(code),
        }
    }

    /// The result codes of SQLite; extended codes keep the primary one in their lowest byte (sqlite.org/rescode.html).
    const fn of_sqlite(code: u32) -> Self {
        match code & 0xff {
            // BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL.
            5 | 6 | 7 | 8 | 9 | 10 | 13 | 14 | 15 => Self::Unavailable,
            // CORRUPT, NOTADB.
            11 | 26 => Self::Damaged,
            _ => Self::Defect,
        }
    }

    /// The error codes of PostgreSQL (its manual, appendix A).
    fn of_sqlstate(code: &str) -> Self {
        match code {
            // data_corrupted, index_corrupted, undefined_file.
            "XX001" | "XX002" | "58P01" => Self::Damaged,
            // serialization_failure, deadlock_detected, lock_not_available, query_canceled.
            "40001" | "40P01" | "55P03" | "57014" => Self::Unavailable,
            // Connection exceptions; transactions that are read-only or were ended; insufficient resources (disk full, out of
            // memory, too many connections); operator intervention (shutting down, starting up); errors of the operating
            // system.
            _ if ["08", "25", "53", "57P", "58"].iter().any(|class| code.starts_with(class)) => Self::Unavailable,
            _ => Self::Defect,
        }
    }
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        match ErrorClass::of(&error) {
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
    fn faults_of_storage_are_unavailable_and_damage_is_told_apart() {
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
            assert_eq!(ErrorClass::of_code(code), class, "{code}");
        }
    }
}
