//! `pocket-tasks worker`: runs jobs without serving until a shutdown signal.

use super::runtime;
use crate::app;
use crate::config::Config;

/// Number of concurrent jobs if `JOB_WORKERS` is 0, which only affects servers.
const DEFAULT_WORKERS: usize = 4;

pub(super) async fn run(config: Config) -> anyhow::Result<()> {
    let (mut config, stop) = runtime::init(config, || tracing::info!("SIGHUP ignored: a worker reloads nothing"))?;
    if config.job_workers == 0 {
        config.job_workers = DEFAULT_WORKERS;
    }
    app::run_worker(config, stop.first).await
}
