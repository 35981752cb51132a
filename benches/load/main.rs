//! Measures what the API costs: `make bench`, and `.ci/with-postgres make bench` for PostgreSQL too.
//!
//! A time says little on a machine that others use as well; the ratio of two times from the same second says more. So
//! the product is put beside a handler that only does the work (see `bare`): both are processes of their own on this
//! machine, each with a copy of the same data, under the same load in turn. What is left of the bare handler's requests
//! per second is what the contract costs: authentication, validation, permissions, limits, logs. The goals stand below;
//! missing one is reported and is no failure, because a neighbour can be at fault. Processor time per request, which
//! neighbours hardly change, stands beside it; on PostgreSQL it leaves out the database, on SQLite it cannot.
//!
//! Before anything is measured, it is checked that both answer the same. Two more numbers concern an operator: how long
//! a start takes on an existing SQLite file, and how much memory is in use after the first request.

#![expect(clippy::print_stdout, reason = "a benchmark is there to be read")]

mod bare;
mod client;
mod compare;
mod data;
mod processes;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use client::Connection;
use compare::{Performance, compare, median};
use data::{Content, Databases};
use processes::Server;

/// The bare handler, which is this executable, allocates as the product does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often the product is started.
const STARTS: usize = 9;
/// The time within which a start should be over, in milliseconds.
const START_GOAL: f64 = 100.0;
/// The memory that should be enough after a start, in megabytes.
const MEMORY_GOAL: f64 = 40.0;

/// After this long something hangs.
const LIMIT: Duration = Duration::from_mins(4);

/// One kind of request.
struct Case {
    name: &'static str,
    /// The share of the bare handler's requests per second that should be left.
    goal: f64,
    requests: Arc<[Vec<u8>]>,
    /// Whether asking again gives the same answer.
    repeatable: bool,
}

fn main() -> Result<()> {
    if std::env::args().nth(1).as_deref() == Some(processes::BARE) {
        return bare::main();
    }
    // One thread, because the load has to leave the machine to the servers.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        println!(
            "{:<38} {:<10} {:>10} {:>10} {:>6} {:>6}  {:<7}  CPU µs per request, bare : ours",
            "case", "engine", "bare req/s", "ours req/s", "ratio", "goal", "met"
        );
        on_engine("SQLite", Databases::sqlite()?).await?;
        let Ok(url) = std::env::var("TEST_POSTGRES_URL") else {
            println!("PostgreSQL is left out: TEST_POSTGRES_URL is not set.");
            return Ok(());
        };
        on_engine("PostgreSQL", Databases::postgres(url)?).await
    })
}

/// Measures on one engine, until all is done, something fails, or someone interrupts; and tidies up.
async fn on_engine(engine: &str, databases: Databases) -> Result<()> {
    let result = tokio::select! {
        result = measure(engine, &databases) => result,
        () = tokio::time::sleep(LIMIT) => Err(anyhow!("the benchmark takes too long")),
        _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
    };
    databases.remove().await.context("removing the databases")?;
    result
}

async fn measure(engine: &str, databases: &Databases) -> Result<()> {
    let content = databases.fill().await?;
    let cases = cases(&content);
    let bare = Server::bare(&databases.bare, &content.user).await?;
    let ours = Server::product(&databases.ours, databases.folder.path()).await?;
    for case in &cases {
        if case.repeatable {
            let [bare, ours] = [answer(&bare, case).await?, answer(&ours, case).await?];
            ensure!(bare == ours, "{}: the answers differ\nbare: {bare}\nours: {ours}", case.name);
        }
        let result = compare(&bare, &ours, &case.requests).await;
        let result = result.with_context(|| format!("{} on {engine}", case.name))?;
        println!(
            "{:<38} {engine:<10} {:>10.0} {:>10.0} {:>4.0} % {:>4.0} %  {:<7}  {} : {}",
            case.name,
            result.bare.rate,
            result.ours.rate,
            result.ratio * 100.0,
            case.goal * 100.0,
            verdict(result.ratio >= case.goal),
            processor(result.bare),
            processor(result.ours),
        );
    }
    if engine == "SQLite" {
        drop((bare, ours));
        start(databases, &cases[0]).await?;
    }
    Ok(())
}

fn cases(content: &Content) -> [Case; 3] {
    let Content { token, project, tasks, .. } = content;
    let list = format!("/v1/projects/{project}/tasks");
    let get_each = tasks.iter().map(|id| client::get(&format!("/v1/tasks/{id}"), token)).collect();
    let get_page = client::get(&format!("{list}?limit=20"), token);
    let create = client::post(&list, token, &data::new_task("Choose the tiles"));
    [
        Case { name: "GET /v1/tasks/{id}", goal: 0.60, requests: get_each, repeatable: true },
        Case {
            name: "GET /v1/projects/{id}/tasks?limit=20",
            goal: 0.50,
            requests: [get_page].into(),
            repeatable: true,
        },
        Case { name: "POST /v1/projects/{id}/tasks", goal: 0.60, requests: [create].into(), repeatable: false },
    ]
}

async fn answer(server: &Server, case: &Case) -> Result<serde_json::Value> {
    Connection::open(server.address).await?.json(&case.requests[0]).await
}

/// Starts the product on an existing file, again and again.
async fn start(databases: &Databases, case: &Case) -> Result<()> {
    let (mut times, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let server = Server::product(&databases.original, databases.folder.path()).await?;
        answer(&server, case).await?;
        times.push(server.start.as_secs_f64() * 1e3);
        memory.extend(server.resident_megabytes());
    }
    let time = median(times)?;
    let met = verdict(time < START_GOAL);
    println!("Start to the first 200, on an existing SQLite file: {time:.0} ms, goal below {START_GOAL} ms: {met}");
    let Ok(memory) = median(memory) else {
        println!("Resident memory is not measured: this system has no /proc.");
        return Ok(());
    };
    let met = verdict(memory < MEMORY_GOAL);
    println!("Resident memory after a start and one request: {memory:.1} MB, goal below {MEMORY_GOAL} MB: {met}");
    Ok(())
}

const fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "NOT MET" }
}

fn processor(performance: Performance) -> String {
    performance.processor.map_or_else(|| "?".to_owned(), |microseconds| format!("{microseconds:.0}"))
}
