//! `pocket-tasks migrate`: applies, lists or rolls back migrations.

use anyhow::{Context as _, bail};
use clap::Subcommand;

use super::database::open_unchecked;
use super::output::{print_error, print_line};
use crate::app;
use crate::config::{AppEnv, Config};
use crate::database::{self, MigrationState, SeaStore, Settings};

#[derive(Subcommand, Clone, Copy, Default)]
pub(super) enum Action {
    /// Apply pending migrations (the default)
    #[default]
    Up,
    /// List applied and pending migrations
    Status,
    /// Roll back the last migrations, and delete the data that they added
    Down {
        /// Number of migrations to roll back
        #[arg(default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        count: u32,
        /// Allow it in production
        #[arg(long)]
        force: bool,
    },
}

pub(super) async fn run(config: &Config, action: Action) -> anyhow::Result<()> {
    if matches!(action, Action::Down { force: false, .. }) && config.env == AppEnv::Production {
        bail!("rolling back deletes data, and APP_ENV is production; add --force to do it all the same");
    }
    database::wait_for_server(&config.database_url, config.startup_timeout)
        .await
        .context("waiting for the database")?;
    let store = if matches!(action, Action::Up) {
        let settings = Settings { migrate: false, ..app::database_settings(config) };
        SeaStore::open(&settings).await.context("opening the database")?
    } else {
        open_unchecked(config).await?
    };
    match action {
        Action::Up => store.migrate().await.context("migrating the database")?,
        Action::Status => {}
        Action::Down { count, .. } => store.roll_back(Some(count)).await.context("rolling back")?,
    }
    for migration in store.migrations().await.context("reading the migration status")? {
        let state = match migration.state {
            MigrationState::Pending => "pending",
            MigrationState::Applied => "applied",
            MigrationState::Newer => {
                print_error(&format!("warning: {} was applied by a newer version\n", migration.name));
                "newer"
            }
        };
        print_line(&format!("{state:7}  {}", migration.name));
    }
    store.close().await;
    Ok(())
}
