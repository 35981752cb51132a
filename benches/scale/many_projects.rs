//! Cost of the lists of a reader who is a member of 10,000 projects with 1,000,000 tasks.
//!
//! The lists of projects and tasks look at every membership, so the baseline is reading those from the database; the list of
//! all tasks adds one index lookup per membership. Also compared: a later page, a reader with 10 projects, and the same page by
//! sorting all tasks, which version 1 does for distant pages.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, PgConnection, SqliteConnection};
use uuid::Uuid;

use crate::check_goal;
use crate::client::{self, Connection};
use crate::databases::{Databases, User, register};
use crate::filters;
use crate::processes::{self, Server};
use crate::seed_users::{self, SeedUsers};
use crate::stats::{median, microseconds};

/// Environment variable with a number of tasks.
const VARIABLE: &str = "BENCH_TASKS";
const TASKS: i64 = 1_000_000;
/// Average number of tasks per project.
const TASKS_EACH: i64 = 100;
/// Number of projects of the other reader.
const FEW: i64 = 10;
/// Number of pages of 100 tasks before the later page.
const STRIDES: usize = 30;

/// Minimum duration of a comparison, and its minimum number of turns.
const DURATION: Duration = Duration::from_secs(1);
const MIN_TURNS: usize = 3;

/// Maximum ratio of a page to reading the memberships.
const TASKS_GOAL: f64 = 12.0;
const PROJECTS_GOAL: f64 = 3.0;
/// Maximum ratio of the later page to the first.
const DEPTH_GOAL: f64 = 1.5;

/// Maximum ratio of a list of all projects to a page of one.
const ONE_PROJECT_GOAL: f64 = 3.0;

/// Lists of all projects.
const LISTS: [&str; 6] = [
    "/v2/tasks?limit=20",
    "/v2/tasks?limit=20&q=zanzibar",
    "/v2/tasks?limit=20&label=rare",
    "/v2/tasks?limit=20&status=done",
    "/v2/tasks?limit=20&due_before=2025-02-01T00:00:00Z&sort=title&dir=asc",
    "/v1/events?limit=20&order=desc",
];

const SORTS: [(&str, &str); 4] = [("created_at", "desc"), ("due_at", "asc"), ("title", "asc"), ("priority", "asc")];

/// Selects the memberships of a user in projects that are not deleted.
const MEMBERSHIPS: &str = r#"SELECT "members"."project_id", "members"."role", "projects"."created_at" FROM "members"
    INNER JOIN "projects" ON "projects"."id" = "members"."project_id"
    WHERE "members"."user_id" = $1 AND "projects"."deleted_at" IS NULL"#;

/// A plain database connection, as the baseline.
enum Baseline {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Baseline {
    async fn connect(url: &str) -> Result<Self> {
        if url.starts_with("sqlite:") {
            let options = url.parse::<SqliteConnectOptions>()?.read_only(true);
            return Ok(Self::Sqlite(SqliteConnection::connect_with(&options).await?));
        }
        Ok(Self::Postgres(PgConnection::connect(url).await?))
    }

