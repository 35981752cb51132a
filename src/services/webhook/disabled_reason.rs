//! Reasons for which webhooks are disabled automatically, as shown to their owners.

use crate::contract::webhook::Webhook;

pub(crate) const GONE: &str = "The receiver responded with status 410 (Gone).";
pub(crate) const FAILING: &str = "All attempts have failed for five days.";
pub(crate) const OPERATOR: &str =
    "The operator of the server disabled the webhook. Contact the operator before you enable it again.";
pub(crate) const PASSWORD_RESET: &str =
    "The password of the account was reset. Enable the webhook again if you created it and still need it.";
pub(crate) const PASSWORD_CHANGED: &str =
    "The password of the account was changed with revoke_all. Enable the webhook again if you still need it.";

pub(crate) const TOKEN_REVOKED: &str =
    "The API token that created the webhook was revoked. Enable the webhook again if you still need it.";
pub(crate) const TOKEN_EXPIRED: &str =
    "The API token that created the webhook has expired. Enable the webhook again if you still need it.";

/// Returns whether a revocation disabled the webhook, and it was not enabled since.
pub(crate) fn is_revoked(webhook: &Webhook) -> bool {
    matches!(
        webhook.disabled_reason.as_deref(),
        Some(OPERATOR | PASSWORD_RESET | PASSWORD_CHANGED | TOKEN_REVOKED | TOKEN_EXPIRED)
    )
}
