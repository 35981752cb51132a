//! The job queue as shown by `pocket-tasks jobs`.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::program::{Program, TIMEOUT, run};

/// Scheduled jobs, which are ignored because they occur at any time.
const BY_THE_CLOCK: [&str; 4] = ["expire_invitations", "plan_digests", "prune", "purge_deleted"];

/// Unfinished jobs in the order of creation, without scheduled ones.
#[track_caller]
pub(super) fn jobs(folder: &Path, variables: &[(&str, &str)]) -> Vec<Value> {
    let variables = [&[("DATA_DIR", "data")], variables].concat();
    let ended = run(folder, &["jobs", "list", "--json"], &variables).succeeded();
    let mut jobs: Vec<Value> = serde_json::from_str(&ended.output.join("\n")).unwrap();
    jobs.retain(|job| !BY_THE_CLOCK.iter().any(|kind| job["kind"] == *kind));
    jobs
}

/// Polls the jobs until they satisfy the condition.
#[track_caller]
pub(super) fn until_jobs(
    program: &mut Program,
    folder: &Path,
    variables: &[(&str, &str)],
    timeout: Duration,
    are_right: impl Fn(&[Value]) -> bool,
) -> Vec<Value> {
    let deadline = Instant::now() + timeout;
    loop {
        let jobs = jobs(folder, variables);
        if are_right(&jobs) {
            return jobs;
        }
        assert!(Instant::now() < deadline, "the expected state is not reached: {jobs:#?}");
        program.says_something();
    }
}

/// Waits until no jobs are left.
#[track_caller]
pub(super) fn until_all_is_done(program: &mut Program, folder: &Path, variables: &[(&str, &str)]) {
    until_jobs(program, folder, variables, TIMEOUT, <[Value]>::is_empty);
}

/// Waits until both e-mails of a registration were attempted this many times, and returns the jobs.
#[track_caller]
pub(super) fn until_put_off(program: &mut Program, folder: &Path, times: u64) -> Vec<Value> {
    let is_put_off = |job: &Value| job["state"] == "pending" && job["attempts"].as_u64() >= Some(times);
    until_jobs(program, folder, &[], TIMEOUT, |jobs| jobs.len() == 2 && jobs.iter().all(is_put_off))
}
