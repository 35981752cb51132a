//! Time from the start of the server to its first response, and its memory after that, on an existing SQLite file.

use anyhow::Result;

use crate::check_goal;
use crate::client::{self, Connection};
use crate::databases::Databases;
use crate::processes::Server;
use crate::stats::median;

/// Number of starts.
const STARTS: usize = 9;
/// Maximum time of a start, in milliseconds.
const TIME_GOAL: f64 = 100.0;
/// Maximum resident memory after a start, in megabytes.
const MEMORY_GOAL: f64 = 40.0;

pub(crate) fn print_header() {
    println!("{:<38} {:<10} {:>10} {:>10}  {:<7}", "case", "engine", "measured", "goal", "met");
}

pub(crate) async fn measure(engine: &str, databases: &Databases) -> Result<()> {
    let content = databases.fill().await?;
    let request = client::get(&format!("/v1/projects/{}/tasks", content.project), &content.token);
    let (mut times, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let server = Server::start(&databases.url, databases.folder.path()).await?;
        Connection::open(server.address).await?.exchange(&request).await?;
        times.push(server.startup.as_secs_f64() * 1e3);
        memory.extend(server.resident_megabytes());
    }
    let time = median(times)?;
    let met = check_goal(time < TIME_GOAL);
    println!("{:<38} {engine:<10} {time:>7.0} ms {TIME_GOAL:>7.0} ms  {met:<7}", "start to first response");
    // Only Linux has /proc.
    if let Ok(memory) = median(memory) {
        let met = check_goal(memory < MEMORY_GOAL);
        println!("{:<38} {engine:<10} {memory:>7.1} MB {MEMORY_GOAL:>7.1} MB  {met:<7}", "memory after one request");
    }
    Ok(())
}
