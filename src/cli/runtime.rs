//! What a process does that goes on until it is told to stop.

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use crate::config::{AppEnv, Config};
use crate::telemetry;

/// As many descriptors the program wants: for the connections of clients, and for all that it opens itself.
const NOFILE_TARGET: u64 = 8_192;

/// Begins to log, takes the descriptors that it may have, completes the settings, and listens to signals.
pub(super) fn init(config: Config) -> anyhow::Result<(Config, CancellationToken)> {
    telemetry::init(config.log_format, &config.log_filter);
    raise_nofile_limit();
    warn_if_retries_exceed_retention(&config);
    let config = ensure_secrets(config)?;
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    tokio::spawn(async move {
        match shutdown_signal().await {
            Ok(()) => tracing::info!("asked to stop"),
            Err(error) => tracing::error!(%error, "signals cannot be received"),
        }
        stop.cancel();
    });
    Ok((config, shutdown))
}

/// Many shells and service managers begin with 1,024, for the sake of programs that know no more; a program that does may
/// take as many as its hard limit says.
fn raise_nofile_limit() {
    match rlimit::increase_nofile_limit(NOFILE_TARGET) {
        Ok(allowed) if allowed < NOFILE_TARGET => {
            tracing::warn!(allowed, wanted = NOFILE_TARGET, "few files may be open: clients beyond that wait");
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the limit of open files cannot be raised"),
    }
}

/// What a webhook is sent is read from the events: where they are gone before its last attempt, that has nothing to send.
fn warn_if_retries_exceed_retention(config: &Config) {
    let (tried, kept) = (config.webhook_retry.iter().sum::<std::time::Duration>(), config.retention);
    if tried > kept {
        tracing::warn!(
            tried_seconds = tried.as_secs(),
            kept_seconds = kept.as_secs(),
            "WEBHOOK_RETRY_SECONDS goes on for longer than RETENTION_DAYS: the last attempts of webhooks are not made"
        );
    }
}

/// In development secrets that are missing are made.
pub(super) fn ensure_secrets(config: Config) -> anyhow::Result<Config> {
    match config.env {
        AppEnv::Development => config.with_development_secrets().context("keeping secrets for development in DATA_DIR"),
        AppEnv::Production => Ok(config),
    }
}

#[cfg(unix)]
async fn shutdown_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        result = tokio::signal::ctrl_c() => result,
    }
}

#[cfg(not(unix))]
async fn shutdown_signal() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
