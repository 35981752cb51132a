//! Accounts: users, sessions, API tokens and the audit log.

pub mod api_token;
pub mod audit_entry;
pub mod session;
pub mod user;
