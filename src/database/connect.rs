//! How the connections are opened.

use std::path::Path;
use std::time::Duration;

use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr, RuntimeErr};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use tokio::time::{Instant, sleep};

use crate::repositories::StoreError;

/// How long a request waits for a free connection before it is told to come back.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection to SQLite waits for the lock of another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Which database, and how it is used.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `sqlite://path` or `postgres://...`; may hold a password.
    pub url: secrecy::SecretString,
    /// How many connections read (SQLite), or how many there are (PostgreSQL).
    pub max_connections: u32,
    /// Whether the schema is brought up to date at the start.
    pub migrate: bool,
    /// How long PostgreSQL works on one statement before it gives up; nobody waits for the answer any more. A transaction
    /// in which nothing is asked for a third of it is ended.
    pub statement_timeout: Duration,
}

/// The kind of database that a URL names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Embedded, in one file.
    Sqlite,
    /// A server.
    Postgres,
}

impl Engine {
    /// The engine of a URL; `None` when it is neither.
    #[must_use]
    pub fn of(url: &str) -> Option<Self> {
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
    fn options(&self, connections: u32) -> ConnectOptions {
        use secrecy::ExposeSecret as _;
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

/// Opens the connections: those that write, and those that only read.
pub(super) async fn connect(settings: &Settings) -> Result<(DatabaseConnection, DatabaseConnection), StoreError> {
    use secrecy::ExposeSecret as _;
    if Engine::of(settings.url.expose_secret()) != Some(Engine::Sqlite) {
        let mut options = settings.options(settings.max_connections);
        // Nothing slow happens in a transaction. Whoever is silent in one has been suspended or cut off, and may hold the
        // lock on which all who write wait (see `events`): they shall not be given up before it is.
        let silence = (settings.statement_timeout / 3).as_millis().to_string();
        options.statement_timeout(settings.statement_timeout).map_sqlx_postgres_opts(move |options| {
            options.options([("idle_in_transaction_session_timeout", &silence)])
        });
        let pool = Database::connect(options).await?;
        return Ok((pool.clone(), pool));
    }
    create_folder_of(settings.url.expose_secret())?;
    // The writer comes first: it creates the file and switches it to write-ahead logging, which readers that may not
    // write need to find.
    let writer = connect_patiently(&sqlite(settings.options(1), false)).await?;
    let reader = Database::connect(sqlite(settings.options(settings.max_connections), true)).await?;
    Ok((writer, reader))
}

/// Connects to SQLite, also while others do so with a file that is new. One of them switches it to write-ahead logging,
/// and SQLite turns the others away at once: it minds no busy timeout where two hold a lock that both want to raise.
async fn connect_patiently(options: &ConnectOptions) -> Result<DatabaseConnection, DbErr> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        match Database::connect(options.clone()).await {
            Err(error) if is_locked(&error) && Instant::now() < deadline => sleep(Duration::from_millis(20)).await,
            connected => return connected,
        }
    }
}

/// Whether SQLite could not connect because of what another process was doing (`SQLITE_BUSY`, with its extended codes).
fn is_locked(error: &DbErr) -> bool {
    let DbErr::Conn(RuntimeErr::SqlxError(cause)) = error else { return false };
    let code = cause.as_database_error().and_then(|cause| cause.code()?.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == 5)
}

fn sqlite(mut options: ConnectOptions, read_only: bool) -> ConnectOptions {
    options.map_sqlx_sqlite_opts(move |options| {
        let options = options.busy_timeout(BUSY_TIMEOUT).foreign_keys(true).pragma("mmap_size", "268435456");
        if read_only {
            return options.read_only(true);
        }
        // FULL: what was answered as done survives a power cut, not only a crash of the process.
        options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .optimize_on_close(true, None)
    });
    options
}

/// Makes the folder in which the file of a SQLite URL is to be.
fn create_folder_of(url: &str) -> Result<(), StoreError> {
    let options: SqliteConnectOptions =
        url.parse().map_err(|error: sqlx::Error| StoreError::Failed(Box::new(error)))?;
    match options.get_filename().parent() {
        Some(folder) if !folder.as_os_str().is_empty() => {
            private_folder(folder).map_err(|error| StoreError::Failed(Box::new(error)))
        }
        _ => Ok(()),
    }
}

/// Makes a folder for what only its owner may read: password hashes, and everybody's tasks.
fn private_folder(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
