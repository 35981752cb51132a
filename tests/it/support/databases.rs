//! Database for each test, copied from a migrated template.
//!
//! SQLite uses a file in a temporary folder, below `TEST_SQLITE_FOLDER` if that is set. PostgreSQL uses a database on the
//! server in `TEST_POSTGRES_URL`, created by `CREATE DATABASE ... TEMPLATE`. Without that variable the PostgreSQL tests are
//! skipped with a message; with `REQUIRE_POSTGRES=1` they fail.

use std::future::Future;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Once, OnceLock};
use std::time::Duration;

use pocket_tasks::contract::ids::new_uuid;
use pocket_tasks::database::{SeaStore, Settings};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection as _, Executor as _, PgConnection, PgPool};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

use super::TestApp;

/// Argument of a test, created from its database.
pub(crate) trait OnDatabase: Sized {
    fn on(database: &TestDatabase) -> impl Future<Output = Self>;
}

impl OnDatabase for TestDatabase {
    async fn on(database: &TestDatabase) -> Self {
        database.clone()
    }
}

impl OnDatabase for TestApp {
    async fn on(database: &TestDatabase) -> Self {
        Self::new(database, super::Options::default()).await
    }
}

#[derive(Clone)]
pub(crate) struct TestDatabase {
    pub(crate) url: String,
    home: Home,
    opened: Arc<std::sync::Mutex<Vec<Arc<SeaStore>>>>,
}

#[derive(Clone)]
enum Home {
    Folder(#[expect(dead_code, reason = "it is removed when it is dropped")] Arc<TempDir>),
    Server { admin: String, name: String },
}

impl TestDatabase {
    fn new(url: String, home: Home) -> Self {
        Self { url, home, opened: Arc::default() }
    }

    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.home, Home::Server { .. })
    }

    /// Store that is opened once per database.
    pub(crate) async fn store(&self) -> Arc<SeaStore> {
        let first = self.opened.lock().unwrap().first().cloned();
        match first {
            Some(store) => store,
            None => self.another_store().await,
        }
    }

    /// Opens the database again, like another process. All stores are closed when the database is removed.
    pub(crate) async fn another_store(&self) -> Arc<SeaStore> {
        self.store_with(settings(&self.url)).await
    }

    /// Opens the database again and closes the store, so that the database is unavailable.
    pub(crate) async fn closed_store(&self) -> Arc<SeaStore> {
        let store = self.another_store().await;
        store.close().await;
        store
    }

    /// Creates a database of the same kind without the schema.
    pub(crate) async fn without_schema(&self) -> Self {
        if self.is_postgres() { postgres_without_schema().await.unwrap() } else { sqlite_without_schema() }
    }

    /// Opens the database again, with a shorter statement timeout.
    pub(crate) async fn store_with_timeout(&self, statement_timeout: Duration) -> Arc<SeaStore> {
        self.store_with(Settings { statement_timeout, ..settings(&self.url) }).await
    }

    async fn store_with(&self, settings: Settings) -> Arc<SeaStore> {
        let store = Arc::new(SeaStore::open(&settings).await.unwrap());
        self.opened.lock().unwrap().push(Arc::clone(&store));
        store
    }

    /// Copies the database. Its stores are closed first, and must not be used any more.
    pub(crate) async fn copy(&self) -> Self {
        self.close().await;
        match &self.home {
            Home::Folder(_) => copy_file(Path::new(self.url.trim_start_matches("sqlite://"))),
            Home::Server { admin, name } => create(admin.clone(), &copy_of(admin, name).await).await,
        }
    }

    async fn close(&self) {
        let opened: Vec<_> = self.opened.lock().unwrap().drain(..).collect();
        for store in opened {
            store.close().await;
        }
    }

    pub(crate) async fn remove(self) {
        self.close().await;
        if let Home::Server { admin, name } = &self.home {
            execute(admin, &format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)")).await;
        }
    }
}

fn settings(url: &str) -> Settings {
    // Few connections, because PostgreSQL has a hundred and many tests run concurrently.
    Settings { url: url.into(), max_connections: 8, migrate: false, statement_timeout: Duration::from_secs(30) }
}

async fn migrate(url: &str) {
    let store = SeaStore::open(&Settings { migrate: true, ..settings(url) }).await.unwrap();
    store.close().await;
}

