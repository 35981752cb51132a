//! Cost of the API: the product compared with a handler that only does the work (see `bare`).
//!
//! Both are separate processes on this machine with copies of the same data, alternating under the same load. The difference
//! is the cost of authentication, validation, permissions, limits and logs. CPU time per request, which other processes
//! hardly affect, is shown too; it excludes the database on PostgreSQL but includes it on SQLite.
//!
//! Before the measurement, both are checked to return the same responses. Two further numbers concern operators: the time
//! to start with an existing SQLite file, and the memory in use after the first request.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};

use crate::client::{self, Connection};
use crate::compare::{Performance, compare, median};
use crate::data::{self, Content, Databases};
use crate::processes::Server;
use crate::verdict;

/// Number of starts of the product.
const STARTS: usize = 9;
/// Maximum time of a start, in milliseconds.
const START_GOAL: f64 = 100.0;
/// Maximum memory after a start, in megabytes.
const MEMORY_GOAL: f64 = 40.0;

/// Kind of request.
struct Case {
    name: &'static str,
    /// Minimum ratio of the product's requests a second to the baseline's.
    goal: f64,
    requests: Arc<[Vec<u8>]>,
    /// True if repeated requests return the same response.
    repeatable: bool,
}

/// Prints the header of the table.
pub(crate) fn head() {
    println!(
        "{:<38} {:<10} {:>10} {:>10} {:>6} {:>6}  {:<7}  CPU µs per request, bare : ours",
        "case", "engine", "bare req/s", "ours req/s", "ratio", "goal", "met"
    );
}

/// Prints the results of one engine.
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

/// Starts the product repeatedly with an existing file.
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
