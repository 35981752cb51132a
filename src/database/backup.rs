//! Backup and restore of an embedded database. Files are complete before they are moved to their path.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::ErrorCode;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, DbErr, Statement};
use tempfile::NamedTempFile;
use tokio::task::spawn_blocking;

use super::connect::{self, BUSY_TIMEOUT};
use super::feed_epoch;
use super::file_lock::{FileLock, beside, folder};
use super::migrations::{self, MigrationState};
use super::sqlite::{self, Access};
use crate::repositories::StoreError;

/// Bytes that a backup writes between two pauses.
const PACE_BYTES: u64 = 1024 * 1024;

/// Maximum duration of a pause.
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// Instructions of SQLite after which the pace is checked.
const PACE_INTERVAL: i32 = 1_000;

/// Files that SQLite keeps beside a database.
const LOG_SUFFIXES: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Suffix of such a file while its database is replaced.
const ASIDE_SUFFIX: &str = ".before-restore";

/// Reason why a backup was not written or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file does not exist.
    #[error("{0} does not exist")]
    Missing(PathBuf),
    /// The file exists and must not be replaced.
    #[error("{0} exists; add --force to replace it")]
    Exists(PathBuf),
    /// The file is the log of a database that was moved away, and must not be removed.
    #[error("{0} has the last changes of a database that was moved away; move it along, or add --force to remove it")]
    LogExists(PathBuf),
    /// The file is a database in use, or needs recovery.
    #[error("{0} is in use, or was not closed properly; stop the server and its workers first")]
    InUse(PathBuf),
    /// The file is no intact database of this program.
    #[error("{0} is not a Pocket Tasks database: {1}")]
    NotADatabase(PathBuf, String),
    /// The database belongs to a newer version.
    #[error("{0} has migrations of a newer version ({1}); restore it with that version")]
    Newer(PathBuf, String),
    /// A file could not be read or written.
    #[error("{0}: {1}")]
    Io(PathBuf, #[source] io::Error),
    /// The database reported an error.
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
    /// The database reported an error.
    #[error(transparent)]
    Store(#[from] StoreError),
}

type Result<T> = std::result::Result<T, BackupError>;

/// Writes a consistent copy of a database that may be in use, and returns its size.
///
/// It takes as long as it needs not to disturb others: it writes a little, then pauses for the same time.
pub async fn back_up(database: &Path, file: &Path, replace: bool) -> Result<u64> {
    if !database.exists() {
        return Err(BackupError::Missing(database.to_owned()));
    }
    // Replace the target of a symbolic link, not the link.
    let file = &file.canonicalize().unwrap_or_else(|_| file.to_owned());
    ensure_vacant(file, replace)?;
    // SQLite would apply a log beside the file to the backup. This also protects the database itself.
    if beside(file, "-wal").exists() || is_same(database, file) {
        return Err(BackupError::InUse(file.to_owned()));
    }
    let temporary = new_temporary(file)?;
    let pace = temporary.reopen().map_err(|error| BackupError::Io(temporary.path().to_owned(), error))?;
    copy(database, temporary.path(), Some(Pace::new(pace))).await?;
    let backup = open(temporary.path(), Access::ReadWrite).await.map_err(StoreError::from)?;
    feed_epoch::mark_copy(&backup).await.map_err(StoreError::from)?;
    backup.close().await.map_err(StoreError::from)?;
    temporary.as_file().sync_all().map_err(|error| BackupError::Io(file.clone(), error))?;
    publish(temporary, file, replace)?;
    sync_folder(file)?;
    Ok(std::fs::metadata(file).map_or(0, |metadata| metadata.len()))
}

/// Replaces a database by a backup, and renews the epoch of its feed. A crash leaves the old or the new one.
///
/// The schema is migrated. Fails while another process uses the database.
pub async fn restore(database: &Path, backup: &Path, replace: bool) -> Result<()> {
    if !backup.exists() {
        return Err(BackupError::Missing(backup.to_owned()));
    }
    connect::create_parent_dir(database)?;
    // Replace the target of a symbolic link, not the link.
    let database = &database.canonicalize().unwrap_or_else(|_| database.to_owned());
    ensure_vacant(database, replace)?;
    // The log of a database that was moved away may have its last commits.
    let mut logs = ["-wal", "-journal"].map(|suffix| beside(database, suffix)).into_iter();
    if let Some(log) = logs.find(|log| !replace && log.metadata().is_ok_and(|metadata| metadata.len() > 0)) {
        return Err(BackupError::LogExists(log));
    }
    let in_use = || BackupError::InUse(database.clone());
    if is_same(database, backup) {
        return Err(in_use());
    }
    let failed = |error| BackupError::Io(database.clone(), error);
    // Held to the end, so that no server or worker starts.
    let lock = FileLock::try_hold(database).map_err(failed)?;
    let _lock = lock.ok_or_else(in_use)?;
    ensure_unused(database).await?;
    verify(backup).await?;
    let temporary = new_temporary(database)?;
    copy(backup, temporary.path(), None).await?;
    let new = open(temporary.path(), Access::ReadWrite).await.map_err(StoreError::from)?;
    migrations::migrate(&new).await?;
    feed_epoch::renew(&new).await.map_err(StoreError::from)?;
    new.close().await.map_err(StoreError::from)?;
    #[cfg(unix)]
    super::file_lock::assign_owner(temporary.as_file(), database).map_err(failed)?;
    temporary.as_file().sync_all().map_err(failed)?;
    // Again, because a process without a lock, such as another command, may have written in the meantime.
    ensure_unused(database).await?;
    replace_database(temporary, database, replace)
}

/// Moves a complete database to its path.
///
/// SQLite would apply the logs of the old database to the new one, so they are moved aside before. They are removed at
/// the end, or moved back after a failure.
fn replace_database(temporary: NamedTempFile, database: &Path, replace: bool) -> Result<()> {
    let mut moved = Vec::new();
    let placed = move_logs_aside(database, &mut moved).and_then(|()| publish(temporary, database, replace));
    if let Err(error) = placed {
        for (log, aside) in moved {
            if let Err(error) = std::fs::rename(&aside, &log) {
                tracing::warn!(%error, file = %aside.display(), "failed to move the log of the database back");
            }
        }
        return Err(error);
    }
    sync_folder(database)?;
    for (_, aside) in moved {
        std::fs::remove_file(&aside).map_err(|error| BackupError::Io(aside, error))?;
    }
    Ok(())
}

/// Renames the logs of a database, and adds their old and new paths to `moved`.
fn move_logs_aside(database: &Path, moved: &mut Vec<(PathBuf, PathBuf)>) -> Result<()> {
    let logs = LOG_SUFFIXES.map(|suffix| beside(database, suffix));
    for log in logs.into_iter().filter(|log| log.exists()) {
        let aside = beside(&log, ASIDE_SUFFIX);
        std::fs::rename(&log, &aside).map_err(|error| BackupError::Io(log.clone(), error))?;
        moved.push((log, aside));
    }
    Ok(())
}

/// Refuses a file that is no intact database with a schema that this version knows.
async fn verify(backup: &Path) -> Result<()> {
    let refuse = |reason: &dyn ToString| BackupError::NotADatabase(backup.to_owned(), reason.to_string());
    let connection = open(backup, Access::ReadOnly).await.map_err(|error| refuse(&error))?;
    let check = Statement::from_string(DbBackend::Sqlite, "PRAGMA integrity_check(1)");
    let report = connection.query_one_raw(check).await.map_err(|error| refuse(&error))?;
    let report: Option<String> = report.and_then(|row| row.try_get_by_index(0).ok());
    if report.as_deref() != Some("ok") {
        return Err(refuse(&report.unwrap_or_default()));
    }
    let migrations = migrations::statuses(&connection).await.map_err(|error| refuse(&error))?;
    if migrations.first().is_none_or(|first| first.state != MigrationState::Applied) {
        return Err(refuse(&"its schema is another one"));
    }
    let newer = migrations.iter().filter(|migration| migration.state == MigrationState::Newer);
    let newer: Vec<&str> = newer.map(|migration| &*migration.name).collect();
    connection.close().await.map_err(StoreError::from)?;
    if newer.is_empty() { Ok(()) } else { Err(BackupError::Newer(backup.to_owned(), newer.join(", "))) }
}

/// Copies a database as of one moment, compacted, to an empty file.
async fn copy(database: &Path, to: &Path, pace: Option<Pace>) -> Result<()> {
    let path = to.to_str().ok_or_else(|| BackupError::Io(to.to_owned(), io::ErrorKind::InvalidFilename.into()))?;
    let (database, path) = (database.to_owned(), path.to_owned());
    let copied = spawn_blocking(move || {
        let connection = sqlite::open(&database, Access::ReadOnly, BUSY_TIMEOUT)?;
        let auto_vacuum: i64 = connection.pragma_query_value(None, "auto_vacuum", |row| row.get(0))?;
        if auto_vacuum == 0 {
            // The copy gets that of new databases. Where it is set, SQLite would write it to the original.
            connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        }
        if let Some(mut pace) = pace {
            let keep = move || {
                pace.keep();
                // True would interrupt.
                false
            };
            connection.progress_handler(PACE_INTERVAL, Some(keep))?;
        }
        connection.execute("VACUUM INTO ?", [path])?;
        Ok(())
    });
    copied.await.map_err(|error| StoreError::Internal(Box::new(error)))?
}

/// Refuses a database that another process has open, and moves the log of others into their file.
///
/// SQLite changes the journal mode only for the last connection.
async fn ensure_unused(database: &Path) -> Result<()> {
    if !database.exists() {
        return Ok(());
    }
    let path = database.to_owned();
    let checked = spawn_blocking(move || {
        let connection = sqlite::open(&path, Access::ReadWrite, Duration::from_secs(1))?;
        connection.pragma_update(None, "journal_mode", "DELETE")
    });
    let checked = checked.await.map_err(|error| StoreError::Internal(Box::new(error)))?;
    match checked.as_ref().map_err(rusqlite::Error::sqlite_error_code) {
        Ok(()) => Ok(()),
        Err(Some(ErrorCode::DatabaseBusy)) => Err(BackupError::InUse(database.to_owned())),
        // A damaged database may be replaced.
        Err(Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)) => {
            tracing::warn!("the database that is replaced is damaged");
            Ok(())
        }
        Err(_) => Ok(checked?),
    }
}