/// Creates a SQLite database with the schema.
pub(crate) async fn sqlite() -> TestDatabase {
    static TEMPLATE: OnceCell<(TempDir, PathBuf)> = OnceCell::const_new();
    let (_, template) = TEMPLATE
        .get_or_init(async || {
            let folder = folder();
            let file = folder.path().join("template.db");
            migrate(&format!("sqlite://{}", file.display())).await;
            (folder, file)
        })
        .await;
    copy_file(template)
}

fn copy_file(template: &Path) -> TestDatabase {
    let folder = folder();
    let file = folder.path().join("test.db");
    std::fs::copy(template, &file).unwrap();
    TestDatabase::new(format!("sqlite://{}", file.display()), Home::Folder(Arc::new(folder)))
}

/// Creates a folder for a SQLite database, without a file.
pub(crate) fn sqlite_without_schema() -> TestDatabase {
    let folder = folder();
    let url = format!("sqlite://{}", folder.path().join("new/test.db").display());
    TestDatabase::new(url, Home::Folder(Arc::new(folder)))
}

fn folder() -> TempDir {
    match std::env::var_os("TEST_SQLITE_FOLDER") {
        Some(parent) => tempfile::tempdir_in(parent).unwrap(),
        None => tempfile::tempdir().unwrap(),
    }
}

/// Creates a PostgreSQL database with the schema; `None` without a server.
pub(crate) async fn postgres() -> Option<TestDatabase> {
    static COPY: OnceCell<String> = OnceCell::const_new();
    let admin = server()?;
    let copy = COPY
        .get_or_init(async || {
            let name = format!("pocket_tasks_template_{}", new_uuid().simple());
            execute(&admin, &format!("CREATE DATABASE \"{name}\"")).await;
            migrate(&within(&admin, &name)).await;
            copy_of(&admin, &name).await
        })
        .await;
    Some(create(admin, copy).await)
}

/// Options of `CREATE DATABASE` for a copy.
async fn copy_of(admin: &str, name: &str) -> String {
    static VERSION: OnceCell<i32> = OnceCell::const_new();
    let version = VERSION.get_or_init(|| server_version(admin)).await;
    // The default of PostgreSQL 15 and later also writes the copy to the log.
    let strategy = if *version >= 150_000 { "STRATEGY FILE_COPY" } else { "" };
    format!("TEMPLATE \"{name}\" {strategy}")
}

/// Creates a PostgreSQL database without the schema; `None` without a server.
pub(crate) async fn postgres_without_schema() -> Option<TestDatabase> {
    Some(create(server()?, "").await)
}

async fn create(admin: String, how: &str) -> TestDatabase {
    let name = format!("pocket_tasks_test_{}", new_uuid().simple());
    execute(&admin, &format!("CREATE DATABASE \"{name}\" {how}")).await;
    TestDatabase::new(within(&admin, &name), Home::Server { admin, name })
}

fn server() -> Option<String> {
    static SAID: Once = Once::new();
    let server = std::env::var("TEST_POSTGRES_URL").ok().filter(|url| !url.is_empty());
    if server.is_none() {
        assert!(std::env::var_os("REQUIRE_POSTGRES").is_none(), "TEST_POSTGRES_URL is not set, and it is required");
        // Bypasses the output capture of the test harness.
        SAID.call_once(|| {
            let _ = writeln!(
                std::io::stderr(),
                "\nSKIPPED: every test named on_postgres, because TEST_POSTGRES_URL is not set. \
                 With PostgreSQL: .ci/with-postgres make test"
            );
        });
    }
    server
}

/// URL of another database on the same server.
fn within(admin: &str, name: &str) -> String {
    let (server, _) = admin.rsplit_once('/').unwrap();
    format!("{server}/{name}")
}

/// Runs a statement on a connection that the tests share, because opening one costs as much as dropping a database.
/// `admin` is the same in all of them.
async fn execute(admin: &str, statement: &str) {
    /// The runtime of a test ends before the connection.
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
    static POOL: OnceLock<PgPool> = OnceLock::new();
    let (admin, statement) = (admin.to_owned(), sqlx::AssertSqlSafe(statement.to_owned()));
    let run = async move {
        let pool = POOL.get_or_init(|| PgPoolOptions::new().connect_lazy(&admin).unwrap());
        pool.execute(statement).await
    };
    RUNTIME.spawn(run).await.unwrap().unwrap();
}

async fn server_version(url: &str) -> i32 {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let version: String = sqlx::query_scalar("SHOW server_version_num").fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    version.parse().unwrap()
}
