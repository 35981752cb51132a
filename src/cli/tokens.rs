//! `pocket-tasks tokens`: revokes API tokens.

use anyhow::Result;
use clap::Subcommand;

use super::database::open_services;
use super::operator;
use super::output::print_line;
use crate::config::Config;

#[derive(Subcommand)]
pub(super) enum Action {
    /// Revoke an API token, and disable the webhooks that it created
    Revoke {
        /// Id of the token, from `users show` or the audit log; or the token itself, if it has leaked
        #[arg(value_name = "ID|TOKEN")]
        token: String,
    },
}

pub(super) async fn run(config: Config, Action::Revoke { token }: Action) -> Result<()> {
    let (store, services) = open_services(config).await?;
    let revoked = services.administration.revoke_token(&operator::current(), &token).await;
    store.close().await;
    print_line(&format!("Revoked {}.", revoked?));
    Ok(())
}
