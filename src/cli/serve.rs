//! `pocket-tasks serve`: serves until it is told to stop.

use super::process;
use crate::app;
use crate::config::Config;

pub(super) async fn run(config: Config) -> anyhow::Result<()> {
    let (config, shutdown) = process::begin(config)?;
    app::serve(config, shutdown).await
}
