//! Accounts: users, sessions and API tokens.

pub mod api_token;
pub mod session;
pub mod user;
