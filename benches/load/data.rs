//! Data of the servers: one project with 1,000 tasks, created through the API, each server with its own database.
//!
//! Compared servers get copies of the same database, so that they do not affect each other. Everything is removed at the
//! end: files with their folder, PostgreSQL databases by [`Databases::remove`].

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;

use crate::client::{self, Connection};
use crate::processes::{self, Server};

/// Number of tasks in the project.
pub(crate) const TASKS: usize = 1_000;

/// Databases of one engine.
pub(crate) struct Databases {
    /// `DATA_DIR` of the servers.
    pub(crate) folder: TempDir,
    /// URL of the original, which is copied.
    pub(crate) original: String,
    /// URL of the baseline's copy.
    pub(crate) bare: String,
    /// URL of the product's copy.
    pub(crate) ours: String,
    /// Administrative URL of the PostgreSQL server.
    admin: Option<String>,
}

/// Content of the databases.
pub(crate) struct Content {
    /// Id of the user.
    pub(crate) user: String,
    /// Access token of the user.
    pub(crate) token: String,
    /// Id of the project.
    pub(crate) project: String,
    /// Ids of its tasks.
    pub(crate) tasks: Vec<String>,
}

impl Databases {
    /// Chooses the files of SQLite databases.
    pub(crate) fn sqlite() -> Result<Self> {
        let folder = folder()?;
        let url = |name: &str| format!("sqlite://{}", folder.path().join(name).display());
        let (original, bare, ours) = (url("original.db"), url("bare.db"), url("ours.db"));
        Ok(Self { folder, original, bare, ours, admin: None })
    }

    /// Chooses database names on a PostgreSQL server.
    pub(crate) fn postgres(admin: String) -> Result<Self> {
        let (address, options) = admin.split_once('?').unwrap_or((&admin, ""));
        let server = address.rsplit_once('/').context("TEST_POSTGRES_URL names no database")?.0;
        let url = |name: &str| format!("{server}/pocket_tasks_bench_{}_{name}?{options}", std::process::id());
        let (original, bare, ours) = (url("original"), url("bare"), url("ours"));
        Ok(Self { folder: folder()?, original, bare, ours, admin: Some(admin) })
    }

    /// Creates the empty original, if the engine requires that.
    pub(crate) async fn create(&self) -> Result<()> {
        match &self.admin {
            Some(admin) => execute(admin, format!("CREATE DATABASE {}", name(&self.original))).await,
            None => Ok(()),
        }
    }

    /// Creates and fills the original.
    pub(crate) async fn fill(&self) -> Result<Content> {
        self.create().await?;
        processes::migrate(&self.original, self.folder.path())?;
        let server = Server::product(&self.original, self.folder.path()).await?;
        let content = fill(&server).await.context("filling the database")?;
        drop(server);
        if self.admin.is_some() {
            // Otherwise the server would do this during the measurement.
            execute(&self.original, "VACUUM ANALYZE".to_owned()).await?;
        }
        Ok(content)
    }

    /// Creates the copies.
    pub(crate) async fn copy(&self) -> Result<()> {
        for copy in [&self.bare, &self.ours] {
            self.copy_to(copy).await?;
        }
        Ok(())
    }

    async fn copy_to(&self, copy: &str) -> Result<()> {
        let Some(admin) = &self.admin else {
            let [original, copy] = [&self.original, copy].map(|url| url.trim_start_matches("sqlite://"));
            std::fs::copy(original, copy)?;
            // Pages that are not in the main file yet.
            let [original, copy] = [original, copy].map(|path| format!("{path}-wal"));
            if Path::new(&original).exists() {
                std::fs::copy(original, copy)?;
            }
            return Ok(());
        };
        let sql = format!("CREATE DATABASE {} TEMPLATE {}", name(copy), name(&self.original));
        // Fails until PostgreSQL has noticed the end of the killed server's connections.
        for _ in 0..50 {
            if execute(admin, sql.clone()).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        execute(admin, sql).await
    }

    /// Drops the PostgreSQL databases, even with open connections.
    pub(crate) async fn remove(&self) -> Result<()> {
        let Some(admin) = &self.admin else { return Ok(()) };
        for url in [&self.original, &self.bare, &self.ours] {
            execute(admin, format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", name(url))).await?;
        }
        Ok(())
    }
}

fn folder() -> Result<TempDir> {
    Ok(TempDir::with_prefix("pocket-tasks-bench-")?)
}

fn name(url: &str) -> &str {
    let url = url.split_once('?').map_or(url, |(url, _)| url);
    url.rsplit_once('/').map_or(url, |(_, name)| name)
}

async fn execute(url: &str, sql: String) -> Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    connection.execute(AssertSqlSafe(sql)).await?;
    Ok(connection.close().await?)
}

async fn fill(server: &Server) -> Result<Content> {
    let mut api = Connection::open(server.address).await?;
    let account = json!({"email": "ada@example.com", "name": "Ada", "password": "correct horse battery"});
    let session = api.json(&client::post("/v1/auth/register", "", &account)).await?;
    let (user, token) = (text(&session["user"]["id"])?, text(&session["access_token"])?);
    let project = new_project(&mut api, &token).await?;
    let path = format!("/v1/projects/{project}/tasks");
    let mut tasks = Vec::with_capacity(TASKS);
    for number in 1..=TASKS {
        let task = api.json(&client::post(&path, &token, &new_task(&format!("Task {number}")))).await?;
        tasks.push(text(&task["id"])?);
    }
    Ok(Content { user, token, project, tasks })
}

/// Creates a project and returns its id.
pub(crate) async fn new_project(api: &mut Connection, token: &str) -> Result<String> {
    let project = api.json(&client::post("/v1/projects", token, &json!({"name": "Benchmark"}))).await?;
    text(&project["id"])
}

/// Description of a typical task.
pub(crate) const DESCRIPTION: &str = "Matte, 20 x 20 cm.\nAsk for a sample first, and for the time of delivery.";

/// Typical task.
pub(crate) fn new_task(title: &str) -> Value {
    json!({
        "title": title,
        "description": DESCRIPTION,
        "priority": "medium",
        "due_at": "2030-01-31T09:00:00.000Z",
        "labels": ["kitchen", "shopping"],
    })
}

fn text(value: &Value) -> Result<String> {
    Ok(value.as_str().context("an answer lacks a text")?.to_owned())
}
