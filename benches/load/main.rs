//! Benchmarks: `make bench`, and `.ci/with-postgres make bench` for PostgreSQL too.
//!
//! A time says little on a shared machine; the ratio of two times from the same second says more. Most parts alternate
//! between two things and state their goals as ratios. A missed goal is reported and is not a failure, because other
//! processes can be the cause.
//!
//! `cargo bench --locked -- deep_pages streams` runs those parts only. `BENCH_TASKS=50000` shrinks the large lists, which
//! have up to 1,000,000 tasks.
//!
//! Plain HTTP load needs no benchmark of its own. Start the release build with `RATE_LIMIT_API_PER_MINUTE=0` and use `oha`:
//!
//! ```text
//! oha -z 10s -c 16 -H "Authorization: Bearer $TOKEN" "http://127.0.0.1:3000/v1/projects/$PROJECT/tasks?limit=20"
//! ```

#![expect(clippy::print_stdout, reason = "a benchmark prints its results")]

mod client;
mod databases;
mod deep_pages;
mod deliveries;
mod interleave;
mod many_projects;
mod processes;
mod searches;
mod seed_tasks;
mod seed_users;
mod startup;
mod stats;
mod streams;

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use databases::Databases;

/// Maximum time of a part on one engine.
const PART_TIMEOUT: Duration = Duration::from_mins(6);

/// A benchmark that can run alone.
#[derive(Clone, Copy)]
enum Part {
    Startup,
    DeepPages,
    ManyProjects,
    Streams,
    Deliveries,
    Searches,
}

impl Part {
    const ALL: [(&str, Self); 6] = [
        ("startup", Self::Startup),
        ("deep_pages", Self::DeepPages),
        ("many_projects", Self::ManyProjects),
        ("deliveries", Self::Deliveries),
        ("streams", Self::Streams),
        ("searches", Self::Searches),
    ];

    fn print_header(self) {
        match self {
            Self::Startup => startup::print_header(),
            Self::DeepPages => deep_pages::print_header(),
            Self::ManyProjects => many_projects::print_header(),
            Self::Deliveries => deliveries::print_header(),
            Self::Streams => streams::print_header(),
            Self::Searches => searches::print_header(),
        }
    }

    async fn measure(self, engine: &str, databases: &Databases) -> Result<()> {
        match self {
            Self::Startup => startup::measure(engine, databases).await,
            Self::DeepPages => deep_pages::measure(engine, databases).await,
            Self::ManyProjects => many_projects::measure(engine, databases).await,
            Self::Deliveries => deliveries::measure(engine, databases).await,
            Self::Streams => streams::measure(engine, databases).await,
            Self::Searches => searches::measure(engine, databases).await,
        }
    }
}

fn main() -> Result<()> {
    let parts = parts()?;
    let postgres = std::env::var("TEST_POSTGRES_URL").ok();
    // One thread, which leaves the other processors to the server.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        for part in parts {
            part.print_header();
            run(part, "SQLite", Databases::sqlite()?).await?;
            if let Some(url) = &postgres {
                run(part, "PostgreSQL", Databases::postgres(url.clone())?).await?;
            }
            println!();
        }
        if postgres.is_none() {
            println!("PostgreSQL is left out: TEST_POSTGRES_URL is not set.");
        }
        Ok(())
    })
}

/// Returns the parts that the command line names, or all.
fn parts() -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    // Cargo adds `--bench`.
    for argument in std::env::args().skip(1).filter(|argument| !argument.starts_with('-')) {
        match Part::ALL.into_iter().find(|(name, _)| *name == argument) {
            Some((_, part)) => parts.push(part),
            None => bail!("there is no part {argument}, only {}", Part::ALL.map(|(name, _)| name).join(", ")),
        }
    }
    if parts.is_empty() {
        parts.extend(Part::ALL.map(|(_, part)| part));
    }
    Ok(parts)
}

/// Runs a part on one engine until it ends, fails, hangs or is interrupted; then removes its database.
async fn run(part: Part, engine: &str, databases: Databases) -> Result<()> {
    let result = tokio::select! {
        result = part.measure(engine, &databases) => result,
        () = tokio::time::sleep(PART_TIMEOUT) => Err(anyhow!("the benchmark takes too long")),
        _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
    };
    databases.remove().await.context("removing the database")?;
    result
}

const fn check_goal(met: bool) -> &'static str {
    if met { "met" } else { "NOT MET" }
}
