//! Cost of one user's searches for the others: requests of another user and the health check, quiet and beside 20 clients
//! that search a project of 300,000 tasks without a pause.
//!
//! Quiet and busy phases alternate, so that other load on the machine affects both. An error for the other user ends the
//! measurement.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::task::JoinSet;

use crate::check_goal;
use crate::client::{self, Connection};
use crate::databases::{self, Databases};
use crate::processes::Server;
use crate::seed_tasks;
use crate::stats::{median, microseconds, percentile};

/// Number of tasks in the searched project, unless `BENCH_TASKS` is set.
const TASKS: i64 = 300_000;
/// Number of concurrent searches.
const SEARCHERS: usize = 20;
/// Number of quiet and of busy phases.
const ROUNDS: usize = 4;
/// Duration of a phase.
const PHASE: Duration = Duration::from_secs(3);
/// Maximum ratio of a busy request to a quiet one.
const GOAL: f64 = 3.0;

pub(crate) fn print_header() {
    println!(
        "{:<26} {:<10} {:>9} {:>9} {:>9} {:>8} {:>8}  {:<7}",
        "another user's request", "engine", "quiet µs", "busy µs", "p99 µs", "ratio", "goal", "met"
    );
}

pub(crate) async fn measure(engine: &str, databases: &Databases) -> Result<()> {
    let tasks = seed_tasks::tasks(TASKS)?;
    let content = databases.fill().await?;
    let server = Server::start(&databases.url, databases.folder.path()).await?;
    let mut api = Connection::open(server.address).await?;
    let searched = databases::new_project(&mut api, &content.token).await?;
    let bob = databases::register(&mut api, "bob").await?.token;
    let project = databases::new_project(&mut api, &bob).await?;
    let path = format!("/v1/projects/{project}/tasks");
    let task = api.json(&client::post(&path, &bob, &databases::new_task("Order tiles"))).await?;
    let task = task["id"].as_str().context("no id")?.to_owned();
    drop(server);
    seed_tasks::fill(&databases.url, &searched, &content, tasks).await.context("filling the searched project")?;

    let server = Server::start(&databases.url, databases.folder.path()).await?;
    let search = client::get(&format!("/v1/projects/{searched}/tasks?q=nothing%20has%20this"), &content.token);
    let requests = [
        ("GET a task", client::get(&format!("/v1/tasks/{task}"), &bob)),
        ("POST a task", client::post(&path, &bob, &databases::new_task("Order more tiles"))),
        ("GET 20 tasks", client::get(&path, &bob)),
        ("GET /health/ready", client::get("/health/ready", "")),
    ];
    let mut times = requests.each_ref().map(|_| [Vec::new(), Vec::new()]);
    let (mut found, mut refused) = (0, 0);
    for _ in 0..ROUNDS {
        phase(&server, &requests, &mut times, 0).await?;
        let mut searchers = JoinSet::new();
        for _ in 0..SEARCHERS {
            searchers.spawn(search_until(
                Connection::open(server.address).await?,
                search.clone(),
                Instant::now() + PHASE,
            ));
        }
        phase(&server, &requests, &mut times, 1).await?;
        while let Some(searched) = searchers.join_next().await {
            let (more_found, more_refused) = searched??;
            found += more_found;
            refused += more_refused;
        }
    }
    println!("{engine}: {found} searches among {tasks} tasks were answered, and {refused} refused.");
    for ((name, _), [quiet, busy]) in requests.iter().zip(times) {
        let (quiet, p99, busy) = (median(quiet)?, percentile(&busy, 99)?, median(busy)?);
        let ratio = busy / quiet;
        println!(
            "{name:<26} {engine:<10} {quiet:>9.0} {busy:>9.0} {p99:>9.0} {ratio:>6.2} x {GOAL:>6.1} x  {:<7}",
            check_goal(ratio <= GOAL)
        );
    }
    Ok(())
}

/// Sends the requests in turn for one phase.
async fn phase<const N: usize>(
    server: &Server,
    requests: &[(&str, Vec<u8>); N],
    times: &mut [[Vec<f64>; 2]; N],
    which: usize,
) -> Result<()> {
    let mut api = Connection::open(server.address).await?;
    let end = Instant::now() + PHASE;
    while Instant::now() < end {
        for ((name, request), times) in requests.iter().zip(&mut *times) {
            let begin = Instant::now();
            api.exchange(request).await.with_context(|| (*name).to_owned())?;
            times[which].push(microseconds(begin.elapsed()));
        }
    }
    Ok(())
}

/// Searches until `end`, and returns the numbers of answered and of rejected searches.
async fn search_until(mut api: Connection, search: Vec<u8>, end: Instant) -> Result<(u32, u32)> {
    let (mut found, mut refused) = (0, 0);
    while Instant::now() < end {
        match api.send(&search).await?.0 {
            200 => found += 1,
            429 | 503 => refused += 1,
            status => ensure!(false, "a search was answered with {status}"),
        }
    }
    Ok((found, refused))
}
