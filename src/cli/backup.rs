//! `pocket-tasks backup`: copies the embedded database while it is in use.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use tokio::signal::ctrl_c;
#[cfg(unix)]
use tokio::signal::unix::{SignalKind, signal};

use super::output::print_line;
use crate::config::Config;
use crate::database;

#[derive(Args)]
pub(super) struct Arguments {
    /// File to write, which must not exist
    file: PathBuf,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(config: &Config, Arguments { file, force }: Arguments) -> anyhow::Result<()> {
    let Some(database) = database::sqlite_path(&config.database_url) else {
        bail!("the database is PostgreSQL; use its own tool: pg_dump --format=custom --file=FILE \"$DATABASE_URL\"");
    };
    let copying = database::back_up(&database, &file, force);
    let bytes = tokio::select! {
        copied = copying => copied.context("backing up the database")?,
        // Dropping the copy removes its temporary file.
        () = interruption() => bail!("interrupted; nothing was written"),
    };
    print_line(&format!("wrote {} ({bytes} bytes)", file.display()));
    Ok(())
}

/// Waits for a signal that asks the process to stop.
async fn interruption() {
    #[cfg(unix)]
    if let Ok(mut terminations) = signal(SignalKind::terminate()) {
        tokio::select! {
            _ = terminations.recv() => {}
            _ = ctrl_c() => {}
        }
        return;
    }
    let _ = ctrl_c().await;
}
