//! Health of the storage: commits, write probes, replaced files and damage.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::{DbErr, RuntimeErr};
use sqlx::postgres::PgPoolOptions;

use super::error::ErrorClass;
use crate::repositories::StoreError;

/// Time for which a commit or a probe is evidence of the state of the database.
const PROBE_INTERVAL: Duration = Duration::from_secs(3);

/// Maximum time for a write probe, including the wait for the connection.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Maximum time since the last commit for a database that counts as busy.
const BUSY_TOLERANCE: Duration = Duration::from_secs(15);

/// Minimum time between two log messages about damage.
const DAMAGE_REPORT_INTERVAL: Duration = Duration::from_mins(1);

/// Health of the storage below a store.
#[derive(Debug, Default)]
pub(super) struct StorageHealth {
    file: Option<DatabaseFile>,
    /// Maximum time for a statement, if a server runs it.
    response_timeout: Option<Duration>,
    /// True from a statement without a response until the next commit.
    is_unresponsive: AtomicBool,
    last_commit: Mutex<Option<Instant>>,
    last_probe: tokio::sync::Mutex<Option<Probe>>,
    /// True if a write has failed since the last probe began.
    has_failed_since: AtomicBool,
    is_damaged: AtomicBool,
    damage_reported: Mutex<Option<Instant>>,
}

/// Result of a write probe.
#[derive(Debug, Clone, Copy)]
struct Probe {
    at: Instant,
    has_succeeded: bool,
}

impl StorageHealth {
    /// Health of a database in a file.
    pub(super) fn of_file(file: DatabaseFile) -> Self {
        Self { file: Some(file), ..Self::default() }
    }

    /// Health of a server, which ends a statement by itself after `statement_timeout`.
    pub(super) fn of_server(statement_timeout: Duration) -> Self {
        // Before the request times out, which is a tenth later.
        Self { response_timeout: Some(statement_timeout + statement_timeout / 20), ..Self::default() }
    }

    /// Runs a statement, and fails if the server does not respond, as when its host was cut off.
    pub(super) async fn bounded<T>(&self, statement: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        let Some(limit) = self.response_timeout else { return statement.await };
        if let Ok(result) = tokio::time::timeout(limit, statement).await {
            return result;
        }
        self.is_unresponsive.store(true, Ordering::Release);
        Err(DbErr::Conn(RuntimeErr::Internal("the database does not respond".to_owned())))
    }

    /// Lets a pool close connections when the server does not respond. It would wait for their responses for as long as
    /// the operating system does.
    pub(super) fn close_unresponsive(self: &Arc<Self>, pool: PgPoolOptions) -> PgPoolOptions {
        let health = Arc::clone(self);
        pool.after_release(move |_, _| {
            let is_usable = !health.is_unresponsive();
            Box::pin(
                async move { if is_usable { Ok(true) } else { Err(io::Error::from(io::ErrorKind::TimedOut).into()) } },
            )
        })
    }

    /// Returns whether a statement had no response, and no transaction was committed since.
    pub(super) fn is_unresponsive(&self) -> bool {
        self.is_unresponsive.load(Ordering::Acquire)
    }

    /// Returns the path of the database file; `None` for a server.
    pub(super) fn database_path(&self) -> Option<&Path> {
        self.file.as_ref().map(|file| &*file.path)
    }

