//! `pocket-tasks worker`: runs jobs, and does not serve, until it is told to stop.

use super::runtime;
use crate::app;
use crate::config::Config;

/// How many jobs run at once where `JOB_WORKERS` is 0, which tells servers to leave them to this command.
const WORKERS: usize = 4;

pub(super) async fn run(config: Config) -> anyhow::Result<()> {
    let (mut config, shutdown) = runtime::init(config)?;
    if config.job_workers == 0 {
        config.job_workers = WORKERS;
    }
    app::run_worker(config, shutdown).await
}
