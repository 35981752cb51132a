//! Accounts: users, their sessions and their API tokens.

pub mod api_token;
pub mod session;
pub mod user;
