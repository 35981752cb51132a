//! Accounts: registration, tokens, sessions, deletion and the weekly digest.

mod access_revocation;
mod api_token_limit;
mod api_token_permissions;
mod api_token_webhooks;
mod api_tokens;
mod audit_log;
mod deletion;
mod digest_content;
mod digest_schedule;
mod disowned_accounts;
mod email_verification;
mod failed_logins;
mod large_accounts;
mod mail_budgets;
mod new_passwords;
mod password_change;
mod password_reset;
mod profile;
mod registration;
mod security_notices;
pub(crate) mod sessions;
mod tokens;
