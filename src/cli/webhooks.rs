//! `pocket-tasks webhooks`: lists and disables webhooks.

use anyhow::{Context as _, Result};
use clap::Subcommand;
use poem_openapi::types::ToJSON as _;
use serde_json::Value;

use super::database::open_services;
use super::operator;
use super::output::print_line;
use crate::config::Config;
use crate::contract::WebhookId;
use crate::mail::SingleLine;
use crate::repositories::WebhookRecord;
use crate::services::Administration;

#[derive(Subcommand)]
pub(super) enum Action {
    /// List webhooks, the newest first
    List {
        /// Only the webhooks of this account
        #[arg(long, value_name = "EMAIL|ID")]
        user: Option<String>,
        /// Only disabled webhooks
        #[arg(long)]
        disabled: bool,
        /// Maximum number of webhooks
        #[arg(long, value_name = "NUMBER", default_value_t = 1_000)]
        limit: u32,
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Disable a webhook, cancel its deliveries and notify its owner, who can enable it again
    Disable {
        /// Id of the webhook
        #[arg(value_name = "ID", value_parser = parse_id)]
        id: WebhookId,
    },
}

fn parse_id(text: &str) -> Result<WebhookId, String> {
    WebhookId::parse(text).ok_or_else(|| "must be the id of a webhook".to_owned())
}

pub(super) async fn run(config: Config, action: Action) -> Result<()> {
    let (store, services) = open_services(config).await?;
    let result = run_action(&services.administration, action).await;
    store.close().await;
    result
}

async fn run_action(administration: &Administration, action: Action) -> Result<()> {
    match action {
        Action::List { user, disabled, limit, json } => {
            let owner = match user {
                Some(user) => {
                    Some(administration.find_account(&user).await.with_context(|| format!("finding {user}"))?)
                }
                None => None,
            };
            list(&administration.list_webhooks(owner, disabled.then_some(false), limit.into()).await?, json);
        }
        Action::Disable { id } => match administration.disable_webhook(&operator::current(), id).await? {
            Some(webhook) => print_line(&format!("Disabled {id} ({}).", SingleLine::new(&webhook.url))),
            None => print_line(&format!("{id} is disabled already.")),
        },
    }
    Ok(())
}

fn list(webhooks: &[WebhookRecord], as_json: bool) {
    if as_json {
        let webhooks: Vec<Value> = webhooks.iter().map(to_json).collect();
        return print_line(&format!("{:#}", Value::Array(webhooks)));
    }
    if webhooks.is_empty() {
        return print_line("No webhooks.");
    }
    print_line(&format!("{:36}  {:36}  {:8}  {:24}  URL", "ID", "ACCOUNT", "STATE", "FAILING SINCE"));
    for WebhookRecord { webhook, owner, health, .. } in webhooks {
        let state = if webhook.enabled { "enabled" } else { "disabled" };
        let failing = health.failing_since.map_or_else(|| "-".to_owned(), |since| since.to_string());
        // Chosen by the user.
        let url = SingleLine::new(&webhook.url);
        print_line(&format!("{}  {owner}  {state:8}  {failing:24}  {url}", webhook.id));
    }
}

fn to_json(record: &WebhookRecord) -> Value {
    let mut shown = record.webhook.to_json().unwrap_or_default();
    shown["user_id"] = record.owner.to_json().unwrap_or_default();
    shown["failing_since"] = record.health.failing_since.to_json().unwrap_or_default();
    shown
}
