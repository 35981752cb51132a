//! Opening of the connections.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr};
use secrecy::ExposeSecret as _;
use sqlx::Connection as _;
use tokio::time::{Instant, sleep};

use super::error::{SQLITE_BUSY, sqlite_code};
use super::health::{DatabaseFile, StorageHealth};
use super::read_pool::ReadPool;
use super::sqlite::{self, ReaderOptions, WriterOptions};
use super::transaction::Writers;
use crate::repositories::StoreError;

/// Maximum wait of a request for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Minimum number of connections for statements that no index serves.
const MIN_UNINDEXED: u32 = 2;

/// Maximum wait of a statement that no index serves for a free connection.
const UNINDEXED_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// Name of the pool of other reads in metrics.
const SEARCH_POOL: &str = "search";

/// Maximum wait of SQLite for the lock of another process.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Settings of the database connections.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `sqlite://path` or `postgres://...`; may contain a password.
    pub url: secrecy::SecretString,
    /// Maximum number of connections; on SQLite, of readers.
    ///
    /// At least 3 on SQLite and 5 on PostgreSQL. A share is reserved for statements that no index serves, such as searches.
    pub max_connections: u32,
    /// True if the schema is migrated at the start.
    pub migrate: bool,
    /// Statement timeout of PostgreSQL; a third of it for idle transactions.
    pub statement_timeout: Duration,
}

/// A database engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// SQLite, embedded, in one file.
    Sqlite,
    /// A PostgreSQL server.
    Postgres,
}

impl Engine {
    /// Returns the engine of a URL, if its scheme is known.
    #[must_use]
    pub fn from_url(url: &str) -> Option<Self> {
        if url.starts_with("sqlite:") {
            Some(Self::Sqlite)
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Some(Self::Postgres)
        } else {
            None
        }
    }
}

impl Settings {
    /// Returns the path of the SQLite file if it does not exist. Connecting would create it.
    #[must_use]
    pub fn missing_file(&self) -> Option<PathBuf> {
        sqlite_path(&self.url).filter(|path| !path.exists())
    }

    /// Connections on SQLite: for indexed reads and other reads.
    fn shares_on_sqlite(&self) -> [u32; 2] {
        let unindexed = (self.max_connections / 2).max(MIN_UNINDEXED);
        [self.max_connections.saturating_sub(unindexed).max(1), unindexed]
    }

    /// Connections on PostgreSQL: for transactions, indexed reads and other reads.
    fn shares_on_postgres(&self) -> [u32; 3] {
        let indexed = (self.max_connections * 3 / 10).max(1);
        let unindexed = indexed.max(MIN_UNINDEXED);
        [self.max_connections.saturating_sub(indexed + unindexed).max(2), indexed, unindexed]
    }

