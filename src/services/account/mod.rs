//! Accounts: authentication, profile, credentials, and the end of an account.

pub(crate) mod api_tokens;
pub(crate) mod audit_log;
pub(crate) mod auth;
pub(crate) mod deletion;
pub(crate) mod digest;
pub(crate) mod email_tokens;
pub(crate) mod grants;
pub(crate) mod login_limits;
pub(crate) mod new_passwords;
pub(crate) mod profile;
pub(crate) mod sessions;
