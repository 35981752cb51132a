//! Administration by the operator, and the rotation of the encryption key.

mod accounts;
mod counts;
mod key_rotation;
mod password_reset;
mod revocation;

use pocket_tasks::contract::UserId;
use pocket_tasks::services::Operator;
use serde_json::Value;

use crate::support::{Client, TestApp};

fn operator() -> Operator {
    Operator::new("root (sudo by ada)")
}

fn id(user: &Client) -> UserId {
    UserId::parse(user.user_id()).unwrap()
}

/// Disables the account of a user, and asserts that it was enabled.
async fn disable(app: &TestApp, user: &Client) {
    let disabled = app.services.administration.disable_account(&operator(), id(user)).await.unwrap().unwrap();
    assert!(disabled.disabled_at.is_some());
}

/// Enables the account of a user, and asserts that it was disabled.
async fn enable(app: &TestApp, user: &Client) {
    let enabled = app.services.administration.enable_account(&operator(), id(user)).await.unwrap().unwrap();
    assert_eq!(enabled.disabled_at, None);
}

/// Entries of the audit log that the operator caused, the oldest first.
async fn operator_entries(user: &Client) -> Vec<Value> {
    let log = user.get("/v1/me/audit-log?dir=asc&limit=100").await.ok();
    let entries = log["data"].as_array().unwrap();
    entries.iter().filter(|entry| entry["by_operator"] == true).cloned().collect()
}
