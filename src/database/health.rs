//! Evidence that storage works: successful commits, write probes, the identity of the database file, signs of damage.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::DbErr;

use super::error::ErrorClass;
use crate::repositories::StoreError;

/// How long a successful commit counts as proof that the database accepts writes, and the least time between two write
/// probes.
const PROBE_INTERVAL: Duration = Duration::from_secs(3);

/// How long a write probe may take, the wait for the connection included.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// The least time between two reports of damage in the log.
const DAMAGE_REPORT_INTERVAL: Duration = Duration::from_mins(1);

/// What is known about the state of the storage below a store.
#[derive(Debug, Default)]
pub(super) struct StorageHealth {
    file: Option<DatabaseFile>,
    last_commit: Mutex<Option<Instant>>,
    failed_probe: tokio::sync::Mutex<Option<Instant>>,
    is_damaged: AtomicBool,
    damage_reported: Mutex<Option<Instant>>,
}

impl StorageHealth {
    /// Health of a database in a file, or of a server.
    pub(super) fn new(file: Option<DatabaseFile>) -> Self {
        Self { file, ..Self::default() }
    }

    /// Records that a transaction was committed.
    pub(super) fn record_commit(&self) {
        *self.last_commit.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Records that a statement of a transaction, its beginning or its commit failed.
    pub(super) fn record_write_error(&self, error: &DbErr) {
        // Whether the database still accepts writes is no longer known: the next check tries.
        if ErrorClass::of(error) == ErrorClass::Unavailable {
            *self.last_commit.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        self.record_read_error(error);
    }

    /// Records that a statement that only reads failed.
    pub(super) fn record_read_error(&self, error: &DbErr) {
        if ErrorClass::of(error) == ErrorClass::Damaged {
            self.is_damaged.store(true, Ordering::Relaxed);
            self.report_damage(error);
        }
    }

    /// Fails if the database file is not the one that was opened: what is written goes to a file without a name, and is
    /// lost when the process ends.
    pub(super) fn verify_file(&self) -> Result<(), StoreError> {
        let Some(file) = &self.file else { return Ok(()) };
        file.verify().map_err(|error| StoreError::Unavailable(Box::new(error)))
    }

    /// Fails if the database is known to be damaged. Only a restart forgets that.
    pub(super) fn verify_undamaged(&self) -> Result<(), StoreError> {
        if self.is_damaged.load(Ordering::Relaxed) {
            return Err(StoreError::Damaged("a part of the database could not be read".into()));
        }
        Ok(())
    }

    /// Fails if the database does not accept writes. Runs the probe unless a commit or a failed probe a moment ago
    /// answers the question.
    pub(super) async fn verify_writable(
        &self,
        probe: impl Future<Output = Result<(), StoreError>>,
    ) -> Result<(), StoreError> {
        let mut failed_probe = self.failed_probe.lock().await;
        if self.has_recent_commit() {
            return Ok(());
        }
        if failed_probe.is_some_and(|at| at.elapsed() < PROBE_INTERVAL) {
            return Err(StoreError::Unavailable("the last attempt to write failed".into()));
        }
        let result = match tokio::time::timeout(PROBE_TIMEOUT, probe).await {
            Ok(result) => result,
            Err(elapsed) => Err(StoreError::Unavailable(Box::new(elapsed))),
        };
        *failed_probe = result.is_err().then(Instant::now);
        result
    }

    fn has_recent_commit(&self) -> bool {
        let last_commit = *self.last_commit.lock().unwrap_or_else(PoisonError::into_inner);
        last_commit.is_some_and(|at| at.elapsed() < PROBE_INTERVAL)
    }

    fn report_damage(&self, error: &DbErr) {
        let mut reported = self.damage_reported.lock().unwrap_or_else(PoisonError::into_inner);
        if reported.is_none_or(|at| at.elapsed() >= DAMAGE_REPORT_INTERVAL) {
            *reported = Some(Instant::now());
            tracing::error!(%error, "THE DATABASE IS DAMAGED: stop the server and restore a backup");
        }
    }
}

/// The file of an embedded database, as it was when it was opened.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    path: PathBuf,
    identity: FileIdentity,
}

impl DatabaseFile {
    /// The file at a path; `None` where there is no such file, as for a database in memory.
    pub(super) fn at(path: &Path) -> Option<Self> {
        Some(Self { path: path.to_owned(), identity: FileIdentity::of(path).ok()? })
    }

    // A look at metadata of a file that is in use: it blocks for microseconds, less than handing it to another thread.
    fn verify(&self) -> Result<(), FileReplaced> {
        match FileIdentity::of(&self.path) {
            Ok(identity) if identity == self.identity => Ok(()),
            Ok(_) => Err(FileReplaced(io::Error::other("another file is in its place"))),
            Err(error) => Err(FileReplaced(error)),
        }
    }
}

/// The database file was moved, deleted or replaced while it was open.
#[derive(Debug, thiserror::Error)]
#[error("the file at the path of the database is not the one that is open; restart the server")]
struct FileReplaced(#[source] io::Error);

/// Device and inode of a file. Elsewhere than on Unix, files that are open cannot be replaced.
#[derive(Debug, PartialEq, Eq)]
struct FileIdentity(u64, u64);

impl FileIdentity {
    #[cfg(unix)]
    fn of(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = std::fs::metadata(path)?;
        Ok(Self(metadata.dev(), metadata.ino()))
    }

    #[cfg(not(unix))]
    fn of(path: &Path) -> io::Result<Self> {
        std::fs::metadata(path).map(|_| Self(0, 0))
    }
}