    fn options(&self, connections: u32) -> ConnectOptions {
        let mut options = ConnectOptions::new(self.url.expose_secret());
        options
            .max_connections(connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire_if_idle_for(Duration::from_secs(30))
            .sqlx_logging(false)
            .record_stmt_in_spans(false)
            .set_application_name("pocket-tasks");
        options
    }
}

/// Returns the path of the file of a SQLite database; `None` for PostgreSQL.
///
/// The path may be percent-encoded. Parameters behind `?`, as other programs have them, have no effect.
#[must_use]
pub fn sqlite_path(url: &secrecy::SecretString) -> Option<PathBuf> {
    let url = url.expose_secret().strip_prefix("sqlite:")?;
    let path = url.strip_prefix("//").unwrap_or(url);
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    Some(percent_decode_str(path).decode_utf8_lossy().into_owned().into())
}

/// The connections to a database, by use.
pub(super) struct DatabaseConnections {
    pub(super) writers: Writers,
    /// Runs reads that an index serves.
    pub(super) reader: ReadPool,
    /// Runs the other reads, which may be slow.
    pub(super) unindexed_reader: ReadPool,
    pub(super) health: Arc<StorageHealth>,
}

/// Opens the connections.
pub(super) async fn connect(settings: &Settings) -> Result<DatabaseConnections, StoreError> {
    match sqlite_path(&settings.url) {
        Some(path) => connect_sqlite(settings, &path).await,
        None => connect_postgres(settings).await,
    }
}

async fn connect_postgres(settings: &Settings) -> Result<DatabaseConnections, StoreError> {
    let [writers, indexed, unindexed] = settings.shares_on_postgres();
    let health = Arc::new(StorageHealth::of_server(settings.statement_timeout));
    let mut options = settings.options(writers);
    // Nothing slow happens in a transaction. A process that idles in one was suspended or cut off, and may hold the lock
    // that all writers wait for (see `events`), so it is aborted before they time out.
    let idle_timeout = (settings.statement_timeout / 3).as_millis().to_string();
    options.statement_timeout(settings.statement_timeout).map_sqlx_postgres_opts(move |options| {
        options.options([("idle_in_transaction_session_timeout", &idle_timeout)])
    });
    let mut single = options.clone();
    single.max_connections(1);
    let acquired = Arc::clone(&health);
    options.map_sqlx_postgres_before_acquire(move |connection, _| {
        let is_usable = !connection.is_in_transaction() && !acquired.is_unresponsive();
        Box::pin(async move { Ok(is_usable) })
    });
    let released = Arc::clone(&health);
    options.map_sqlx_postgres_pool_opts(move |pool| released.close_unresponsive(pool));
    let writer = connect_pool(options).await?;
    // A separate connection, because statements are cancelled when all others are busy.
    let mut cancelling = single.clone();
    let released = Arc::clone(&health);
    cancelling.connect_lazy(true).map_sqlx_postgres_pool_opts(move |pool| released.close_unresponsive(pool));
    let canceller = connect_pool(cancelling).await?;
    let pool = |size, options, timeout| ReadPool::postgres(size, options, &canceller, timeout, &health);
    // An index finds the rows of a user or a project. Where few users have many rows the planner would scan the whole
    // table, and the list of one user would take longer the more others have stored. A search uses one process, not three.
    // It is planned for its words and labels, which may be rare or common.
    let mut scoped = single.clone();
    scoped.map_sqlx_postgres_opts(|options| {
        options.options([
            ("enable_seqscan", "off"),
            ("max_parallel_workers_per_gather", "0"),
            ("plan_cache_mode", "force_custom_plan"),
        ])
    });
    let reader = pool(indexed, &single, ACQUIRE_TIMEOUT);
    let unindexed_reader = pool(unindexed, &scoped, UNINDEXED_ACQUIRE_TIMEOUT).named(SEARCH_POOL);
    Ok(DatabaseConnections { writers: Writers::Postgres(writer), reader, unindexed_reader, health })
}

async fn connect_sqlite(settings: &Settings, path: &Path) -> Result<DatabaseConnections, StoreError> {
    create_parent_dir(path)?;
    // The pool must not create the file: it would put an empty database in the place of one that was moved away.
    create_private_file(path).map_err(|error| StoreError::Internal(Box::new(error)))?;
    // The writer comes first: it switches the file to write-ahead logging, which read-only connections cannot do.
    let file = DatabaseFile::open(path).map_err(|error| StoreError::Internal(Box::new(error)))?;
    let health = Arc::new(StorageHealth::of_file(file));
    let (busy_timeout, acquire_timeout) = (BUSY_TIMEOUT, ACQUIRE_TIMEOUT);
    let options = WriterOptions { path: path.to_owned(), busy_timeout, acquire_timeout };
    let writer = sqlite::Writer::new(options, Arc::clone(&health));
    connect_with_retry(&writer).await?;
    let [indexed, unindexed] = settings.shares_on_sqlite();
    let options = ReaderOptions { path: path.to_owned(), busy_timeout };
    let pool = |size, timeout| ReadPool::sqlite(size, &options, timeout, &health);
    let reader = pool(indexed, ACQUIRE_TIMEOUT);
    let unindexed_reader = pool(unindexed, UNINDEXED_ACQUIRE_TIMEOUT).named(SEARCH_POOL);
    // SQLite keeps the log while any connection is open, even while the writer is replaced.
    reader.open_first().await?;
    Ok(DatabaseConnections { writers: Writers::Sqlite(writer), reader, unindexed_reader, health })
}

/// Connects, in a future of its own: that of the driver is large, and would be part of each around it.
async fn connect_pool(options: ConnectOptions) -> Result<DatabaseConnection, DbErr> {
    Box::pin(Database::connect(options)).await
}

/// Connects to SQLite, retrying while another process sets up a new file.
///
/// Two processes that both want to upgrade their lock fail at once, regardless of the busy timeout.
async fn connect_with_retry(writer: &sqlite::Writer) -> Result<(), DbErr> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        match writer.connect().await {
            Err(error) if sqlite_code(&error) == Some(SQLITE_BUSY) && Instant::now() < deadline => {
                sleep(Duration::from_millis(20)).await;
            }
            connected => return connected,
        }
    }
}

