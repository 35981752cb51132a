//! Detection of two servers on one SQLite file.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::PathBuf;

use secrecy::ExposeSecret as _;
use sqlx::sqlite::SqliteConnectOptions;

use super::connect::{Engine, Settings};

/// Lock that a server holds while it uses a SQLite file.
///
/// The lock is on a file beside the database: closing another handle of the database itself would release the locks of
/// SQLite. The operating system releases it when the process ends, and the empty file stays.
#[derive(Debug)]
#[must_use = "dropping it releases the lock"]
pub struct ServerLock(#[expect(dead_code, reason = "held, not read")] File);

impl Settings {
    /// Takes the lock of a server on a SQLite file. Logs a warning and returns `None` if another server has it.
    ///
    /// Several servers on one file lose nothing, but they wait for each other's writes, and see events and jobs late.
    /// A worker beside a server is meant for that, and takes no lock.
    pub fn lock_for_server(&self) -> Option<ServerLock> {
        let path = self.server_lock_path()?;
        let file = open_private(&path)
            .inspect_err(|error| tracing::debug!(%error, file = %path.display(), "failed to open the lock file"))
            .ok()?;
        match file.try_lock() {
            Ok(()) => Some(ServerLock(file)),
            Err(TryLockError::WouldBlock) => {
                tracing::warn!(
                    file = %path.display(),
                    "another server uses this SQLite database; use PostgreSQL to run several servers"
                );
                None
            }
            // Some network file systems have no locks.
            Err(TryLockError::Error(error)) => {
                tracing::debug!(%error, file = %path.display(), "failed to lock the lock file");
                None
            }
        }
    }

    /// Returns the path of the lock file, if the database is a file.
    fn server_lock_path(&self) -> Option<PathBuf> {
        let url = self.url.expose_secret();
        if Engine::from_url(url) != Some(Engine::Sqlite) {
            return None;
        }
        let database = url.parse::<SqliteConnectOptions>().ok()?.get_filename().to_owned();
        let mut path: OsString = database.is_file().then_some(database)?.into();
        path.push(".server-lock");
        Some(path.into())
    }
}

fn open_private(path: &std::path::Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn settings(url: String) -> Settings {
        Settings { url: url.into(), max_connections: 3, migrate: false, statement_timeout: Duration::from_secs(30) }
    }

    #[test]
    fn one_server_at_a_time_has_the_lock_of_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");
        let on_file = settings(format!("sqlite://{}", database.display()));
        assert!(on_file.lock_for_server().is_none(), "there is no database to lock");
        std::fs::write(&database, "").unwrap();
        let lock = on_file.lock_for_server();
        assert!(lock.is_some());
        assert!(on_file.lock_for_server().is_none());
        drop(lock);
        assert!(on_file.lock_for_server().is_some());
        assert!(settings("postgres://localhost/a".to_owned()).lock_for_server().is_none());
    }
}
