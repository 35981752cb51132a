//! A lock beside a database file, by which the processes of this program notice each other.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

/// Lock on a database file. The operating system releases it when the value is dropped or the process ends.
#[derive(Debug)]
pub struct FileLock(#[expect(dead_code, reason = "dropping it releases the lock")] File);

impl FileLock {
    /// Holds the lock of a database file; `None` if another process holds it.
    ///
    /// The lock is a file of its own, `.lock` beside the database, because locks on the database belong to SQLite.
    pub fn try_hold(database: &Path) -> io::Result<Option<Self>> {
        // Beside the target of a symbolic link, where SQLite keeps its files too.
        let database = database.canonicalize().unwrap_or_else(|_| database.to_owned());
        let mut path = database.into_os_string();
        path.push(".lock");
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_once_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("test.db");
        let held = FileLock::try_hold(&database).unwrap();
        assert!(held.is_some());
        assert!(FileLock::try_hold(&database).unwrap().is_none());
        drop(held);
        assert!(FileLock::try_hold(&database).unwrap().is_some());
    }
}
