use std::path::Path;

use sea_orm::Database;

use super::*;

const ENDLESS: &str =
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) AS answer FROM c";

const ANSWER: &str = "SELECT CAST(7 AS bigint) AS answer";

/// Creates a database.
fn sqlite_options(folder: &Path) -> ReaderOptions {
    let path = folder.join("test.db");
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "journal_mode", "WAL").unwrap();
    ReaderOptions { path, busy_timeout: Duration::from_secs(5) }
}

fn statement(backend: DbBackend, sql: &str) -> Statement {
    Statement::from_string(backend, sql)
}

/// Abandons more endless statements than there are connections, then runs another.
async fn a_statement_that_is_abandoned_gives_its_connection_back(pool: &ReadPool, endless: &str) {
    let backend = pool.get_database_backend();
    for _ in 0..3 {
        let running = [pool, pool].map(|pool| pool.query_one_raw(statement(backend, endless)));
        let abandoned = tokio::time::timeout(Duration::from_millis(50), futures_util::future::join_all(running));
        assert!(abandoned.await.is_err(), "it ended");
    }
    let answered = pool.query_one_raw(statement(backend, ANSWER)).await.unwrap().unwrap();
    assert_eq!(answered.try_get::<i64>("", "answer").unwrap(), 7);
}

#[tokio::test]
async fn on_sqlite_a_statement_that_is_abandoned_stops() {
    let folder = tempfile::tempdir().unwrap();
    let options = sqlite_options(folder.path());
    let pool = ReadPool::sqlite(2, &options, Duration::from_secs(20), &Arc::default());
    a_statement_that_is_abandoned_gives_its_connection_back(&pool, ENDLESS).await;
    pool.close().await;
}

#[tokio::test]
async fn on_postgres_a_statement_that_is_abandoned_is_cancelled() {
    let Some(url) = std::env::var("TEST_POSTGRES_URL").ok().filter(|url| !url.is_empty()) else { return };
    let mut options = ConnectOptions::new(url);
    options.max_connections(1);
    let canceller = Box::pin(Database::connect(options.clone())).await.unwrap();
    let pool = ReadPool::postgres(2, &options, &canceller, Duration::from_secs(20), &Arc::default());
    a_statement_that_is_abandoned_gives_its_connection_back(&pool, "SELECT pg_sleep(3600)::text AS answer").await;
    pool.close().await;
    canceller.close().await.unwrap();
}

#[tokio::test]
async fn on_postgres_a_read_is_repeated_if_the_server_has_ended_the_connection() {
    let Some(url) = std::env::var("TEST_POSTGRES_URL").ok().filter(|url| !url.is_empty()) else { return };
    let mut options = ConnectOptions::new(url);
    options.max_connections(1);
    let other = Box::pin(Database::connect(options.clone())).await.unwrap();
    let pool = ReadPool::postgres(1, &options, &other, Duration::from_secs(20), &Arc::default());
    let backend = || async {
        let found = pool.query_one_raw(statement(DbBackend::Postgres, "SELECT pg_backend_pid() AS answer")).await;
        found.unwrap().unwrap().try_get::<i32>("", "answer").unwrap()
    };
    let first = backend().await;
    assert_eq!(backend().await, first, "the connection is kept");
    let end = Query::select().expr(Func::cust("pg_terminate_backend").arg(first).arg(5_000_i64)).take();
    assert!(other.query_one(&end).await.unwrap().unwrap().try_get_by_index::<bool>(0).unwrap());
    assert_ne!(backend().await, first);
    pool.close().await;
    other.close().await.unwrap();
}

#[tokio::test]
async fn a_statement_waits_for_a_free_connection_only_so_long() {
    let folder = tempfile::tempdir().unwrap();
    let options = sqlite_options(folder.path());
    let pool = ReadPool::sqlite(1, &options, Duration::from_millis(50), &Arc::default());
    let running = pool.acquire().await.unwrap();
    let refused = pool.query_one_raw(statement(DbBackend::Sqlite, ANSWER)).await;
    assert!(matches!(refused, Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))), "{refused:?}");
    drop(running);
    pool.query_one_raw(statement(DbBackend::Sqlite, ANSWER)).await.unwrap();
    pool.close().await;
    let closed = pool.query_one_raw(statement(DbBackend::Sqlite, ANSWER)).await;
    assert!(matches!(closed, Err(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed))), "{closed:?}");
}
