//! The epoch of the event feed, to which every cursor is bound.
//!
//! A database that was restored, or copied while the original went on, assigns sequence numbers again. A cursor from
//! before would silently skip events, so the epoch is renewed: the cursor is refused, and its client lists everything.
//! A copy of a SQLite database is noticed because its file is not the one that was served last. A backup is marked,
//! because it may be copied over that file, or have the schema of an earlier version, which does not record the file.

use std::io;
use std::path::Path;
use std::time::UNIX_EPOCH;

use sea_orm::sea_query::Expr;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, EntityTrait as _, Statement};

use super::entities::event_sequence::{Column, Entity};
use super::mapping;
use super::store::SeaStore;
use crate::contract::ids::new_uuid;
use crate::repositories::StoreError;

/// Marks a database as a copy, in the header of its file: an earlier schema has no column for it.
const MARK: &str = "PRAGMA user_version = 1";

const REMOVE_MARK: &str = "PRAGMA user_version = 0";

const FIND_MARK: &str = "PRAGMA user_version";

/// Renews the epoch. The next file that is served is not a copy.
pub(super) async fn renew(connection: &impl ConnectionTrait) -> Result<(), DbErr> {
    set_file_id(connection, None, true).await
}

/// Marks a database as a copy, which renews the epoch when it is first served, however it gets to its place.
pub(super) async fn mark_copy(connection: &impl ConnectionTrait) -> Result<(), DbErr> {
    connection.execute_raw(Statement::from_string(DbBackend::Sqlite, MARK)).await?;
    Ok(())
}

async fn is_marked(connection: &impl ConnectionTrait) -> Result<bool, DbErr> {
    let row = connection.query_one_raw(Statement::from_string(DbBackend::Sqlite, FIND_MARK)).await?;
    let mark: Option<i64> = row.map(|row| row.try_get_by_index(0)).transpose()?;
    Ok(mark == Some(1))
}

async fn set_file_id(
    connection: &impl ConnectionTrait,
    file_id: Option<String>,
    is_renewed: bool,
) -> Result<(), DbErr> {
    let mut update = Entity::update_many().col_expr(Column::FileId, Expr::value(file_id));
    if is_renewed {
        update = update.col_expr(Column::Epoch, Expr::value(new_uuid()));
    }
    update.exec(connection).await?;
    if is_renewed && connection.get_database_backend() == DbBackend::Sqlite {
        connection.execute_raw(Statement::from_string(DbBackend::Sqlite, REMOVE_MARK)).await?;
    }
    Ok(())
}

/// Identifies a file: by its inode, and by the time of its creation where the file system stores it.
///
/// Not by its device and path, which differ when a volume is mounted again.
fn file_id(path: &Path) -> io::Result<String> {
    let metadata = std::fs::metadata(path)?;
    let created_at = metadata.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let created_at = created_at.map_or(0, |since| since.as_nanos());
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let inode = 0_u64;
    Ok(format!("{inode}-{created_at}"))
}

impl SeaStore {
    /// Renews the epoch of the feed, which invalidates all cursors.
    pub async fn renew_feed_epoch(&self) -> Result<(), StoreError> {
        let transaction = self.open_transaction().await?;
        renew(&transaction).await?;
        Ok(transaction.commit().await?)
    }

    /// Renews the epoch of the feed if the database is a copy: if its file is not the one that was served last.
    pub async fn renew_feed_epoch_of_copy(&self) -> Result<(), StoreError> {
        let Some(path) = self.health.database_path() else { return Ok(()) };
        let file_id = file_id(path).map_err(|error| StoreError::Unavailable(Box::new(error)))?;
        let reader = &self.reader.0;
        if last_file_id(reader).await?.as_ref() == Some(&file_id) && !is_marked(reader).await? {
            return Ok(());
        }
        let transaction = self.open_transaction().await?;
        // Again, because another process may have started at the same time.
        let last = last_file_id(&transaction).await?;
        let is_other_file = last.as_ref().is_some_and(|last| *last != file_id);
        let is_copy = is_other_file || is_marked(&transaction).await?;
        set_file_id(&transaction, Some(file_id), is_copy).await?;
        transaction.commit().await?;
        if is_copy {
            tracing::warn!(
                "the database is a copy; clients must list everything again, because their cursors are invalid"
            );
        }
        Ok(())
    }
}

async fn last_file_id(connection: &impl ConnectionTrait) -> Result<Option<String>, StoreError> {
    let row = Entity::find_by_id(1).one(connection).await?;
    Ok(row.ok_or_else(|| mapping::corrupt("event_sequence"))?.file_id)
}
