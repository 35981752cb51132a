//! The database of a part: one project with 1,000 tasks, created through the API.
//!
//! SQLite files are removed with their folder, PostgreSQL databases by [`Databases::remove`].

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;

use crate::client::{self, Connection};
use crate::processes::{self, Server};

/// Number of tasks in the project.
pub(crate) const TASKS: usize = 1_000;

pub(crate) struct Databases {
    /// The `DATA_DIR` of the server.
    pub(crate) folder: TempDir,
    pub(crate) url: String,
    /// URL of the PostgreSQL database from which others are created and dropped.
    admin: Option<String>,
}

/// A user with an access token.
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) token: String,
}

/// The user and the project in the database.
pub(crate) struct Content {
    pub(crate) user: String,
    pub(crate) token: String,
    pub(crate) project: String,
}

impl Databases {
    pub(crate) fn sqlite() -> Result<Self> {
        let folder = folder()?;
        let url = format!("sqlite://{}", folder.path().join("bench.db").display());
        Ok(Self { folder, url, admin: None })
    }

    /// Names a database on the PostgreSQL server of a URL.
    pub(crate) fn postgres(admin: String) -> Result<Self> {
        let (address, options) = admin.split_once('?').unwrap_or((&admin, ""));
        let server = address.rsplit_once('/').context("TEST_POSTGRES_URL names no database")?.0;
        let url = format!("{server}/pocket_tasks_bench_{}?{options}", std::process::id());
        Ok(Self { folder: folder()?, url, admin: Some(admin) })
    }

    /// Creates the database, without a schema. SQLite needs no such step.
    pub(crate) async fn create(&self) -> Result<()> {
        match &self.admin {
            Some(admin) => execute(admin, format!("CREATE DATABASE {}", name(&self.url))).await,
            None => Ok(()),
        }
    }

    /// Creates the database with its schema and content.
    pub(crate) async fn fill(&self) -> Result<Content> {
        self.create().await?;
        processes::migrate(&self.url, self.folder.path())?;
        let server = Server::start(&self.url, self.folder.path()).await?;
        let content = fill(&server).await.context("filling the database")?;
        drop(server);
        if self.admin.is_some() {
            // Otherwise autovacuum would run during the measurement.
            execute(&self.url, "VACUUM ANALYZE".to_owned()).await?;
        }
        Ok(content)
    }

    /// Drops the PostgreSQL database, even if a server is still connected.
    pub(crate) async fn remove(&self) -> Result<()> {
        match &self.admin {
            Some(admin) => execute(admin, format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", name(&self.url))).await,
            None => Ok(()),
        }
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
    let user = register(&mut api, "ada").await?;
    let project = new_project(&mut api, &user.token).await?;
    let path = format!("/v1/projects/{project}/tasks");
    for number in 1..=TASKS {
        api.exchange(&client::post(&path, &user.token, &new_task(&format!("Task {number}")))).await?;
    }
    Ok(Content { user: user.id, token: user.token, project })
}

/// Registers a user.
pub(crate) async fn register(api: &mut Connection, name: &str) -> Result<User> {
    let account = json!({"email": format!("{name}@example.com"), "name": name, "password": "correct horse battery"});
    let session = api.json(&client::post("/v1/auth/register", "", &account)).await?;
    Ok(User { id: text(&session["user"]["id"])?, token: text(&session["access_token"])? })
}

/// Creates a project and returns its id.
pub(crate) async fn new_project(api: &mut Connection, token: &str) -> Result<String> {
    let project = api.json(&client::post("/v1/projects", token, &json!({"name": "Benchmark"}))).await?;
    text(&project["id"])
}

/// Description of every task.
pub(crate) const DESCRIPTION: &str = "Matte, 20 x 20 cm.\nAsk for a sample first, and for the time of delivery.";

/// Body of a request that creates a task.
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
    Ok(value.as_str().context("a response lacks a text")?.to_owned())
}
