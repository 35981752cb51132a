//! Free pages of a SQLite file, which are returned to the file system in portions.
//!
//! SQLite keeps the pages of removed rows for new ones. After a large removal that is more than it will need soon.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

/// Pages of 4 KiB in a portion, as in [`RELEASE`].
const PORTION: i64 = 500;

const RELEASE: &str = "PRAGMA incremental_vacuum(500)";

const COUNT: &str = "SELECT auto_vacuum, freelist_count, page_count \
                     FROM pragma_auto_vacuum, pragma_freelist_count, pragma_page_count";

/// Mode of files whose free pages can be released. Others were created by an earlier version.
const INCREMENTAL: i64 = 2;

/// Divisor of the pages of the file, for the number that stays free for new rows.
const KEPT_DIVISOR: i64 = 10;

/// Releases a portion of the pages of a SQLite file beyond those that are kept. Returns whether more are left.
pub(super) async fn release_portion(transaction: &impl ConnectionTrait) -> Result<bool, DbErr> {
    let backend = transaction.get_database_backend();
    if backend != DbBackend::Sqlite {
        return Ok(false);
    }
    let Some(row) = transaction.query_one_raw(Statement::from_string(backend, COUNT)).await? else { return Ok(false) };
    let (mode, free, all): (i64, i64, i64) =
        (row.try_get_by_index(0)?, row.try_get_by_index(1)?, row.try_get_by_index(2)?);
    let excess = free - all / KEPT_DIVISOR;
    if mode != INCREMENTAL || excess <= 0 {
        return Ok(false);
    }
    // Each of its rows stands for a page, which is released when the row is read.
    transaction.query_all_raw(Statement::from_string(backend, RELEASE)).await?;
    Ok(excess > PORTION)
}
