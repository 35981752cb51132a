//! `pocket-tasks migrate`: applies or lists migrations.

use anyhow::Context as _;
use clap::Subcommand;

use super::output::print_line;
use crate::app;
use crate::config::Config;
use crate::database::{self, SeaStore, Settings};

#[derive(Subcommand, Clone, Copy, Default)]
pub(super) enum Action {
    /// Apply pending migrations (the default)
    #[default]
    Up,
    /// List applied and pending migrations
    Status,
}

pub(super) async fn run(config: &Config, action: Action) -> anyhow::Result<()> {
    database::wait_for_server(&config.database_url, config.startup_timeout)
        .await
        .context("waiting for the database")?;
    let settings = Settings { migrate: false, ..app::database_settings(config) };
    let store = SeaStore::open(&settings).await.context("opening the database")?;
    if matches!(action, Action::Up) {
        store.migrate().await.context("migrating the database")?;
    }
    for migration in store.migrations().await.context("reading the migration status")? {
        let state = if migration.applied { "applied" } else { "pending" };
        print_line(&format!("{state}  {}", migration.name));
    }
    store.close().await;
    Ok(())
}
