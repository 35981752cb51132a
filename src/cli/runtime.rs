//! Initialization of long-running processes.

use anyhow::Context as _;

use crate::app::StopRequests;
use crate::config::{AppEnv, Config, Misspelling};
use crate::telemetry::{self, Traces};

/// Open files beside client connections: database, deliveries, mail.
const OTHER_FILES: usize = 4_096;

/// Initializes logging, signal handling, limits and secrets.
///
/// SIGTERM and SIGINT are requests to stop. SIGHUP, which would end the process, calls `on_hangup`.
pub(super) fn init(
    mut config: Config,
    on_hangup: impl Fn() + Send + 'static,
) -> anyhow::Result<(Config, StopRequests)> {
    let traces = config.otlp_endpoint.as_deref().map(Traces::new).transpose().context("setting up traces")?;
    telemetry::init(config.log_format, &config.log_filter, traces.as_ref());
    telemetry::log_panics();
    if let Some(traces) = traces {
        traces.flush_at_shutdown();
    }
    let stop = StopRequests::default();
    listen_for_signals(stop.clone(), on_hangup).context("listening for signals")?;
    raise_nofile_limit(&mut config);
    warn_of_misspellings(&config);
    warn_if_retries_exceed_retention(&config);
    let config = ensure_secrets(config)?;
    Ok((config, stop))
}

/// Raises the soft limit of open files, which is often 1,024, as far as the connections need it.
///
/// If the hard limit is lower, fewer connections are accepted: without descriptors, not even health checks would be.
fn raise_nofile_limit(config: &mut Config) {
    let wanted = config.max_connections + OTHER_FILES;
    let allowed = match rlimit::increase_nofile_limit(wanted as u64) {
        Ok(allowed) => usize::try_from(allowed).unwrap_or(usize::MAX),
        Err(error) => return tracing::warn!(%error, "failed to raise the limit of open files"),
    };
    if allowed < wanted {
        config.max_connections = allowed.saturating_sub(OTHER_FILES).max(allowed / 2).min(config.max_connections);
        tracing::warn!(
            allowed,
            wanted,
            connections = config.max_connections,
            "low limit of open files; accepting fewer connections"
        );
    }
}

/// Warns of variables that have almost the name of a setting.
fn warn_of_misspellings(config: &Config) {
    for Misspelling { variable, setting } in &config.misspellings {
        tracing::warn!(variable, setting, "unknown variable has almost the name of a setting, which is unset");
    }
}

/// Warns if events are pruned before the last delivery attempt, which reads them.
fn warn_if_retries_exceed_retention(config: &Config) {
    let (retries, retention) = (config.webhook_retry.iter().sum::<std::time::Duration>(), config.retention);
    if retries > retention {
        tracing::warn!(
            retry_seconds = retries.as_secs(),
            retention_seconds = retention.as_secs(),
            "WEBHOOK_RETRY_SECONDS exceeds RETENTION_DAYS; the last delivery attempts will be skipped"
        );
    }
}

/// Generates missing secrets in development.
pub(super) fn ensure_secrets(config: Config) -> anyhow::Result<Config> {
    match config.env {
        AppEnv::Development => config.with_development_secrets().context("storing development secrets in DATA_DIR"),
        AppEnv::Production => Ok(config),
    }
}

#[cfg(unix)]
fn listen_for_signals(stop: StopRequests, on_hangup: impl Fn() + Send + 'static) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    // Registered here, so that none is missed before the task runs.
    let mut terminations = signal(SignalKind::terminate())?;
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut hangups = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                Some(()) = terminations.recv() => request_stop(&stop),
                Some(()) = interrupts.recv() => request_stop(&stop),
                Some(()) = hangups.recv() => on_hangup(),
                else => break,
            }
        }
    });
    Ok(())
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "registering a signal can fail elsewhere")]
fn listen_for_signals(stop: StopRequests, _on_hangup: impl Fn() + Send + 'static) -> std::io::Result<()> {
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            request_stop(&stop);
        }
    });
    Ok(())
}

fn request_stop(stop: &StopRequests) {
    if stop.first.is_cancelled() {
        stop.second.cancel();
    } else {
        tracing::info!("shutdown requested");
        stop.first.cancel();
    }
}
