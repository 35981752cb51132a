//! Speed-up by a batch: 100 tasks created by one request, compared with 100 consecutive requests.
//!
//! Before the measurement, both ways are checked to create the same tasks.

use std::collections::HashSet;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::client::{self, Connection};
use crate::data::{self, Databases};
use crate::processes::Server;
use crate::turns::take_turns;
use crate::verdict;

/// Tasks per turn: the maximum of a batch.
const TASKS: u8 = 100;
/// Minimum speed-up of a batch.
const GOAL: f64 = 5.0;
/// Fields that differ from task to task.
const OWN: [&str; 4] = ["id", "position", "created_at", "updated_at"];

/// Prints the header of the table.
pub(crate) fn head() {
    println!(
        "{:<38} {:<10} {:>10} {:>10} {:>8} {:>8}  {:<7}",
        "case", "engine", "single t/s", "batch t/s", "faster", "goal", "met"
    );
}

/// Prints the results of one engine.
pub(crate) async fn measure(engine: &str, databases: &Databases) -> Result<()> {
    let content = databases.fill().await?;
    let server = Server::product(&databases.original, databases.folder.path()).await?;
    let list = format!("/v1/projects/{}/tasks", content.project);
    let task = data::new_task("Choose the tiles");
    let single = client::post(&list, &content.token, &task);
    let mut operation = task;
    operation["op"] = "create".into();
    let operations = json!({"operations": vec![operation; usize::from(TASKS)]});
    let batch = client::post(&format!("{list}/batch"), &content.token, &operations);
    let count = client::get(&format!("{list}?limit=1"), &content.token);
    check(&mut Connection::open(server.address).await?, &single, &batch, &count).await?;
    let result = take_turns(&server, &vec![single; usize::from(TASKS)], &[batch]).await?;
    let faster = 1.0 / result.ratio;
    println!(
        "{:<38} {engine:<10} {:>10.0} {:>10.0} {faster:>6.1} x {GOAL:>6.1} x  {:<7}",
        "100 x POST tasks : POST tasks/batch",
        rate(result.first),
        rate(result.other),
        verdict(faster >= GOAL),
    );
    Ok(())
}

/// Tasks a second, from the microseconds of a turn.
fn rate(microseconds: f64) -> f64 {
    f64::from(TASKS) * 1e6 / microseconds
}

/// Checks that both ways create the same tasks.
async fn check(api: &mut Connection, single: &[u8], batch: &[u8], count: &[u8]) -> Result<()> {
    let mut expected = api.json(single).await?;
    forget_own(&mut expected);
    let before = api.json(count).await?["meta"]["total"].as_u64();
    let mut answer = api.json(batch).await?;
    let after = api.json(count).await?["meta"]["total"].as_u64();
    ensure!(before.map(|before| before + u64::from(TASKS)) == after, "{before:?} tasks, and after a batch {after:?}");
    let results = answer["results"].as_array_mut().context("the answer to a batch lacks its results")?;
    ensure!(results.len() == usize::from(TASKS), "the answer to a batch has {} results", results.len());
    for own in ["id", "position"] {
        let different: HashSet<_> = results.iter().map(|task| task[own].to_string()).collect();
        ensure!(different.len() == usize::from(TASKS), "tasks of a batch have the same {own}");
    }
    for task in results {
        forget_own(task);
        ensure!(*task == expected, "the tasks differ\nsingle: {expected}\nbatch: {task}");
    }
    Ok(())
}

/// Removes the fields that differ from task to task.
fn forget_own(task: &mut Value) {
    for own in OWN {
        task[own] = Value::Null;
    }
}
