//! What the servers work on: one project with 1,000 tasks, made through the API, in a database of its own for each.
//!
//! Where two servers are compared, both get a copy of the same database, so that neither sees what the other writes. All
//! of it is removed at the end: the files with their folder, the PostgreSQL databases by [`Databases::remove`].

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;

use crate::client::{self, Connection};
use crate::processes::{self, Server};

/// As many tasks has the project.
pub(crate) const TASKS: usize = 1_000;

/// The databases of one engine.
pub(crate) struct Databases {
    /// The `DATA_DIR` of the servers.
    pub(crate) folder: TempDir,
    /// The URL of the one that is filled, and copied.
    pub(crate) original: String,
    /// The URL of the bare handler's copy.
    pub(crate) bare: String,
    /// The URL of the product's copy.
    pub(crate) ours: String,
    /// Who makes and removes databases on PostgreSQL.
    admin: Option<String>,
}

/// What is in the databases.
pub(crate) struct Content {
    /// The id of the one user.
    pub(crate) user: String,
    /// The access token of the user.
    pub(crate) token: String,
    /// The id of the one project.
    pub(crate) project: String,
    /// The ids of its tasks.
    pub(crate) tasks: Vec<String>,
}

impl Databases {
    /// Names the files of SQLite databases.
    pub(crate) fn sqlite() -> Result<Self> {
        let folder = folder()?;
        let url = |name: &str| format!("sqlite://{}", folder.path().join(name).display());
        let (original, bare, ours) = (url("original.db"), url("bare.db"), url("ours.db"));
        Ok(Self { folder, original, bare, ours, admin: None })
    }

    /// Names databases on the PostgreSQL server that a URL leads to.
    pub(crate) fn postgres(admin: String) -> Result<Self> {
        let (address, options) = admin.split_once('?').unwrap_or((&admin, ""));
        let server = address.rsplit_once('/').context("TEST_POSTGRES_URL names no database")?.0;
        let url = |name: &str| format!("{server}/pocket_tasks_bench_{}_{name}?{options}", std::process::id());
        let (original, bare, ours) = (url("original"), url("bare"), url("ours"));
        Ok(Self { folder: folder()?, original, bare, ours, admin: Some(admin) })
    }

    /// Makes the original, if its server has to be asked for it; it is empty.
    pub(crate) async fn create(&self) -> Result<()> {
        match &self.admin {
            Some(admin) => execute(admin, format!("CREATE DATABASE {}", name(&self.original))).await,
            None => Ok(()),
        }
    }

    /// Makes the original and what is in it.
    pub(crate) async fn fill(&self) -> Result<Content> {
        self.create().await?;
        processes::migrate(&self.original, self.folder.path())?;
        let server = Server::product(&self.original, self.folder.path()).await?;
        let content = fill(&server).await.context("filling the database")?;
        drop(server);
        if self.admin.is_some() {
            // Else the server would do it at some time during the measurement.
            execute(&self.original, "VACUUM ANALYZE".to_owned()).await?;
        }
        Ok(content)
    }

    /// Makes the copies.
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
            // What has not been moved from the log to the file.
            let [original, copy] = [original, copy].map(|path| format!("{path}-wal"));
            if Path::new(&original).exists() {
                std::fs::copy(original, copy)?;
            }
            return Ok(());
        };
        let sql = format!("CREATE DATABASE {} TEMPLATE {}", name(copy), name(&self.original));
        // It fails until PostgreSQL has noticed that the server, which was killed, has left.
        for _ in 0..50 {
            if execute(admin, sql.clone()).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        execute(admin, sql).await
    }

    /// Removes the databases from PostgreSQL; the servers need not have left them.
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

/// Makes a project and gives its id.
pub(crate) async fn new_project(api: &mut Connection, token: &str) -> Result<String> {
    let project = api.json(&client::post("/v1/projects", token, &json!({"name": "Benchmark"}))).await?;
    text(&project["id"])
}

/// What there is to say about a task.
pub(crate) const DESCRIPTION: &str = "Matte, 20 x 20 cm.\nAsk for a sample first, and for the time of delivery.";

/// A task as people write them.
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
