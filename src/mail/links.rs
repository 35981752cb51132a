//! Links in e-mails.
//!
//! Tokens are in the fragment, which browsers do not send: no server, proxy or referrer logs it.

use crate::contract::InvitationId;

/// Builds the links in e-mails.
#[derive(Debug, Clone)]
pub struct Links(String);

impl Links {
    /// Creates links below `public_url`, which has no trailing slash.
    #[must_use]
    pub fn new(public_url: &str) -> Self {
        Self(public_url.to_owned())
    }

    pub(crate) fn home(&self) -> String {
        self.0.clone()
    }

    pub(crate) fn verify_email(&self, token: &str) -> String {
        format!("{}/verify-email#token={token}", self.0)
    }

    pub(crate) fn disown_account(&self, token: &str) -> String {
        format!("{}/disown-account#token={token}", self.0)
    }

    pub(crate) fn invitation(&self, id: InvitationId) -> String {
        format!("{}/invitation?id={id}", self.0)
    }

    pub(crate) fn reset_password(&self, token: &str) -> String {
        format!("{}/reset-password#token={token}", self.0)
    }
}
