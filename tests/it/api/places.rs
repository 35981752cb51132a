//! The order of the tasks of a project, as its members see it.

use serde_json::{Value, json};

use crate::support::{Answer, Client};

/// Moves a task.
pub(super) async fn relocate(client: &Client, task: &Value, to: &Value) -> Answer {
    client.post(format!("/v1/tasks/{}/move", task["id"].as_str().unwrap()), to.clone()).await
}

/// Makes a task for each letter, in their order.
pub(super) async fn tasks(client: &Client, project: &str, titles: &str) -> Vec<Value> {
    let mut tasks = Vec::new();
    for title in titles.chars() {
        tasks.push(client.task(project, json!({"title": title})).await);
    }
    tasks
}

/// All tasks of a project in their order.
pub(super) async fn in_order(client: &Client, project: &str) -> Vec<Value> {
    let mut tasks = Vec::new();
    loop {
        let path = format!("/v1/projects/{project}/tasks?sort=position&limit=100&offset={}", tasks.len());
        let page = client.get(path).await.ok();
        tasks.extend(page["data"].as_array().unwrap().iter().cloned());
        if page["meta"]["has_more"] == false {
            return tasks;
        }
    }
}

/// The titles of all tasks of a project in their order.
pub(super) async fn titles(client: &Client, project: &str) -> String {
    in_order(client, project).await.iter().map(|task| task["title"].as_str().unwrap().to_owned()).collect()
}

/// How many tasks a project says it has, and how many of them are done.
pub(super) async fn counts(client: &Client, project: &str) -> (i64, i64) {
    let counts = &client.get(format!("/v1/projects/{project}")).await.ok()["task_counts"];
    (counts["total"].as_i64().unwrap(), counts["done"].as_i64().unwrap())
}

/// Everything that the user can see of projects and tasks, the trash too.
pub(super) async fn everything(client: &Client) -> Vec<Value> {
    let mut everything = Vec::new();
    for list in ["/v1/projects", "/v1/projects?deleted=true", "/v1/tasks", "/v1/tasks?deleted=true"] {
        let separator = if list.contains('?') { '&' } else { '?' };
        let list = client.get(format!("{list}{separator}limit=100&sort=created_at")).await.ok();
        assert_eq!(list["meta"]["has_more"], false, "a page holds it all");
        everything.push(list);
    }
    everything
}