/// Creates the directory of a database file.
pub(super) fn create_parent_dir(path: &Path) -> Result<(), StoreError> {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => {
            create_private_dir(dir).map_err(|error| StoreError::Internal(Box::new(error)))
        }
        _ => Ok(()),
    }
}

/// Creates the database file unless it exists. Only its owner may read it and the files that SQLite keeps beside it.
fn create_private_file(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?;
    #[cfg(unix)]
    restrict_existing_files(path);
    Ok(())
}

/// Removes the access of others to files of an earlier version. SQLite creates further ones like the database file.
#[cfg(unix)]
fn restrict_existing_files(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        match std::fs::metadata(&file) {
            Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
                if let Err(error) = std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)) {
                    tracing::warn!(%error, file = %file.display(), "failed to restrict the access to a database file");
                }
            }
            _ => {}
        }
    }
}

/// Creates a directory that only its owner may read.
fn create_private_dir(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use sea_orm::{ConnectionTrait as _, DbBackend, Statement};

    use super::*;

    fn settings(url: &str, max_connections: u32) -> Settings {
        Settings { url: url.into(), max_connections, migrate: false, statement_timeout: Duration::from_secs(30) }
    }

    #[test]
    fn connections_are_shared_out_and_no_share_is_empty() {
        for (max_connections, sqlite, postgres) in [
            (1, [1, 2], [2, 1, 2]),
            (3, [1, 2], [2, 1, 2]),
            (5, [3, 2], [2, 1, 2]),
            (10, [5, 5], [4, 3, 3]),
            (40, [20, 20], [16, 12, 12]),
        ] {
            let settings = settings("", max_connections);
            assert_eq!(settings.shares_on_sqlite(), sqlite, "{max_connections}");
            assert_eq!(settings.shares_on_postgres(), postgres, "{max_connections}");
        }
    }

    #[test]
    fn the_file_of_a_url_is_found() {
        for (url, path) in [
            ("sqlite://data/pocket-tasks.db", Some("data/pocket-tasks.db")),
            ("sqlite:///var/lib/pocket%20tasks.db", Some("/var/lib/pocket tasks.db")),
            ("sqlite:pocket-tasks.db?mode=rwc", Some("pocket-tasks.db")),
            ("postgres://localhost/pocket", None),
        ] {
            assert_eq!(sqlite_path(&url.into()).as_deref(), path.map(Path::new), "{url}");
        }
    }

    #[tokio::test]
    async fn searches_on_postgres_read_no_table_as_a_whole() {
        let Some(url) = std::env::var("TEST_POSTGRES_URL").ok().filter(|url| !url.is_empty()) else { return };
        let DatabaseConnections { writers, reader, unindexed_reader, .. } = connect(&settings(&url, 5)).await.unwrap();
        for (pool, expected) in [(&reader, "on"), (&unindexed_reader, "off")] {
            let sql = "SELECT current_setting('enable_seqscan') AS setting, \
                       current_setting('max_parallel_workers_per_gather') AS workers";
            let found = pool.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap().unwrap();
            assert_eq!(found.try_get::<String>("", "setting").unwrap(), expected);
            assert_eq!(found.try_get::<String>("", "workers").unwrap() == "0", expected == "off");
            pool.close().await;
        }
        let Writers::Postgres(writer) = writers else { panic!("a writer of SQLite") };
        writer.close().await.unwrap();
    }
}
