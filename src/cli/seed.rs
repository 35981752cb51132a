//! `pocket-tasks seed`: creates demo data.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use poem_openapi::types::ParseFromJSON;
use serde_json::{Value, json};

use super::output::print_line;
use super::runtime;
use crate::app;
use crate::config::{AppEnv, Config};
use crate::contract::Timestamp;
use crate::repositories::{Queue, Store};
use crate::services::{Clock, Error, RequestMetadata, Services, WriteContext};

/// Password of every demo user.
const PASSWORD: &str = "sailing-kitchen-demo";

/// Demo users with their projects and tasks.
type DemoUsers = [(&'static str, &'static str, &'static [(&'static str, &'static [Task])]); 2];
/// Title, status, priority, days until the due date, and labels.
type Task = (&'static str, &'static str, &'static str, Option<i32>, &'static [&'static str]);

const DEMO_USERS: DemoUsers = [
    (
        "Ada",
        "ada@example.com",
        &[
            (
                "Kitchen renovation",
                &[
                    ("Measure the room", "done", "high", Some(-6), &["planning"]),
                    ("Choose the tiles", "in_progress", "high", Some(2), &["shopping"]),
                    ("Order the cupboards", "todo", "urgent", Some(-1), &["shopping"]),
                    ("Find an electrician", "todo", "medium", Some(5), &["planning"]),
                    ("Paint the walls", "todo", "none", None, &[]),
                ],
            ),
            (
                "Reading list",
                &[
                    ("The Mythical Man-Month", "done", "none", None, &["book"]),
                    ("A Pattern Language", "todo", "low", None, &["book"]),
                ],
            ),
        ],
    ),
    (
        "Grace",
        "grace@example.com",
        &[(
            "Sailing trip",
            &[
                ("Reserve the boat", "done", "high", Some(-20), &[]),
                ("Plan the route", "todo", "medium", Some(9), &["map"]),
            ],
        )],
    ),
];

pub(super) async fn run(config: Config) -> Result<()> {
    if config.env == AppEnv::Production {
        bail!("demo data cannot be created because APP_ENV is production");
    }
    let config = runtime::ensure_secrets(config)?;
    let (store, services) = app::open(&config).await?;
    for (name, email, projects) in DEMO_USERS {
        match register(&services, name, email).await {
            Ok(caller) => {
                for (project, tasks) in projects {
                    add_project(&services, &caller, project, tasks).await?;
                }
                print_line(&format!("created {email} with the password {PASSWORD}"));
            }
            Err(Error::EmailTaken) => print_line(&format!("{email} already exists")),
            Err(error) => return Err(error).context("registering a demo user"),
        }
    }
    let shared = Arc::clone(&store) as Arc<dyn Store>;
    let runner = app::runner(&config, shared, services, Clock::system(), &config.link_url(config.address()))?;
    // Updates the completion of projects. E-mails are left to a worker.
    runner.run_due(&[Queue::Default]).await.context("running the enqueued jobs")?;
    store.close().await;
    Ok(())
}

/// Parses a request body.
fn parse<T: ParseFromJSON>(content: Value) -> Result<T> {
    T::parse_from_json(Some(content)).map_err(|error| anyhow::anyhow!(error.into_message()))
}

async fn register(services: &Services, name: &str, email: &str) -> Result<WriteContext, Error> {
    let content = json!({ "name": name, "email": email, "password": PASSWORD });
    let new = parse(content).map_err(|error| Error::Token(error.into()))?;
    let session = services.accounts.register(new, RequestMetadata::default()).await?;
    let caller = services.authenticate(&session.access_token).await?;
    Ok(WriteContext { caller, idempotency: None, if_match: None, request: RequestMetadata::default() })
}

async fn add_project(services: &Services, write: &WriteContext, name: &str, tasks: &[Task]) -> Result<()> {
    let project = services.projects.create(write, parse(json!({ "name": name }))?).await?;
    let project: Value = serde_json::from_str(project.body.as_deref().unwrap_or_default())?;
    let id = project["id"].as_str().and_then(crate::contract::ProjectId::parse).context("the id of a project")?;
    for (title, status, priority, due, labels) in tasks {
        let days = |days: &i32| {
            let distance = Duration::from_hours(24) * days.unsigned_abs();
            let now = Timestamp::now();
            if *days < 0 { now - distance } else { now + distance }.to_string()
        };
        let content = json!({
            "title": title, "status": status, "priority": priority, "due_at": due.as_ref().map(days), "labels": labels,
        });
        services.tasks.create(write, id, parse(content)?).await?;
    }
    Ok(())
}
