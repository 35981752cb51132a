//! Measures the API: `make bench`, and `.ci/with-postgres make bench` for PostgreSQL too.
//!
//! Times are unreliable on a shared machine, while ratios of times from the same second are not. Each part therefore
//! alternates between two measurements, and its goals are ratios: the cost of the API over a bare handler (`requests`),
//! of pages deep in a list (`depth`), of the lists of a member of 10,000 projects (`visible`), of the job queue (`jobs`), of
//! the event feed (`feed`), of event streams (`streams`), of webhook deliveries (`deliveries`) and of one user's searches
//! for others (`searches`), and the speed-up by a batch (`batch`). A missed goal is reported but is not an error, because
//! other processes may be the cause.
//!
//! `cargo bench --locked -- depth batch` runs only those parts. `BENCH_TASKS=50000` reduces the 1,000,000 tasks for trials.

#![expect(clippy::print_stdout, reason = "a benchmark is there to be read")]

mod bare;
mod batch;
mod client;
mod compare;
mod data;
mod deliveries;
mod depth;
mod feed;
mod jobs;
mod large;
mod library;
mod many;
mod processes;
mod requests;
mod searches;
mod streams;
mod turns;
mod visible;

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use data::Databases;

/// The same allocator as the product's, for the baseline in this executable.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Timeout of a part on one engine.
const LIMIT: Duration = Duration::from_mins(6);

/// Part of the benchmark.
#[derive(Clone, Copy)]
enum Part {
    Requests,
    Depth,
    Visible,
    Batch,
    Jobs,
    Feed,
    Streams,
    Deliveries,
    Searches,
}

impl Part {
    const ALL: [(&str, Self); 9] = [
        ("requests", Self::Requests),
        ("depth", Self::Depth),
        ("visible", Self::Visible),
        ("batch", Self::Batch),
        ("jobs", Self::Jobs),
        ("feed", Self::Feed),
        ("deliveries", Self::Deliveries),
        ("streams", Self::Streams),
        ("searches", Self::Searches),
    ];

    fn head(self) {
        match self {
            Self::Requests => requests::head(),
            Self::Depth => depth::head(),
            Self::Visible => visible::head(),
            Self::Batch => batch::head(),
            Self::Jobs => jobs::head(),
            Self::Feed => feed::head(),
            Self::Deliveries => deliveries::head(),
            Self::Streams => streams::head(),
            Self::Searches => searches::head(),
        }
    }

    async fn measure(self, engine: &str, databases: &Databases) -> Result<()> {
        match self {
            Self::Requests => requests::measure(engine, databases).await,
            Self::Depth => depth::measure(engine, databases).await,
            Self::Visible => visible::measure(engine, databases).await,
            Self::Batch => batch::measure(engine, databases).await,
            Self::Jobs => jobs::measure(engine, databases).await,
            Self::Feed => feed::measure(engine, databases).await,
            Self::Deliveries => deliveries::measure(engine, databases).await,
            Self::Streams => streams::measure(engine, databases).await,
            Self::Searches => searches::measure(engine, databases).await,
        }
    }
}

fn main() -> Result<()> {
    if std::env::args().nth(1).as_deref() == Some(processes::BARE) {
        return bare::main();
    }
    let parts = parts()?;
    let postgres = std::env::var("TEST_POSTGRES_URL").ok();
    // One thread, to leave the machine to the servers.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        for part in parts {
            part.head();
            on_engine(part, "SQLite", Databases::sqlite()?).await?;
            if let Some(url) = &postgres {
                on_engine(part, "PostgreSQL", Databases::postgres(url.clone())?).await?;
            }
            println!();
        }
        if postgres.is_none() {
            println!("PostgreSQL is left out: TEST_POSTGRES_URL is not set.");
        }
        Ok(())
    })
}

/// Parts named on the command line, or all.
fn parts() -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    // Cargo adds an option that is irrelevant here.
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

/// Measures on one engine until the end, a failure or an interrupt, and cleans up.
async fn on_engine(part: Part, engine: &str, databases: Databases) -> Result<()> {
    let result = tokio::select! {
        result = part.measure(engine, &databases) => result,
        () = tokio::time::sleep(LIMIT) => Err(anyhow!("the benchmark takes too long")),
        _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
    };
    databases.remove().await.context("removing the databases")?;
    result
}

const fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "NOT MET" }
}
