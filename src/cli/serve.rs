//! `pocket-tasks serve`: serves the API until a shutdown signal.

use super::runtime;
use crate::app;
use crate::config::{Config, load_tls};
use crate::server::Tls;

pub(super) async fn run(config: Config) -> anyhow::Result<()> {
    let tls = config.tls.clone().map(load_tls).transpose()?;
    let reloaded = tls.clone();
    let (config, stop) = runtime::init(config, move || reload(reloaded.as_ref()))?;
    app::serve(config, tls, stop).await
}

/// Reloads the certificate.
fn reload(tls: Option<&Tls>) {
    let Some(tls) = tls.cloned() else { return tracing::info!("SIGHUP ignored: there is no certificate to reload") };
    // The files may be on a slow disk.
    tokio::task::spawn_blocking(move || match tls.reload() {
        Ok(()) => tracing::info!("TLS certificate reloaded"),
        Err(error) => tracing::error!(%error, "failed to reload the TLS certificate; the previous one stays in use"),
    });
}