    async fn memberships(&mut self, user: Uuid) -> Result<usize> {
        Ok(match self {
            Self::Sqlite(connection) => sqlx::query(MEMBERSHIPS).bind(user).fetch_all(connection).await?.len(),
            Self::Postgres(connection) => sqlx::query(MEMBERSHIPS).bind(user).fetch_all(connection).await?.len(),
        })
    }
}

/// One side of a comparison.
#[derive(Clone, Copy)]
enum Turn<'a> {
    Memberships,
    Request(&'a [u8]),
}

struct Lists {
    // Runs until the lists are dropped.
    _server: Server,
    api: Connection,
    baseline: Baseline,
    everywhere: User,
    somewhere: User,
    projects: i64,
}

pub(crate) fn print_header() {
    println!(
        "{:<84} {:<10} {:>10} {:>10} {:>8} {:>8}  {:<7}",
        "case, first : other", "engine", "first µs", "other µs", "ratio", "goal", "met"
    );
}

pub(crate) async fn measure(engine: &str, databases: &Databases) -> Result<()> {
    let mut lists = fill(engine, databases).await?;
    let (projects, token) = (lists.projects, lists.everywhere.token.clone());
    let page = |token: &str, rest: &str| client::get(&format!("/v2/tasks?limit=20{rest}"), token);

    let list = client::get("/v1/projects?limit=20", &token);
    // At most 1,000 are counted.
    let total = &lists.api.json(&list).await?["meta"]["total"];
    ensure!(*total == projects.min(1_000), "the reader has another number of projects");
    let name = format!("{projects} memberships : projects");
    lists.compare(engine, &name, [Turn::Memberships, Turn::Request(&list)], Some(PROJECTS_GOAL)).await?;

    for (field, direction) in SORTS {
        let sort = format!("&sort={field}&dir={direction}");
        let first = page(&token, &sort);
        let name = format!("{projects} memberships : tasks, {field} {direction}");
        lists.compare(engine, &name, [Turn::Memberships, Turn::Request(&first)], Some(TASKS_GOAL)).await?;

        let cursor = lists.walk(&sort).await.with_context(|| format!("reading by {field}"))?;
        let later = page(&token, &format!("{sort}{cursor}"));
        let name = format!("page 1 : {}, {field} {direction}", 1 + STRIDES * 5);
        lists.compare(engine, &name, [Turn::Request(&first), Turn::Request(&later)], Some(DEPTH_GOAL)).await?;

        let few = page(&lists.somewhere.token, &sort);
        let name = format!("{FEW} projects : {projects}, {field} {direction}");
        lists.compare(engine, &name, [Turn::Request(&few), Turn::Request(&first)], None).await?;

        // Far enough for the server to sort all tasks.
        let sorted = client::get(&format!("/v1/tasks?limit=20&offset={}{sort}", STRIDES * 100), &token);
        let [by_cursor, by_number] = [lists.api.json(&later).await?, lists.api.json(&sorted).await?];
        ensure!(by_cursor["data"] == by_number["data"], "{sort}: the pages by cursor and by number differ");
        let name = format!("by cursor : by sorting, {field} {direction}");
        lists.compare(engine, &name, [Turn::Request(&later), Turn::Request(&sorted)], None).await?;
    }
    lists.compare_with_one_project(engine).await
}

/// Creates the projects and their tasks.
async fn fill(engine: &str, databases: &Databases) -> Result<Lists> {
    let tasks = match std::env::var(VARIABLE) {
        Ok(tasks) => tasks.parse().with_context(|| format!("{VARIABLE} must be a number"))?,
        Err(_) => TASKS,
    };
    let projects = tasks / TASKS_EACH;
    ensure!((FEW * 10..=100_000).contains(&projects), "{VARIABLE} must be 10000 to 10000000");
    let begin = Instant::now();
    databases.create().await?;
    processes::migrate(&databases.url, databases.folder.path())?;
    let server = Server::start(&databases.url, databases.folder.path()).await?;
    let mut api = Connection::open(server.address).await?;
    let owner = register(&mut api, "owner").await?;
    let (everywhere, somewhere) = (register(&mut api, "everywhere").await?, register(&mut api, "somewhere").await?);
    drop(server);
    let users =
        SeedUsers { owner: &owner.id, everywhere: &everywhere.id, somewhere: &somewhere.id, projects, few: FEW, tasks };
    seed_users::fill(&databases.url, &users).await.context("filling the projects")?;
    println!(
        "{engine}: it took {:.0} s to create {tasks} tasks in {projects} projects.",
        begin.elapsed().as_secs_f64()
    );
    let server = Server::start(&databases.url, databases.folder.path()).await?;
    let api = Connection::open(server.address).await?;
    let baseline = Baseline::connect(&databases.url).await?;
    Ok(Lists { _server: server, api, baseline, everywhere, somewhere, projects })
}

impl Lists {
    /// Reads pages up to the later page, and returns the query parameter with its cursor.
    async fn walk(&mut self, sort: &str) -> Result<String> {
        let mut cursor = String::new();
        for _ in 0..STRIDES {
            let page = client::get(&format!("/v2/tasks?limit=100{sort}{cursor}"), &self.everywhere.token);
            let page = self.api.json(&page).await?;
            // A cursor needs no percent-encoding.
            let next = page["meta"]["next_cursor"].as_str().context("the list ends too early")?;
            cursor = format!("&cursor={next}");
        }
        Ok(cursor)
    }

    /// Compares lists of all projects with a page of one project.
    async fn compare_with_one_project(&mut self, engine: &str) -> Result<()> {
        let token = self.everywhere.token.clone();
        let projects = self.api.json(&client::get("/v1/projects?limit=1", &token)).await?;
        let project = projects["data"][0]["id"].as_str().context("a project without an id")?;
        filters::add_rare(&mut self.api, &token, project).await?;
        let one = client::get(&format!("/v2/projects/{project}/tasks?limit=20"), &token);
        for path in LISTS {
            let all = client::get(path, &token);
            let name = format!("one project : {path}");
            self.compare(engine, &name, [Turn::Request(&one), Turn::Request(&all)], Some(ONE_PROJECT_GOAL)).await?;
        }
        Ok(())
    }

    async fn turn(&mut self, turn: Turn<'_>) -> Result<f64> {
        let begin = Instant::now();
        match turn {
            Turn::Memberships => {
                let found = self.baseline.memberships(Uuid::parse_str(&self.everywhere.id)?).await?;
                ensure!(i64::try_from(found) == Ok(self.projects), "the reader has another number of memberships");
            }
            Turn::Request(request) => {
                self.api.exchange(request).await?;
            }
        }
        Ok(microseconds(begin.elapsed()))
    }

    async fn compare(&mut self, engine: &str, name: &str, turns: [Turn<'_>; 2], goal: Option<f64>) -> Result<()> {
        let [first, other] = turns;
        for turn in turns {
            // Loads the rows into memory.
            self.turn(turn).await.with_context(|| format!("{name} on {engine}"))?;
        }
        let (mut firsts, mut others) = (Vec::new(), Vec::new());
        let begin = Instant::now();
        while firsts.len() < MIN_TURNS || begin.elapsed() < DURATION {
            firsts.push(self.turn(first).await?);
            others.push(self.turn(other).await?);
        }
        let ratio = median(others.iter().zip(&firsts).map(|(other, first)| other / first).collect())?;
        println!(
            "{name:<84} {engine:<10} {:>10.0} {:>10.0} {ratio:>6.2} x {:>8}  {:<7}",
            median(firsts)?,
            median(others)?,
            goal.map_or_else(|| "-".to_owned(), |goal| format!("{goal:.1} x")),
            goal.map_or("-", |goal| check_goal(ratio <= goal)),
        );
        Ok(())
    }
}
