//! What a process does that goes on until it is told to stop.

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use crate::config::{AppEnv, Config};
use crate::telemetry;

/// Begins to log, completes the settings, and listens to signals.
pub(super) fn begin(config: Config) -> anyhow::Result<(Config, CancellationToken)> {
    telemetry::init(config.log_format, &config.log_filter);
    let config = with_secrets(config)?;
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    tokio::spawn(async move {
        match asked_to_stop().await {
            Ok(()) => tracing::info!("asked to stop"),
            Err(error) => tracing::error!(%error, "signals cannot be received"),
        }
        stop.cancel();
    });
    Ok((config, shutdown))
}

/// In development secrets that are missing are made.
pub(super) fn with_secrets(config: Config) -> anyhow::Result<Config> {
    match config.env {
        AppEnv::Development => config.with_development_secrets().context("keeping secrets for development in DATA_DIR"),
        AppEnv::Production => Ok(config),
    }
}

#[cfg(unix)]
async fn asked_to_stop() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        result = tokio::signal::ctrl_c() => result,
    }
}

#[cfg(not(unix))]
async fn asked_to_stop() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
