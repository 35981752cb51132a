//! `pocket-tasks users`: lists, disables, enables and deletes accounts, and resets passwords.

use anyhow::{Context as _, Result, anyhow};
use clap::{Args, Subcommand};
use poem_openapi::types::ToJSON as _;
use serde_json::{Value, json};

use super::database::open_services;
use super::operator;
use super::output::print_line;
use crate::config::Config;
use crate::contract::{Timestamp, UserId};
use crate::mail::{Links, SingleLine};
use crate::repositories::UserFilter;
use crate::services::{Account, AccountDetails, Administration, Error, PasswordResetDelivery, ResetToken};

#[derive(Subcommand)]
pub(super) enum Action {
    /// List accounts, the newest first
    List {
        /// Only disabled accounts
        #[arg(long)]
        disabled: bool,
        /// Only accounts in the trash
        #[arg(long)]
        deleted: bool,
        /// Maximum number of accounts
        #[arg(long, value_name = "NUMBER", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Show an account: its state, projects, sessions, API tokens and webhooks
    Show {
        #[command(flatten)]
        user: AccountName,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Disable an account: its sessions end, and its API tokens and webhooks do not work until it is enabled
    Disable(AccountName),
    /// Enable a disabled account
    Enable(AccountName),
    /// Move an account and its projects to the trash; it is removed permanently after `RETENTION_DAYS`
    Delete(AccountName),
    /// Revoke the password and all access to an account, and print a link that sets a new password once
    ResetPassword {
        #[command(flatten)]
        user: AccountName,
        /// Send the link to the address of the account instead
        #[arg(long)]
        mail: bool,
    },
}

#[derive(Args)]
pub(super) struct AccountName {
    /// E-mail address or id of the account
    #[arg(value_name = "EMAIL|ID")]
    user: String,
}

pub(super) async fn run(config: Config, action: Action) -> Result<()> {
    let links = Links::new(&config.link_url(config.address()));
    let (store, services) = open_services(config).await?;
    let result = run_action(&services.administration, &links, action).await;
    store.close().await;
    result
}

async fn run_action(administration: &Administration, links: &Links, action: Action) -> Result<()> {
    let operator = operator::current();
    match action {
        Action::List { disabled, deleted, limit, json } => {
            let filter = UserFilter { disabled: disabled.then_some(true), deleted: deleted.then_some(true) };
            list(&administration.list_accounts(filter, limit.into()).await?, json);
        }
        Action::Show { user, json } => {
            let id = find(administration, &user).await?;
            show(&administration.show_account(id).await?, json);
        }
        Action::Disable(user) => {
            let id = find(administration, &user).await?;
            print_line(&match administration.disable_account(&operator, id).await? {
                Some(account) => format!(
                    "Disabled {}. Its sessions have ended; its API tokens and webhooks do not work until it is enabled.",
                    &*account.user.email
                ),
                None => format!("{} is disabled already.", user.user),
            });
        }
        Action::Enable(user) => {
            let id = find(administration, &user).await?;
            print_line(&match administration.enable_account(&operator, id).await? {
                Some(account) => {
                    format!("Enabled {}. Its owner can log in, or reset the password.", &*account.user.email)
                }
                None => format!("{} is not disabled.", user.user),
            });
        }
        Action::Delete(user) => {
            let id = find(administration, &user).await?;
            print_line(&match administration.delete_account(&operator, id).await? {
                Some(account) => format!(
                    "Moved {} to the trash. It is removed permanently after {}. Until then, {}.",
                    &*account.user.email,
                    optional_time(account.purged_from),
                    if account.disabled_at.is_some() {
                        "it cannot be restored by a login, because it is disabled"
                    } else {
                        "a login restores it; disable it to prevent that"
                    }
                ),
                None => format!("{} is in the trash already.", user.user),
            });
        }
        Action::ResetPassword { user, mail } => {
            let id = find(administration, &user).await?;
            let delivery = if mail { PasswordResetDelivery::Mail } else { PasswordResetDelivery::Link };
            let reset = administration.reset_password(&operator, id, delivery).await;
            let token = reset.map_err(|error| reset_error(error, &user.user))?;
            print_line(&format!("The password of {} was revoked, and all access to the account.", user.user));
            print_line(&match token {
                Some(ResetToken { token, expires_at }) => {
                    format!("This link sets a new password once, until {expires_at}:\n{}", links.reset_password(&token))
                }
                None => "The server or a worker sends the link that sets a new password.".to_owned(),
            });
        }
    }
    Ok(())
}

async fn find(administration: &Administration, user: &AccountName) -> Result<UserId> {
    administration.find_account(&user.user).await.with_context(|| format!("finding {}", user.user))
}

fn reset_error(error: Error, user: &str) -> anyhow::Error {
    match error {
        Error::EmailNotVerified => {
            anyhow!("the address of {user} is not verified, and the link would verify it; send it with --mail")
        }
        error => error.into(),
    }
}

fn list(accounts: &[Account], as_json: bool) {
    if as_json {
        let accounts: Vec<Value> = accounts.iter().map(to_json).collect();
        return print_line(&format!("{:#}", Value::Array(accounts)));
    }
    if accounts.is_empty() {
        return print_line("No accounts.");
    }
    print_line(&format!("{:36}  {:8}  {:8}  {:24}  {:40}  NAME", "ID", "STATE", "VERIFIED", "CREATED AT", "EMAIL"));
    for account in accounts {
        let user = &account.user;
        let verified = if user.email_verified { "yes" } else { "no" };
        let (created_at, state) = (user.created_at.to_string(), state(account));
        // Chosen by the user.
        let name = SingleLine::new(&user.name);
        print_line(&format!("{}  {state:8}  {verified:8}  {created_at:24}  {:40}  {name}", user.id, &*user.email));
    }
}

fn show(details: &AccountDetails, as_json: bool) {
    let AccountDetails { account, owned, sessions, api_tokens, webhooks } = details;
    if as_json {
        let mut shown = to_json(account);
        shown["projects"] = json!({ "active": owned.active, "total": owned.total, "stored_bytes": owned.bytes });
        shown["sessions"] = json!(sessions);
        shown["api_tokens"] = api_tokens.to_json().unwrap_or_default();
        shown["webhooks"] = webhooks.to_json().unwrap_or_default();
        return print_line(&format!("{shown:#}"));
    }
    let user = &account.user;
    for (name, value) in [
        ("id", user.id.to_string()),
        ("email", format!("{} ({})", &*user.email, if user.email_verified { "verified" } else { "not verified" })),
        ("name", SingleLine::new(&user.name).to_string()),
        ("state", state(account).to_owned()),
        ("created at", user.created_at.to_string()),
        ("disabled at", optional_time(account.disabled_at)),
        ("deleted at", optional_time(account.deleted_at)),
        ("removed after", optional_time(account.purged_from)),
        ("projects", format!("{}, and {} in the trash", owned.active, owned.total - owned.active)),
        ("stored text", format!("{} bytes", owned.bytes)),
        ("sessions", sessions.to_string()),
    ] {
        print_line(&format!("{name:14}  {value}"));
    }
    for token in api_tokens {
        let name = SingleLine::new(&token.name);
        let (last_used_at, end) = (optional_time(token.last_used_at), optional_time(token.expires_at));
        print_line(&format!("{:14}  {}  last used {last_used_at}, expires {end}: {name}", "API token", token.id));
    }
    for webhook in webhooks {
        let state = if webhook.enabled { "enabled" } else { "disabled" };
        print_line(&format!("{:14}  {}  {state}: {}", "webhook", webhook.id, SingleLine::new(&webhook.url)));
    }
}

const fn state(account: &Account) -> &'static str {
    match (account.deleted_at, account.disabled_at) {
        (Some(_), Some(_)) => "deleted, disabled",
        (Some(_), None) => "deleted",
        (None, Some(_)) => "disabled",
        (None, None) => "active",
    }
}

fn optional_time(time: Option<Timestamp>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| time.to_string())
}

fn to_json(account: &Account) -> Value {
    let mut shown = account.user.to_json().unwrap_or_default();
    shown["state"] = json!(state(account));
    shown["disabled_at"] = json!(account.disabled_at.map(|at| at.to_string()));
    shown["deleted_at"] = json!(account.deleted_at.map(|at| at.to_string()));
    shown["purged_from"] = json!(account.purged_from.map(|at| at.to_string()));
    shown
}
