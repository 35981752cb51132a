//! `pocket-tasks serve`: serves the API until a shutdown signal.

use super::runtime;
use crate::app;
use crate::config::Config;

pub(super) async fn run(config: Config) -> anyhow::Result<()> {
    let (config, shutdown) = runtime::init(config)?;
    app::serve(config, shutdown).await
}
