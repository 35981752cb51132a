//! The bare handlers with which `make bench` compares the server: poem and sqlx, one statement per request, and nothing
//! else. No authentication, validation, idempotency, events or jobs.
//!
//! `DATABASE_URL` and `PORT` are those of the server.

mod task;

use std::env;

use anyhow::{Context as _, Result};
use poem::listener::TcpListener;
use poem::{EndpointExt as _, Route, Server, get, handler};
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use task::Pools;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SQLITE_SCHEMA: &str = "CREATE TABLE IF NOT EXISTS tasks (id BLOB NOT NULL PRIMARY KEY, project_id BLOB NOT NULL, \
    title TEXT NOT NULL, description TEXT NOT NULL, status TEXT NOT NULL, priority TEXT NOT NULL, due_at TEXT, \
    labels TEXT NOT NULL, version BIGINT NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL)";
const POSTGRES_SCHEMA: &str = "CREATE TABLE IF NOT EXISTS tasks (id UUID NOT NULL PRIMARY KEY, project_id UUID NOT NULL, \
    title TEXT NOT NULL, description TEXT NOT NULL, status TEXT NOT NULL, priority TEXT NOT NULL, due_at TEXT, \
    labels TEXT NOT NULL, version BIGINT NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL)";
const INDEX: &str = "CREATE INDEX IF NOT EXISTS tasks_by_project ON tasks (project_id, created_at, id)";

#[handler]
fn ready() -> &'static str {
    "ok"
}

/// Routes to the handlers of one engine.
macro_rules! routes {
    ($engine:ident, $pools:expr) => {
        Route::new()
            .at("/health/ready", get(ready))
            .at("/v1/tasks/:id", get(task::$engine::find))
            .at("/v1/projects/:project/tasks", get(task::$engine::list).post(task::$engine::create))
            .data($pools)
    };
}

#[tokio::main]
async fn main() -> Result<()> {
    let url = env::var("DATABASE_URL").context("DATABASE_URL is not set")?;
    let port = env::var("PORT").context("PORT is not set")?;
    let app = if url.starts_with("sqlite:") {
        let options = url.parse::<SqliteConnectOptions>()?.create_if_missing(true);
        let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
        // Several connections that write wait for each other without a queue, and some for longer than the timeout.
        let write = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
        for statement in [SQLITE_SCHEMA, INDEX] {
            sqlx::query(statement).execute(&write).await?;
        }
        let read = SqlitePoolOptions::new().connect_with(options).await?;
        routes!(sqlite, Pools { read, write }).boxed()
    } else {
        let pool = PgPoolOptions::new().connect(&url).await?;
        for statement in [POSTGRES_SCHEMA, INDEX] {
            sqlx::query(statement).execute(&pool).await?;
        }
        routes!(postgres, Pools { read: pool.clone(), write: pool }).boxed()
    };
    Server::new(TcpListener::bind(format!("127.0.0.1:{port}"))).run(app).await?;
    Ok(())
}