/// Creates an empty file beside another one, readable by its owner only. It is removed unless it is published.
fn new_temporary(beside: &Path) -> Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    let file = builder.prefix(".pocket-tasks-").suffix(".tmp").tempfile_in(folder(beside));
    file.map_err(|error| BackupError::Io(beside.to_owned(), error))
}

/// Moves a file to its path.
fn publish(temporary: NamedTempFile, path: &Path, replace: bool) -> Result<()> {
    let published = if replace { temporary.persist(path) } else { temporary.persist_noclobber(path) };
    published.map(drop).map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists(path.to_owned()),
        _ => BackupError::Io(path.to_owned(), error.error),
    })
}

/// Makes the names of the files in a folder durable, where the operating system can.
fn sync_folder(path: &Path) -> Result<()> {
    let synced = if cfg!(unix) { File::open(folder(path)).and_then(|folder| folder.sync_all()) } else { Ok(()) };
    synced.map_err(|error| BackupError::Io(path.to_owned(), error))
}

fn ensure_vacant(path: &Path, replace: bool) -> Result<()> {
    if path.exists() && !replace { Err(BackupError::Exists(path.to_owned())) } else { Ok(()) }
}

fn is_same(one: &Path, other: &Path) -> bool {
    one.canonicalize().is_ok_and(|one| other.canonicalize().is_ok_and(|other| one == other))
}

