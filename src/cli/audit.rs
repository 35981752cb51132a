//! `pocket-tasks audit`: lists the audit log of all accounts.

use anyhow::{Context as _, bail};
use clap::Args;
use poem_openapi::types::ToJSON as _;
use serde_json::Value;

use super::database;
use super::output::print_line;
use crate::config::Config;
use crate::contract::account::audit_entry::AuditEntryType;
use crate::contract::{Timestamp, UserId, email};
use crate::database::SeaStore;
use crate::mail::SingleLine;
use crate::repositories::{AuditFilter, AuditRecord, Store as _};

#[derive(Args)]
pub(super) struct Arguments {
    /// Only the log of this account
    #[arg(long, value_name = "EMAIL|ID")]
    user: Option<String>,
    /// Only entries of this type, such as login.failed
    #[arg(long = "type", value_name = "TYPE", value_parser = parse_type)]
    kind: Option<AuditEntryType>,
    /// Only entries since this time, such as 2026-11-30 or 2026-11-30T09:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<Timestamp>,
    /// Maximum number of entries, the newest first
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000)]
    limit: u32,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

fn parse_type(text: &str) -> Result<AuditEntryType, String> {
    let all = || AuditEntryType::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
    AuditEntryType::parse(text).ok_or_else(|| format!("must be one of {}", all()))
}

fn parse_time(text: &str) -> Result<Timestamp, String> {
    let time = Timestamp::parse(text).or_else(|| Timestamp::parse(&format!("{text}T00:00:00Z")));
    time.ok_or_else(|| "must be a date or an RFC 3339 time".to_owned())
}

pub(super) async fn run(config: &Config, arguments: Arguments) -> anyhow::Result<()> {
    let store = database::open(config).await?;
    let result = list(&store, &arguments).await;
    store.close().await;
    result
}

async fn list(store: &SeaStore, arguments: &Arguments) -> anyhow::Result<()> {
    let user = match &arguments.user {
        Some(user) => Some(find_user(store, user).await?),
        None => None,
    };
    let filter = AuditFilter { user, kind: arguments.kind, since: arguments.since };
    let records = store.read_unindexed().audit_log().list_all(&filter, arguments.limit.into()).await;
    let records = records.context("listing the audit log")?;
    if arguments.json {
        let records: Vec<Value> = records.iter().map(to_json).collect();
        print_line(&format!("{:#}", Value::Array(records)));
        return Ok(());
    }
    if records.is_empty() {
        print_line("No entries.");
        return Ok(());
    }
    print_line(&format!(
        "{:24}  {:29}  {:>5}  {:36}  {:36}  {:39}  {:36}  USER AGENT",
        "AT", "TYPE", "COUNT", "ACCOUNT", "ACTOR", "ADDRESS", "TARGET"
    ));
    for AuditRecord { user_id, operator, entry } in records {
        let text = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let target = entry.target_id.map(|id| id.to_string()).or(entry.project_id.map(|id| id.to_string()));
        let at = entry.last_at.to_string();
        // Chosen by the client.
        let agent = SingleLine::new(entry.user_agent.as_deref().unwrap_or("-"));
        print_line(&format!(
            "{at:24}  {:29}  {:>5}  {:36}  {:36}  {:39}  {:36}  {agent}",
            entry.kind.as_str(),
            entry.count,
            text(user_id.map(|id| id.to_string())),
            text(operator.map(|operator| format!("operator {operator}")).or(entry.actor_id.map(|id| id.to_string()))),
            text(entry.client_address.map(|address| address.to_string())),
            text(target),
        ));
    }
    Ok(())
}

async fn find_user(store: &SeaStore, user: &str) -> anyhow::Result<UserId> {
    if let Some(id) = UserId::parse(user) {
        return Ok(id);
    }
    let found = store.read().users().find_credentials_by_email(&email::normalize(user)).await;
    match found.context("finding the account")? {
        Some(found) => Ok(found.user.id),
        None => bail!("no account has the address {user}"),
    }
}

fn to_json(record: &AuditRecord) -> Value {
    let mut entry = record.entry.to_json().unwrap_or_default();
    entry["user_id"] = record.user_id.to_json().unwrap_or_default();
    entry["operator"] = record.operator.to_json().unwrap_or_default();
    entry
}
