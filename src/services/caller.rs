//! Callers and their credentials.

use super::error::Error;
use crate::contract::account::api_token::Scope;
use crate::contract::{ApiTokenId, SessionId, Timestamp, UserId};

/// Authenticated caller of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// User on whose behalf the request is made.
    pub user: UserId,
    /// Credential that authenticated the caller.
    pub credential: Credential,
    /// Expiry of the credential, if it expires.
    pub expires_at: Option<Timestamp>,
}

/// Credential that authenticated a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// Access token of a session.
    Session(SessionId),
    /// API token.
    ApiToken {
        /// ID of the token.
        id: ApiTokenId,
        /// True if the token has the scope `read`.
        can_read: bool,
        /// True if the token has the scope `write`.
        can_write: bool,
    },
}

impl Caller {
    /// Returns the session of the caller, if the caller uses one.
    #[must_use]
    pub const fn session(&self) -> Option<SessionId> {
        match self.credential {
            Credential::Session(session) => Some(session),
            Credential::ApiToken { .. } => None,
        }
    }

    /// Returns the API token of the caller, if the caller uses one.
    #[must_use]
    pub const fn api_token(&self) -> Option<ApiTokenId> {
        match self.credential {
            Credential::Session(_) => None,
            Credential::ApiToken { id, .. } => Some(id),
        }
    }

    /// Refuses an API token that lacks a scope. Sessions have every scope.
    pub const fn require_scope(&self, scope: Scope) -> Result<(), Error> {
        match (self.credential, scope) {
            (Credential::ApiToken { can_read: false, .. }, Scope::Read)
            | (Credential::ApiToken { can_write: false, .. }, Scope::Write) => Err(Error::InsufficientScope(scope)),
            _ => Ok(()),
        }
    }

    /// Returns the session of the caller. Refuses API tokens.
    pub fn require_session(&self) -> Result<SessionId, Error> {
        self.session().ok_or(Error::SessionRequired)
    }
}
