//! Cost of page 5,000 of a project with 1,000,000 tasks, compared with page 1, and of its filtered lists.
//!
//! Cursors (v2) must make every page cost the same, regardless of the sort order. Page numbers (v1) cannot; but the total that
//! comes with a page must not depend on the number of tasks.
//!
//! Each page is requested many times, so its rows are in memory. First it is checked that both ways return the same tasks.

use std::fmt::Write as _;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::check_goal;
use crate::client::{self, Connection};
use crate::databases::{self, Databases};
use crate::interleave::interleave;
use crate::processes::Server;
use crate::{filters, seed_tasks};

/// Number of tasks in the project, unless `BENCH_TASKS` is set.
const TASKS: i64 = 1_000_000;
/// Page that is compared with the first, or the last page.
const DEEP_PAGE: i64 = 5_000;
/// Tasks per page.
const LIMIT: i64 = 20;
/// Tasks per page on the way to the deep page.
const STRIDE: i64 = 100;
/// Maximum total of a filtered list.
const MAX_COUNTED: i64 = 1_000;
/// Requests per turn.
const REQUESTS: u8 = 5;

/// Maximum ratio of the deep page to the first, by cursor.
const DEPTH_GOAL: f64 = 1.3;
/// Maximum ratio of the first page of the large project to that of the small one.
const TOTAL_GOAL: f64 = 1.5;

/// Sort orders. Descending by due time, tasks without one come first: the deep page lies among ties.
const SORTS: [(&str, &str); 5] =
    [("created_at", "desc"), ("title", "asc"), ("due_at", "asc"), ("due_at", "desc"), ("priority", "asc")];

/// A server with a small and a large project.
pub(crate) struct Lists {
    server: Server,
    pub(crate) token: String,
    /// Id of the small project.
    pub(crate) small: String,
    /// Id of the large project.
    pub(crate) large: String,
    tasks: i64,
}

pub(crate) fn print_header() {
    println!(
        "{:<54} {:<10} {:>10} {:>10} {:>8} {:>8}  {:<7}",
        "case, first : other", "engine", "first µs", "other µs", "ratio", "goal", "met"
    );
}

pub(crate) async fn measure(engine: &str, databases: &Databases) -> Result<()> {
    let lists = fill(engine, databases).await?;
    let tasks = lists.tasks;
    let deep = DEEP_PAGE.min(tasks / LIMIT);
    let first = lists.numbered(&lists.large, 1, "");
    ensure!(lists.json(&first).await?["meta"]["total"] == tasks, "the project has another number of tasks");

    let small = lists.numbered(&lists.small, 1, "");
    let name = format!("v1 page 1 of {} : {tasks} tasks", databases::TASKS);
    lists.compare(engine, &name, [&small, &first], Some(TOTAL_GOAL)).await?;
    let by_number = lists.numbered(&lists.large, deep, "");
    lists.compare(engine, &format!("v1 page 1 : {deep}"), [&first, &by_number], None).await?;

    for (field, direction) in SORTS {
        let sort = format!("&sort={field}&dir={direction}");
        let first = lists.continued(LIMIT, &sort, None);
        let cursor = lists.walk(&sort, (deep - 1) * LIMIT).await.with_context(|| format!("reading by {field}"))?;
        let last = lists.continued(LIMIT, &sort, Some(&cursor));
        for (page, by_cursor) in [(1, &first), (deep, &last)] {
            let by_number = lists.json(&lists.numbered(&lists.large, page, &sort)).await?;
            let by_cursor = lists.json(by_cursor).await?;
            ensure!(by_number["data"] == by_cursor["data"], "{sort}: page {page} by cursor and by number differ");
        }
        let name = format!("v2 page 1 : {deep}, {field} {direction}");
        lists.compare(engine, &name, [&first, &last], Some(DEPTH_GOAL)).await?;
    }
    // The rare tasks come last, because the pages count all tasks.
    let mut api = Connection::open(lists.server.address).await?;
    for project in [&lists.small, &lists.large] {
        filters::add_rare(&mut api, &lists.token, project).await?;
    }
    filters::measure(engine, &lists).await
}

