//! `pocket-tasks jobs`: lists and retries unfinished jobs.

use anyhow::{Context as _, bail};
use clap::Subcommand;
use serde_json::{Value, json};
use uuid::Uuid;

use super::database;
use super::output::print_line;
use crate::config::Config;
use crate::contract::Timestamp;
use crate::database::SeaStore;
use crate::mail::SingleLine;
use crate::repositories::{JobRecord, Store as _};

#[derive(Subcommand)]
pub(super) enum Action {
    /// List the unfinished jobs: pending, running and dead
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Run pending or dead jobs now, with all attempts available again
    Retry {
        /// Ids from `jobs list`
        #[arg(required = true, value_name = "ID")]
        ids: Vec<Uuid>,
    },
}

pub(super) async fn run(config: &Config, action: Action) -> anyhow::Result<()> {
    let store = database::open(config).await?;
    let result = match action {
        Action::List { json } => list(&store, json).await,
        Action::Retry { ids } => retry(&store, &ids).await,
    };
    store.close().await;
    result
}

async fn list(store: &SeaStore, as_json: bool) -> anyhow::Result<()> {
    let jobs = store.read().queue().list_unfinished().await.context("listing jobs")?;
    if as_json {
        let jobs: Vec<Value> = jobs.iter().map(to_json).collect();
        print_line(&format!("{:#}", Value::Array(jobs)));
        return Ok(());
    }
    if jobs.is_empty() {
        print_line("No unfinished jobs.");
        return Ok(());
    }
    print_line(&format!("{:36}  {:22} {:8} {:>8}  {:24}  LAST ERROR", "ID", "KIND", "STATE", "ATTEMPTS", "RUNS AT"));
    for job in jobs {
        // The error may contain line breaks from a remote server.
        let error = SingleLine::new(job.last_error.as_deref().unwrap_or("-"));
        let (state, run_at) = (<&str>::from(job.state), job.run_at.to_string());
        print_line(&format!("{}  {:22} {state:8} {:>8}  {run_at:24}  {error}", job.id, job.kind, job.attempts));
    }
    Ok(())
}

fn to_json(job: &JobRecord) -> Value {
    json!({
        "id": job.id,
        "kind": job.kind,
        "payload": serde_json::from_str::<Value>(&job.payload).unwrap_or(Value::Null),
        "state": <&str>::from(job.state),
        "attempts": job.attempts,
        "run_at": job.run_at.to_string(),
        "created_at": job.created_at.to_string(),
        "last_error": job.last_error,
    })
}

async fn retry(store: &SeaStore, ids: &[Uuid]) -> anyhow::Result<()> {
    let mut missing = Vec::new();
    for id in ids {
        let transaction = store.begin().await?;
        if transaction.queue().retry(*id, Timestamp::now()).await? {
            transaction.commit().await?;
            print_line(&format!("{id} is due now."));
        } else {
            missing.push(id.to_string());
        }
    }
    if missing.is_empty() { Ok(()) } else { bail!("not found, or currently running: {}", missing.join(", ")) }
}
