//! Benchmarks of large databases, many streams and many deliveries: `make bench-scale`, and
//! `.ci/with-postgres make bench-scale` for PostgreSQL too.
//!
//! A time says little on a shared machine; the ratio of two times from the same second says more. Most parts alternate
//! between two things and state their goals as ratios. A missed goal is reported and is not a failure, because other
//! processes can be the cause.
//!
//! `make bench-scale PARTS="large_project streams"` runs those parts only. `BENCH_TASKS=50000` shrinks the large lists,
//! which have up to 1,000,000 tasks. `make bench` measures plain HTTP load.

#![expect(clippy::print_stdout, reason = "a benchmark prints its results")]

mod client;
mod databases;
mod deliveries;
mod filters;
mod interleave;
mod large_project;
mod many_projects;
mod processes;
mod searches;
mod seed_tasks;
mod seed_users;
mod stats;
mod streams;

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use databases::Databases;

/// Maximum time of a part on one engine.
const PART_TIMEOUT: Duration = Duration::from_mins(15);

/// A benchmark that can run alone.
#[derive(Clone, Copy)]
enum Part {
    LargeProject,
    ManyProjects,
    Streams,
    Deliveries,
    Searches,
}

impl Part {
    const ALL: [(&str, Self); 5] = [
        ("large_project", Self::LargeProject),
        ("many_projects", Self::ManyProjects),
        ("deliveries", Self::Deliveries),
        ("streams", Self::Streams),
        ("searches", Self::Searches),
    ];

    fn print_header(self) {
        match self {
            Self::LargeProject => large_project::print_header(),
            Self::ManyProjects => many_projects::print_header(),
            Self::Deliveries => deliveries::print_header(),
            Self::Streams => streams::print_header(),
            Self::Searches => searches::print_header(),
        }
    }

    async fn measure(self, engine: &str, databases: &Databases) -> Result<()> {
        match self {
            Self::LargeProject => large_project::measure(engine, databases).await,
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
    for argument in std::env::args().skip(1) {
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
