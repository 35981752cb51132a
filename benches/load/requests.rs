//! What the contract costs: the product beside a handler that only does the work (see `bare`).
//!
//! Both are processes of their own on this machine, each with a copy of the same data, under the same load in turn. What
//! is left of the bare handler's requests per second is what the contract costs: authentication, validation,
//! permissions, limits, logs. Processor time per request, which neighbours hardly change, stands beside it; on PostgreSQL
//! it leaves out the database, on SQLite it cannot.
//!
//! Before anything is measured, it is checked that both answer the same. Two more numbers concern an operator: how long
//! a start takes on an existing SQLite file, and how much memory is in use after the first request.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};

use crate::client::{self, Connection};
use crate::compare::{Performance, compare, median};
use crate::data::{self, Content, Databases};
use crate::processes::Server;
use crate::verdict;

/// How often the product is started.
const STARTS: usize = 9;
/// The time within which a start should be over, in milliseconds.
const START_GOAL: f64 = 100.0;
/// The memory that should be enough after a start, in megabytes.
const MEMORY_GOAL: f64 = 40.0;

/// One kind of request.
struct Case {
    name: &'static str,
    /// The share of the bare handler's requests per second that should be left.
    goal: f64,
    requests: Arc<[Vec<u8>]>,
    /// Whether asking again gives the same answer.
    repeatable: bool,
}

/// Prints the head of the table.
pub(crate) fn head() {
    println!(
        "{:<38} {:<10} {:>10} {:>10} {:>6} {:>6}  {:<7}  CPU µs per request, bare : ours",
        "case", "engine", "bare req/s", "ours req/s", "ratio", "goal", "met"
    );
}

/// Prints what one engine adds to the table.
pub(crate) async fn measure(engine: &str, databases: &Databases) -> Result<()> {
    let content = databases.fill().await?;
    databases.copy().await.context("copying the database")?;
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

fn processor(performance: Performance) -> String {
    performance.processor.map_or_else(|| "?".to_owned(), |microseconds| format!("{microseconds:.0}"))
}
