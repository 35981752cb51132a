//! Cost of the event feed: transactions a second of concurrent writers that change one row each, with and without an event.
//! Events are totally ordered, so on PostgreSQL writers wait for each other between reserving a number and the commit, and
//! the ratio falls with the number of writers.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use pocket_tasks::contract::event::EventType;
use pocket_tasks::contract::{EventId, ProjectId, Timestamp};
use pocket_tasks::database::SeaStore;
use pocket_tasks::repositories::{NewEvent, Store as _};
use tokio::task::JoinSet;

use crate::compare::median;
use crate::data::Databases;
use crate::library::{fill, on_threads, per_second, transact};

/// Numbers of concurrent writers.
const WRITERS: [usize; 3] = [1, 4, 16];
/// Transactions per round.
const TRANSACTIONS: usize = 2_000;
/// Number of rounds.
const ROUNDS: usize = 5;
/// Approximate size of a task as JSON.
const BYTES: usize = 600;

/// Prints the header of the table.
pub(crate) fn head() {
    println!(
        "{:<38} {:<10} {:>10} {:>10} {:>8}",
        "a second, without : with an event", "engine", "without", "with", "ratio"
    );
}

/// Prints the results of one engine.
pub(crate) async fn measure(engine: &str, databases: &Databases) -> Result<()> {
    on_threads(databases, engine, work).await
}

async fn work(engine: String, store: Arc<SeaStore>) -> Result<()> {
    let projects = fill(&store, TRANSACTIONS).await.context("making projects")?;
    for writers in WRITERS {
        let (mut without, mut with, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            // Both orders are equally frequent.
            let (plain, told) = if round % 2 == 0 {
                let plain = rate(&store, &projects, writers, false).await?;
                (plain, rate(&store, &projects, writers, true).await?)
            } else {
                let told = rate(&store, &projects, writers, true).await?;
                (rate(&store, &projects, writers, false).await?, told)
            };
            ratios.push(told / plain);
            without.push(plain);
            with.push(told);
        }
        let (without, with, ratio) = (median(without)?, median(with)?, median(ratios)?);
        let name = format!("{writers} at once");
        println!("{name:<38} {engine:<10} {without:>10.0} {with:>10.0} {ratio:>6.2} x");
    }
    let expected = WRITERS.len() * ROUNDS * TRANSACTIONS;
    let end = store.read().events().bounds().await?.end;
    ensure!(usize::try_from(end) == Ok(expected), "{end} events are there instead of {expected}");
    Ok(())
}

/// Transactions a second.
async fn rate(store: &Arc<SeaStore>, projects: &[ProjectId], writers: usize, is_told: bool) -> Result<f64> {
    let mut tasks = JoinSet::new();
    let begin = Instant::now();
    for projects in projects.chunks(projects.len().div_ceil(writers)) {
        let (store, projects) = (Arc::clone(store), projects.to_vec());
        tasks.spawn(async move {
            for project in projects {
                if is_told { tell(&store, project).await? } else { transact(&store, project).await? }
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(per_second(projects.len(), begin.elapsed()))
}

/// Changes one row and appends an event.
async fn tell(store: &SeaStore, project: ProjectId) -> Result<()> {
    let transaction = store.begin().await?;
    transaction.projects().adjust_task_counts(project, 1, 0, None).await?;
    let event = NewEvent {
        id: EventId::generate(),
        kind: EventType::TaskUpdated,
        project_id: project,
        actor_id: None,
        occurred_at: Timestamp::now(),
        data: format!("{{\"title\":\"{}\"}}", "x".repeat(BYTES)),
        previous: None,
        request_id: None,
    };
    transaction.events().append(&[event]).await?;
    Ok(transaction.commit().await?)
}
