//! Opening of the connections.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr};
use secrecy::ExposeSecret as _;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use tokio::time::{Instant, sleep};

use super::error::sqlite_code;
use super::health::{DatabaseFile, StorageHealth};
use super::read_pool::ReadPool;
use super::sqlite_state::SqliteState;
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

/// Size to which SQLite cuts its log, in bytes. Reads that take long let it grow further.
const LOG_SIZE_LIMIT: &str = "67108864";

/// Result code of SQLite while another process holds the lock.
pub(super) const SQLITE_BUSY: u32 = 5;

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
        let url = self.url.expose_secret();
        let options: SqliteConnectOptions =
            url.parse().ok().filter(|_| Engine::from_url(url) == Some(Engine::Sqlite))?;
        let path = options.get_filename();
        (!path.exists()).then(|| path.to_owned())
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
#[must_use]
pub fn sqlite_path(url: &secrecy::SecretString) -> Option<PathBuf> {
    let url = url.expose_secret();
    let options: SqliteConnectOptions = url.parse().ok().filter(|_| Engine::from_url(url) == Some(Engine::Sqlite))?;
    Some(options.get_filename().to_owned())
}

/// The connections to a database, by use.
pub(super) struct DatabaseConnections {
    /// Runs transactions: one connection on SQLite, a pool on PostgreSQL.
    pub(super) writer: DatabaseConnection,
    /// Runs reads that an index serves.
    pub(super) reader: ReadPool,
    /// Runs the other reads, which may be slow.
    pub(super) unindexed_reader: ReadPool,
    /// State shared with the one writing connection of SQLite.
    pub(super) writer_state: Option<Arc<SqliteState>>,
    pub(super) health: Arc<StorageHealth>,
}

/// Opens the connections.
pub(super) async fn connect(settings: &Settings) -> Result<DatabaseConnections, StoreError> {
    if Engine::from_url(settings.url.expose_secret()) == Some(Engine::Sqlite) {
        connect_sqlite(settings).await
    } else {
        connect_postgres(settings).await
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
    let pool = |size, options, timeout| ReadPool::postgres(size, options, &canceller, timeout, Arc::clone(&health));
    // An index finds the rows of a user or a project. Where few users have many rows the planner would scan the whole
    // table, and the list of one user would take longer the more others have stored. A search uses one process, not three.
    let mut scoped = single.clone();
    scoped.map_sqlx_postgres_opts(|options| {
        options.options([("enable_seqscan", "off"), ("max_parallel_workers_per_gather", "0")])
    });
    let reader = pool(indexed, &single, ACQUIRE_TIMEOUT);
    let unindexed_reader = pool(unindexed, &scoped, UNINDEXED_ACQUIRE_TIMEOUT).named(SEARCH_POOL);
    Ok(DatabaseConnections { writer, reader, unindexed_reader, writer_state: None, health })
}

async fn connect_sqlite(settings: &Settings) -> Result<DatabaseConnections, StoreError> {
    let file: SqliteConnectOptions =
        settings.url.expose_secret().parse().map_err(|error: sqlx::Error| StoreError::Internal(Box::new(error)))?;
    let path = file.get_filename();
    create_parent_dir(path)?;
    // The pool must not create the file: it would put an empty database in the place of one that was moved away.
    create_private_file(path).map_err(|error| StoreError::Internal(Box::new(error)))?;
    // The writer comes first: it switches the file to write-ahead logging, which read-only connections cannot do.
    let writer_state = Arc::new(SqliteState::default());
    let file = DatabaseFile::open(path).map_err(|error| StoreError::Internal(Box::new(error)))?;
    let health = Arc::new(StorageHealth::of_file(file));
    let is_new = std::fs::metadata(path).is_ok_and(|metadata| metadata.len() == 0);
    let mut options = sqlite(settings.options(1), Access::ReadWrite { is_new });
    writer_state.observe(&mut options, &health);
    let writer = connect_with_retry(&options).await?;
    let [indexed, unindexed] = settings.shares_on_sqlite();
    let options = sqlite(settings.options(1), Access::ReadOnly);
    let pool = |size, timeout| ReadPool::sqlite(size, &options, timeout, Arc::clone(&health));
    let reader = pool(indexed, ACQUIRE_TIMEOUT);
    let unindexed_reader = pool(unindexed, UNINDEXED_ACQUIRE_TIMEOUT).named(SEARCH_POOL);
    // SQLite keeps the log while any connection is open, even while the writer is replaced.
    reader.open_first().await?;
    Ok(DatabaseConnections { writer, reader, unindexed_reader, writer_state: Some(writer_state), health })
}

/// Connects, in a future of its own: that of the driver is large, and would be part of each around it.
async fn connect_pool(options: ConnectOptions) -> Result<DatabaseConnection, DbErr> {
    Box::pin(Database::connect(options)).await
}

/// Connects to SQLite, retrying while another process sets up a new file.
///
/// Two processes that both want to upgrade their lock fail at once, regardless of the busy timeout.
async fn connect_with_retry(options: &ConnectOptions) -> Result<DatabaseConnection, DbErr> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        match connect_pool(options.clone()).await {
            Err(error) if sqlite_code(&error) == Some(SQLITE_BUSY) && Instant::now() < deadline => {
                sleep(Duration::from_millis(20)).await;
            }
            connected => return connected,
        }
    }
}

/// Access of a connection to a SQLite file.
#[derive(Debug, Clone, Copy)]
enum Access {
    ReadOnly,
    ReadWrite { is_new: bool },
}

fn sqlite(mut options: ConnectOptions, access: Access) -> ConnectOptions {
    options.map_sqlx_sqlite_opts(move |options| {
        // Without memory-mapped reads: they save a request some 5 % of its time, but each connection maps the file, which
        // counts as resident memory of the process, and a file that shrinks would kill it.
        let mut options = options.busy_timeout(BUSY_TIMEOUT).foreign_keys(true);
        let Access::ReadWrite { is_new } = access else { return options.read_only(true) };
        if is_new {
            // Not in other files, because SQLite would write the setting each time; see `free_pages`.
            options = options.auto_vacuum(SqliteAutoVacuum::Incremental);
        }
        // FULL: acknowledged writes survive a power cut, not only a crash of the process.
        options
            .pragma("journal_size_limit", LOG_SIZE_LIMIT)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .optimize_on_close(true, None)
    });
    options
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

    #[tokio::test]
    async fn searches_on_postgres_read_no_table_as_a_whole() {
        let Some(url) = std::env::var("TEST_POSTGRES_URL").ok().filter(|url| !url.is_empty()) else { return };
        let DatabaseConnections { writer, reader, unindexed_reader, .. } = connect(&settings(&url, 5)).await.unwrap();
        for (pool, expected) in [(&reader, "on"), (&unindexed_reader, "off")] {
            let sql = "SELECT current_setting('enable_seqscan') AS setting, \
                       current_setting('max_parallel_workers_per_gather') AS workers";
            let found = pool.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap().unwrap();
            assert_eq!(found.try_get::<String>("", "setting").unwrap(), expected);
            assert_eq!(found.try_get::<String>("", "workers").unwrap() == "0", expected == "off");
            pool.close().await;
        }
        writer.close().await.unwrap();
    }
}
