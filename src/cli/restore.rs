//! `pocket-tasks restore`: replaces the embedded database by a backup.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;

use super::database::open_unchecked;
use super::output::print_line;
use crate::config::Config;
use crate::database;

#[derive(Args)]
pub(super) struct Arguments {
    /// Backup to restore; it is not changed
    #[arg(required_unless_present = "renew_epoch")]
    file: Option<PathBuf>,
    /// Replace the database if it exists
    #[arg(long)]
    force: bool,
    /// Only invalidate the cursors of all clients, after a restore by other means such as `pg_restore`
    #[arg(long, conflicts_with_all = ["file", "force"])]
    renew_epoch: bool,
}

pub(super) async fn run(config: &Config, arguments: Arguments) -> anyhow::Result<()> {
    let Some(file) = arguments.file else { return renew_epoch(config).await };
    let Some(database) = database::sqlite_path(&config.database_url) else {
        bail!(
            "the database is PostgreSQL; use its own tool: pg_restore --clean --if-exists --single-transaction \
             --dbname=\"$DATABASE_URL\" FILE; then run: pocket-tasks restore --renew-epoch"
        );
    };
    database::restore(&database, &file, arguments.force).await.context("restoring the database")?;
    print_line(&format!("restored {} from {}", database.display(), file.display()));
    Ok(())
}

async fn renew_epoch(config: &Config) -> anyhow::Result<()> {
    let store = open_unchecked(config).await?;
    store.check_schema().await.context("checking the database schema")?;
    store.renew_feed_epoch().await.context("renewing the epoch")?;
    store.close().await;
    print_line("All cursors are invalid; clients list everything again.");
    Ok(())
}