    /// Records a commit.
    pub(super) fn record_commit(&self) {
        self.is_unresponsive.store(false, Ordering::Release);
        *self.last_commit.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Records the failure of a statement of a transaction, including BEGIN and COMMIT.
    pub(super) fn record_write_error(&self, error: &DbErr) {
        // Unless the connections were only busy, the next check must probe whether the database still accepts writes.
        let is_busy = matches!(error, DbErr::ConnectionAcquire(_));
        if !is_busy && ErrorClass::classify(error) == ErrorClass::Unavailable {
            *self.last_commit.lock().unwrap_or_else(PoisonError::into_inner) = None;
            self.has_failed_since.store(true, Ordering::Release);
        }
        self.record_read_error(error);
    }

    /// Records the failure of a read.
    pub(super) fn record_read_error(&self, error: &DbErr) {
        if ErrorClass::classify(error) == ErrorClass::Damaged {
            self.is_damaged.store(true, Ordering::Relaxed);
            self.report_damage(error);
        }
    }

    /// Fails if a file of the database was replaced: writes to it would be lost.
    pub(super) fn verify_file(&self) -> Result<(), StoreError> {
        let Some(file) = &self.file else { return Ok(()) };
        file.verify().map_err(|error| StoreError::Unavailable(Box::new(error)))
    }

    /// Returns the sizes of the database and of its log in bytes, if it is in a file.
    pub(super) fn file_sizes(&self) -> Option<(u64, u64)> {
        let file = self.file.as_ref()?;
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        Some((size(&file.path), size(&file.log_path)))
    }

    /// Fails if a new connection was opened to another file.
    pub(super) fn verify_opened(&self) -> Result<(), sqlx::Error> {
        self.verify_file().map_err(|error| sqlx::Error::Io(io::Error::other(error)))
    }

    /// Fails if the database is known to be damaged. Only a restart resets that.
    pub(super) fn verify_undamaged(&self) -> Result<(), StoreError> {
        if self.is_damaged.load(Ordering::Relaxed) {
            return Err(StoreError::Damaged("a part of the database could not be read".into()));
        }
        Ok(())
    }

    /// Fails if the database does not accept writes. Probes unless that is known.
    pub(super) async fn verify_writable(
        &self,
        probe: impl Future<Output = Result<(), StoreError>>,
    ) -> Result<(), StoreError> {
        let mut last_probe = self.last_probe.lock().await;
        if self.has_commit_within(PROBE_INTERVAL) {
            return Ok(());
        }
        if let Some(probe) = last_probe.filter(|probe| probe.at.elapsed() < PROBE_INTERVAL) {
            if !probe.has_succeeded {
                return Err(StoreError::Unavailable("the last attempt to write failed".into()));
            }
            if !self.has_failed_since.load(Ordering::Acquire) {
                return Ok(());
            }
        }
        self.has_failed_since.store(false, Ordering::Release);
        let result = match tokio::time::timeout(PROBE_TIMEOUT, probe).await {
            Ok(result) => result,
            Err(_) if self.has_commit_within(BUSY_TOLERANCE) => Ok(()),
            Err(elapsed) => Err(StoreError::Unavailable(Box::new(elapsed))),
        };
        *last_probe = Some(Probe { at: Instant::now(), has_succeeded: result.is_ok() });
        result
    }

    fn has_commit_within(&self, duration: Duration) -> bool {
        let last_commit = *self.last_commit.lock().unwrap_or_else(PoisonError::into_inner);
        last_commit.is_some_and(|at| at.elapsed() < duration)
    }

    fn report_damage(&self, error: &DbErr) {
        let mut reported = self.damage_reported.lock().unwrap_or_else(PoisonError::into_inner);
        if reported.is_none_or(|at| at.elapsed() >= DAMAGE_REPORT_INTERVAL) {
            *reported = Some(Instant::now());
            tracing::error!(%error, "THE DATABASE IS DAMAGED: stop the server and restore a backup");
        }
    }
}

/// The opened files of an embedded database.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    path: PathBuf,
    identity: FileIdentity,
    log_path: PathBuf,
    /// The write-ahead log, which stays the same file while any connection is open.
    log: Mutex<Option<FileIdentity>>,
}