/// Creates the projects.
async fn fill(engine: &str, databases: &Databases) -> Result<Lists> {
    let tasks = seed_tasks::tasks(TASKS)?;
    ensure!(tasks >= 2 * STRIDE, "there must be at least {} tasks", 2 * STRIDE);
    let begin = Instant::now();
    let content = databases.fill().await?;
    let server = Server::start(&databases.url, databases.folder.path()).await?;
    let large = databases::new_project(&mut Connection::open(server.address).await?, &content.token).await?;
    drop(server);
    seed_tasks::fill(&databases.url, &large, &content, tasks).await.context("filling the large project")?;
    println!("{engine}: it took {:.0} s to create {tasks} tasks.", begin.elapsed().as_secs_f64());
    let server = Server::start(&databases.url, databases.folder.path()).await?;
    Ok(Lists { server, token: content.token, small: content.project, large, tasks })
}

impl Lists {
    /// Builds a request for a page by its number.
    fn numbered(&self, project: &str, page: i64, sort: &str) -> Vec<u8> {
        client::get(&format!("/v1/projects/{project}/tasks?limit={LIMIT}&page={page}{sort}"), &self.token)
    }

    /// Checks that filtered lists count at most 1,000 tasks, and that the last page is right nevertheless. Every fourth task
    /// is done.
    pub(crate) async fn check_totals(&self) -> Result<()> {
        let done = (self.tasks + 3) / 4;
        for (offset, has_more) in [(0, done > LIMIT), (done - LIMIT, false)] {
            let page = client::get(
                &format!("/v1/projects/{}/tasks?limit={LIMIT}&offset={offset}&status=done", self.large),
                &self.token,
            );
            let page = self.json(&page).await?;
            let (meta, length) = (&page["meta"], page["data"].as_array().map(Vec::len));
            ensure!(
                meta["total"] == done.min(MAX_COUNTED) && meta["total_is_exact"] == (done <= MAX_COUNTED),
                "{meta}"
            );
            ensure!(meta["has_more"] == has_more && length == usize::try_from(LIMIT).ok(), "{meta}");
        }
        Ok(())
    }

    /// Builds a request for the page of the large project after a cursor.
    fn continued(&self, limit: i64, sort: &str, cursor: Option<&str>) -> Vec<u8> {
        let cursor = cursor.map_or_else(String::new, |cursor| format!("&cursor={}", escape(cursor)));
        client::get(&format!("/v2/projects/{}/tasks?limit={limit}{sort}{cursor}", self.large), &self.token)
    }

    pub(crate) async fn json(&self, request: &[u8]) -> Result<Value> {
        Connection::open(self.server.address).await?.json(request).await
    }

    /// Reads pages until `tasks` tasks are passed, and returns the next cursor.
    async fn walk(&self, sort: &str, tasks: i64) -> Result<String> {
        let mut api = Connection::open(self.server.address).await?;
        let (mut passed, mut cursor) = (0, None);
        while passed < tasks {
            let limit = if tasks - passed < STRIDE { LIMIT } else { STRIDE };
            let page = api.json(&self.continued(limit, sort, cursor.as_deref())).await?;
            let length = page["data"].as_array().map(Vec::len).and_then(|length| i64::try_from(length).ok());
            ensure!(length == Some(limit), "after {passed} tasks a page of {limit} has {length:?}");
            passed += limit;
            cursor = page["meta"]["next_cursor"].as_str().map(str::to_owned);
            ensure!(cursor.is_some(), "no cursor after {passed} tasks");
        }
        cursor.context("nothing was read")
    }

    /// Compares two requests, and prints the result.
    pub(crate) async fn compare(
        &self,
        engine: &str,
        name: &str,
        pages: [&Vec<u8>; 2],
        goal: Option<f64>,
    ) -> Result<()> {
        let [first, other] = pages.map(|page| vec![page.clone(); usize::from(REQUESTS)]);
        let result = interleave(&self.server, &first, &other).await;
        let result = result.with_context(|| format!("{name} on {engine}"))?;
        let requests = f64::from(REQUESTS);
        println!(
            "{name:<54} {engine:<10} {:>10.0} {:>10.0} {:>6.2} x {:>8}  {:<7}",
            result.first / requests,
            result.other / requests,
            result.ratio,
            goal.map_or_else(|| "-".to_owned(), |goal| format!("{goal:.1} x")),
            goal.map_or("-", |goal| check_goal(result.ratio <= goal)),
        );
        Ok(())
    }
}

/// Percent-encodes the value of a query parameter.
fn escape(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a `String` does not fail.
            let _written = write!(escaped, "%{byte:02X}");
        }
        escaped
    })
}