/// Opens a file that no other process uses.
async fn open(path: &Path, access: Access) -> std::result::Result<DatabaseConnection, DbErr> {
    let connection = sqlite::connect(path, access, BUSY_TIMEOUT).await?;
    if access == Access::ReadWrite {
        connection.execute_unprepared("PRAGMA journal_mode = MEMORY").await?;
    }
    Ok(connection)
}

/// Slows a copy down, so that others get the disk and the processor as well.
struct Pace {
    file: File,
    written: u64,
    resumed_at: Instant,
}

impl Pace {
    fn new(file: File) -> Self {
        Self { file, written: 0, resumed_at: Instant::now() }
    }

    /// Pauses if enough was written since the last pause.
    fn keep(&mut self) {
        let length = self.file.metadata().map_or(0, |metadata| metadata.len());
        if length < self.written + PACE_BYTES {
            return;
        }
        // Otherwise the file would be written at its end in one go, and other writers wait for that. A failure is
        // reported by the last synchronization.
        let _ = self.file.sync_data();
        #[expect(clippy::disallowed_methods, reason = "SQLite calls this in a thread of its own")]
        std::thread::sleep(self.resumed_at.elapsed().min(MAX_PAUSE));
        (self.written, self.resumed_at) = (length, Instant::now());
    }
}
