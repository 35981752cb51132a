//! Access of operator commands to the database of the server, which may be running.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};

use super::runtime;
use crate::app;
use crate::config::Config;
use crate::database::{SeaStore, Settings};
use crate::repositories::Store;
use crate::services::{Clock, Services};
use crate::telemetry;
use crate::webhooks::Client;

/// Opens an existing database. A command that lists something must not create an empty one.
pub(super) async fn open_unchecked(config: &Config) -> Result<SeaStore> {
    let settings = Settings { migrate: false, ..app::database_settings(config) };
    if let Some(path) = settings.missing_file() {
        bail!("the database {} does not exist; check DATABASE_URL and DATA_DIR", path.display());
    }
    SeaStore::open(&settings).await.context("opening the database")
}

/// Opens an existing database with the current schema.
pub(super) async fn open(config: &Config) -> Result<SeaStore> {
    let store = open_unchecked(config).await?;
    store.check().await.context("checking the database schema")?;
    Ok(store)
}

/// Opens an existing database, and the services over it. The command logs what it changes.
pub(super) async fn open_services(config: Config) -> Result<(Arc<SeaStore>, Services)> {
    telemetry::init_on_stderr(config.log_format, &config.log_filter);
    let store = Arc::new(open(&config).await?);
    let services = services(config, Arc::clone(&store) as _)?;
    Ok((store, services))
}

/// Builds the services over a store.
pub(super) fn services(config: Config, store: Arc<dyn Store>) -> Result<Services> {
    let config = runtime::ensure_secrets(config)?;
    app::services(&config, store, Clock::system(), Client::new(config.webhooks.clone()))
}
