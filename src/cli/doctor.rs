//! `pocket-tasks doctor`: checks settings, schema, integrity, keys, jobs and counters.

use std::sync::Arc;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Value, json};
use strum::IntoStaticStr;

use super::database::{open_unchecked, services};
use super::operator;
use super::output::print_line;
use crate::config::{Config, Misspelling};
use crate::database::{MigrationState, SeaStore};
use crate::repositories::{CountMismatch, JobState, Store as _};
use crate::services::{CountsReport, KeyUsage, Services};
use crate::telemetry;

/// Maximum number of problems of one kind that are listed.
const MAX_LISTED: usize = 20;

#[derive(Args)]
pub(super) struct Arguments {
    /// Count again what the counters of projects count, and repair those that are wrong
    #[arg(long)]
    repair: bool,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// State of a check. A warning does not fail the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
enum State {
    Ok,
    Warning,
    Failed,
}

struct Check {
    name: &'static str,
    state: State,
    detail: String,
}

/// Checks, in order.
#[derive(Default)]
struct Checks(Vec<Check>);

impl Checks {
    fn add(&mut self, name: &'static str, state: State, detail: impl Into<String>) {
        self.0.push(Check { name, state, detail: detail.into() });
    }

    /// Returns the value of a result, or adds a failed check.
    fn add_failure<T, E: Into<anyhow::Error>>(&mut self, name: &'static str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(name, State::Failed, format!("{:#}", error.into()))).ok()
    }
}

pub(super) async fn run(config: Config, arguments: &Arguments) -> Result<()> {
    telemetry::init_on_stderr(config.log_format, &config.log_filter);
    let mut checks = Checks::default();
    check_settings(&config, &mut checks);
    if let Some(store) = checks.add_failure("database", open_unchecked(&config).await) {
        let store = Arc::new(store);
        checks.add("database", State::Ok, "reachable");
        check_store(config, &store, arguments.repair, &mut checks).await;
        store.close().await;
    }
    print(&checks.0, arguments.json);
    match checks.0.iter().filter(|check| check.state == State::Failed).count() {
        0 => Ok(()),
        1 => bail!("1 failure"),
        failed => bail!("{failed} failures"),
    }
}

fn check_settings(config: &Config, checks: &mut Checks) {
    if config.misspellings.is_empty() {
        checks.add("settings", State::Ok, "valid");
    }
    for Misspelling { variable, setting } in &config.misspellings {
        checks.add("settings", State::Warning, format!("{variable} is unknown; {setting} is unset"));
    }
}

async fn check_store(config: Config, store: &Arc<SeaStore>, repairs: bool, checks: &mut Checks) {
    // First, because nothing else can be trusted in a damaged file.
    match checks.add_failure("integrity", store.check_integrity().await) {
        Some(Some(problems)) if problems.is_empty() => checks.add("integrity", State::Ok, "no damage found"),
        Some(Some(problems)) => {
            for problem in problems.into_iter().take(MAX_LISTED) {
                checks.add("integrity", State::Failed, problem);
            }
        }
        // PostgreSQL has tools of its own.
        Some(None) | None => {}
    }
    let Some(migrations) = checks.add_failure("schema", store.migrations().await) else { return };
    let pending = migrations.iter().filter(|migration| migration.state == MigrationState::Pending).count();
    if pending > 0 {
        let detail = format!("{pending} of {} migrations are pending; run: pocket-tasks migrate", migrations.len());
        return checks.add("schema", State::Failed, detail);
    }
    let last = migrations.last().map_or("", |migration| migration.name.as_str());
    if migrations.iter().any(|migration| migration.state == MigrationState::Newer) {
        checks.add("schema", State::Warning, format!("of a newer version ({last})"));
    } else {
        checks.add("schema", State::Ok, format!("up to date ({last})"));
    }
    if checks.add_failure("writes", store.check().await).is_some() {
        checks.add("writes", State::Ok, "accepted");
    }
    check_jobs(store, checks).await;
    let Some(services) = checks.add_failure("services", services(config, Arc::clone(store) as _)) else { return };
    if let Some(usage) = checks.add_failure("encryption", services.key_rotation.usage().await) {
        check_keys(usage, services.key_rotation.has_previous_key(), checks);
    }
    check_counts(&services, repairs, checks).await;
}

async fn check_jobs(store: &SeaStore, checks: &mut Checks) {
    let Some(jobs) = checks.add_failure("jobs", store.read().queue().list_unfinished().await) else { return };
    match jobs.iter().filter(|job| job.state == JobState::Dead).count() {
        0 => checks.add("jobs", State::Ok, format!("{} unfinished, none dead", jobs.len())),
        dead => checks.add("jobs", State::Warning, format!("{dead} dead; see: pocket-tasks jobs list")),
    }
}

fn check_keys(usage: KeyUsage, has_previous_key: bool, checks: &mut Checks) {
    let KeyUsage { current, previous, unknown } = usage;
    let total = current + previous + unknown;
    let (state, detail) = if unknown > 0 {
        (State::Failed, format!("{unknown} of {total} stored secrets cannot be decrypted; was ENCRYPTION_KEY changed?"))
    } else if previous > 0 {
        let detail = "stored secrets need ENCRYPTION_KEY_PREVIOUS, until a server or worker has re-encrypted them";
        (State::Warning, format!("{previous} of {total} {detail}"))
    } else if has_previous_key {
        (State::Ok, format!("none of {total} stored secrets needs ENCRYPTION_KEY_PREVIOUS"))
    } else {
        (State::Ok, format!("{total} stored secrets can be decrypted"))
    };
    checks.add("encryption", state, detail);
}

async fn check_counts(services: &Services, repairs: bool, checks: &mut Checks) {
    let administration = &services.administration;
    let report = if repairs {
        administration.repair_counts(&operator::current()).await
    } else {
        administration.compare_counts().await
    };
    let Some(CountsReport { compared, mismatches }) = checks.add_failure("counters", report) else { return };
    let state = if repairs { State::Ok } else { State::Failed };
    for mismatch in mismatches.iter().take(MAX_LISTED) {
        checks.add("counters", state, format!("{}{}", describe(mismatch), if repairs { "; repaired" } else { "" }));
    }
    match mismatches.len() {
        0 => checks.add("counters", State::Ok, format!("correct in {compared} projects")),
        wrong => {
            let end = if repairs { "; all were repaired" } else { "; run: pocket-tasks doctor --repair" };
            checks.add("counters", state, format!("wrong in {wrong} of {compared} projects{end}"));
        }
    }
}

fn describe(mismatch: &CountMismatch) -> String {
    let CountMismatch { project, stored, counted } = mismatch;
    let counters = [
        ("tasks", stored.task_total, counted.task_total),
        ("done tasks", stored.task_done, counted.task_done),
        ("bytes", stored.stored_bytes, counted.stored_bytes),
        ("percent done", stored.completion_percentage, counted.completion_percentage),
    ];
    let wrong = counters.into_iter().filter(|(_, stored, counted)| stored != counted);
    let wrong: Vec<_> = wrong.map(|(name, stored, counted)| format!("{stored} {name} instead of {counted}")).collect();
    format!("project {project} has {}", wrong.join(", "))
}

fn print(checks: &[Check], as_json: bool) {
    if as_json {
        let checks = checks.iter().map(
            |Check { name, state, detail }| json!({ "check": name, "state": <&str>::from(state), "detail": detail }),
        );
        return print_line(&format!("{:#}", Value::Array(checks.collect())));
    }
    for Check { name, state, detail } in checks {
        print_line(&format!("{:8}  {name:10}  {detail}", <&str>::from(state)));
    }
}
