//! Locks beside a database file, by which the processes of this program notice each other.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::connect;

/// Lock on a database file. The operating system releases it when the value is dropped or the process ends.
///
/// A lock is a file of its own beside the database, because locks on the database belong to SQLite.
#[derive(Debug)]
pub struct FileLock(#[expect(dead_code, reason = "dropping it releases the lock")] File);

impl FileLock {
    /// Holds the lock of a process that uses a database; `None` while the database is restored.
    pub fn try_share(database: &Path) -> io::Result<Option<Self>> {
        Self::lock(database, ".lock", File::try_lock_shared)
    }

    /// Holds the lock of a restore; `None` while another process uses the database.
    pub fn try_hold(database: &Path) -> io::Result<Option<Self>> {
        Self::lock(database, ".lock", File::try_lock)
    }

    /// Holds the lock of the only server on a database; `None` if another server has it.
    pub fn try_hold_as_server(database: &Path) -> io::Result<Option<Self>> {
        Self::lock(database, ".server.lock", File::try_lock)
    }

    fn lock(
        database: &Path,
        suffix: &str,
        lock: impl FnOnce(&File) -> Result<(), TryLockError>,
    ) -> io::Result<Option<Self>> {
        // The first process on a database creates its folder, and needs the lock before the database.
        connect::create_parent_dir(database).map_err(io::Error::other)?;
        // Beside the target of a symbolic link, where SQLite keeps its files too.
        let database = database.canonicalize().unwrap_or_else(|_| database.to_owned());
        let mut options = OpenOptions::new();
        // Some network file systems refuse a shared lock without read access.
        options.create(true).read(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(beside(&database, suffix))?;
        #[cfg(unix)]
        assign_owner(&file, &database)?;
        match lock(&file) {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// Assigns a file of root to the owner of the database, or of its folder. Otherwise the service could not open it.
#[cfg(unix)]
pub(super) fn assign_owner(file: &File, database: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    let owner = database.metadata().or_else(|_| folder(database).metadata())?;
    if file.metadata()?.uid() != 0 || owner.uid() == 0 {
        return Ok(());
    }
    fchown(file, Some(owner.uid()), Some(owner.gid()))
}

/// Returns the path of a file beside another one, whose name it continues.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// Returns the folder of a file.
pub(super) fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_once_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("new/test.db");
        for try_hold in [FileLock::try_hold, FileLock::try_hold_as_server] {
            let held = try_hold(&database).unwrap();
            assert!(held.is_some());
            assert!(try_hold(&database).unwrap().is_none());
            drop(held);
            assert!(try_hold(&database).unwrap().is_some());
        }
    }

    #[test]
    fn processes_share_a_database_unless_it_is_restored() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("test.db");
        let shared = [(); 2].map(|()| FileLock::try_share(&database).unwrap());
        assert!(shared.iter().all(Option::is_some));
        assert!(FileLock::try_hold(&database).unwrap().is_none());
        assert!(FileLock::try_hold_as_server(&database).unwrap().is_some());
        drop(shared);
        let _restoring = FileLock::try_hold(&database).unwrap().unwrap();
        assert!(FileLock::try_share(&database).unwrap().is_none());
    }
}
