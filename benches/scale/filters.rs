//! Cost of filtered lists of a project with 1,000,000 tasks, compared with the same list of 1,000.
//!
//! Few tasks have the rare label and word, in both projects, so no page is ever full.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::client::{self, Connection};
use crate::large_project::Lists;

/// Number of tasks with the rare label and word, in each project.
const RARE: usize = 5;
/// Maximum ratio of a request to the large project to the same request to the small one.
const GOAL: f64 = 1.5;

/// Versions and queries.
const REQUESTS: [(&str, &str); 13] = [
    ("v1", "status=done"),
    ("v1", "priority=high"),
    ("v1", "label=kitchen"),
    ("v1", "label=rare"),
    ("v1", "q=zanzibar"),
    ("v1", "due_before=2025-02-01T00:00:00Z"),
    ("v2", "status=done"),
    ("v2", "label=kitchen"),
    ("v2", "label=rare"),
    ("v2", "q=zanzibar"),
    ("v2", "label=rare&sort=title&dir=asc"),
    ("v2", "q=zanzibar&sort=due_at&dir=asc"),
    ("v2", "due_before=2025-02-01T00:00:00Z&sort=title&dir=asc"),
];

/// Creates the rare tasks in a project.
pub(crate) async fn add_rare(api: &mut Connection, token: &str, project: &str) -> Result<()> {
    let task = json!({"title": "Ship to Zanzibar", "labels": ["rare"]});
    let request = client::post(&format!("/v1/projects/{project}/tasks"), token, &task);
    for _ in 0..RARE {
        api.exchange(&request).await?;
    }
    Ok(())
}

pub(crate) async fn measure(engine: &str, lists: &Lists) -> Result<()> {
    lists.check_totals().await?;
    for (version, query) in REQUESTS {
        let [small, large] = [&lists.small, &lists.large]
            .map(|project| client::get(&format!("/{version}/projects/{project}/tasks?limit=20&{query}"), &lists.token));
        if query.contains("rare") || query.contains("zanzibar") {
            let page = lists.json(&large).await?;
            ensure!(page["data"].as_array().map(Vec::len) == Some(RARE), "{query} does not find the rare tasks");
        }
        lists.compare(engine, &format!("{version} {query}"), [&small, &large], Some(GOAL)).await?;
    }
    Ok(())
}