impl DatabaseFile {
    /// Identifies the file at a path, which must exist.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        // SQLite puts its log beside the target of a symbolic link.
        let mut log_path = path.canonicalize()?.into_os_string();
        log_path.push("-wal");
        let identity = FileIdentity::read(path)?;
        Ok(Self { path: path.to_owned(), identity, log_path: log_path.into(), log: Mutex::default() })
    }

    // Reading the metadata of an open file takes microseconds, less than moving the call to another thread.
    fn verify(&self) -> Result<(), FileReplaced> {
        if FileIdentity::read(&self.path).map_err(FileReplaced)? != self.identity {
            return Err(FileReplaced(io::Error::other("another file is in its place")));
        }
        if std::fs::metadata(&self.path).map_err(FileReplaced)?.len() == 0 {
            return Err(FileReplaced(io::Error::other("the file was emptied")));
        }
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*log, FileIdentity::read(&self.log_path)) {
            (None, Ok(identity)) => *log = Some(identity),
            (Some(known), Ok(identity)) if *known == identity => {}
            (Some(_), Ok(_)) => return Err(FileReplaced(io::Error::other("another log is in its place"))),
            (None, Err(error)) if error.kind() == io::ErrorKind::NotFound => {}
            (_, Err(error)) => return Err(FileReplaced(error)),
        }
        Ok(())
    }
}

/// Error for a database file that was replaced or emptied while it was open.
#[derive(Debug, thiserror::Error)]
#[error("the database file or its log is not the one that was opened; put it back, or restart the server")]
struct FileReplaced(#[source] io::Error);

/// Device and inode of a file. Only Unix allows an open file to be replaced.
#[derive(Debug, PartialEq, Eq)]
struct FileIdentity(u64, u64);

impl FileIdentity {
    #[cfg(unix)]
    fn read(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = std::fs::metadata(path)?;
        Ok(Self(metadata.dev(), metadata.ino()))
    }

    #[cfg(not(unix))]
    fn read(path: &Path) -> io::Result<Self> {
        std::fs::metadata(path).map(|_| Self(0, 0))
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use sea_orm::{ConnAcquireErr, RuntimeErr};

    use super::*;

    fn committed_ago(ago: Duration) -> StorageHealth {
        StorageHealth { last_commit: Mutex::new(Instant::now().checked_sub(ago)), ..StorageHealth::default() }
    }

    fn failure() -> Result<(), StoreError> {
        Err(StoreError::Unavailable("for the test".into()))
    }

    #[tokio::test]
    async fn a_commit_a_moment_ago_answers_for_a_probe_until_a_write_fails() {
        let health = committed_ago(Duration::ZERO);
        health.verify_writable(async { panic!("a probe") }).await.unwrap();
        health.record_write_error(&DbErr::ConnectionAcquire(ConnAcquireErr::Timeout));
        health.verify_writable(async { panic!("a probe") }).await.unwrap();
        health.record_write_error(&DbErr::Conn(RuntimeErr::Internal("a full disk".to_owned())));
        health.verify_writable(ready(failure())).await.unwrap_err();
    }

    #[tokio::test]
    async fn probes_keep_their_distance_and_their_result_counts_until_the_next() {
        let health = StorageHealth::default();
        health.verify_writable(ready(failure())).await.unwrap_err();
        health.verify_writable(async { panic!("a probe") }).await.unwrap_err();
        let health = StorageHealth::default();
        health.verify_writable(ready(Ok(()))).await.unwrap();
        health.verify_writable(async { panic!("a probe") }).await.unwrap();
    }

    #[tokio::test]
    async fn a_write_that_fails_after_a_probe_calls_for_another_probe() {
        let health = StorageHealth::default();
        health.verify_writable(ready(Ok(()))).await.unwrap();
        health.record_write_error(&DbErr::Conn(RuntimeErr::Internal("a full disk".to_owned())));
        health.verify_writable(ready(failure())).await.unwrap_err();
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_does_not_get_its_turn_is_no_failure_while_others_commit() {
        committed_ago(PROBE_INTERVAL).verify_writable(pending()).await.unwrap();
        committed_ago(BUSY_TOLERANCE).verify_writable(pending()).await.unwrap_err();
        StorageHealth::default().verify_writable(pending()).await.unwrap_err();
    }
}
