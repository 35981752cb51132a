//! Sessions: the tokens issued at login, and the list of active sessions.

use poem_openapi::{Enum, Object};

use super::user::User;
use crate::contract::macros::example;
use crate::contract::page::collection;
use crate::contract::strings::{AccessToken, RefreshToken, UserAgent};
use crate::contract::{SessionId, Timestamp, world};

/// New or refreshed session with its tokens.
#[derive(Debug, Clone, Object)]
#[oai(example)]
pub struct Session {
    /// User who is logged in.
    pub user: User,
    /// Signed JSON Web Token (RFC 7519) to send as `Authorization: Bearer <token>`.
    pub access_token: AccessToken,
    /// Type of the access token.
    pub token_type: TokenType,
    /// Lifetime of the access token in seconds.
    #[oai(validator(minimum(value = "1")))]
    pub expires_in: u64,
    /// Token for obtaining the next access token. Single-use: each refresh returns a new one.
    pub refresh_token: RefreshToken,
}

example!(Session { user, access_token, token_type: TokenType::Bearer, expires_in: 900, refresh_token });

/// Type of an access token (RFC 6750).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum TokenType {
    /// Sent as `Authorization: Bearer <token>`.
    Bearer,
}

/// Parameters for refreshing a session.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, example)]
pub struct RefreshSession {
    /// Refresh token from the most recent response.
    pub refresh_token: RefreshToken,
}

example!(RefreshSession { refresh_token: world::login_refresh_token() });

/// Active session of an account.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct SessionInfo {
    /// Session id: the `sid` claim of its access tokens.
    pub id: SessionId,
    /// True for the session that made this request.
    pub current: bool,
    /// `User-Agent` of the client at login.
    pub user_agent: Option<UserAgent>,
    /// Time of login.
    pub created_at: Timestamp,
    /// Time of the last login or refresh.
    pub last_used_at: Timestamp,
}

example!(SessionInfo {
    id,
    current: false,
    user_agent: Some(poem_openapi::types::Example::example()),
    created_at: world::january(12, 8, 0),
    last_used_at: world::january(12, 8, 0)
});

collection! {
    /// Page of sessions.
    SessionInfoList of SessionInfo;

    /// Sort field of sessions.
    SessionSort {
        /// Time of login.
        CreatedAt: Desc,
        /// Time of the last login or refresh.
        LastUsedAt: Asc,
    }

    /// Query parameters for listing sessions.
    SessionQuery {
        /// Sort direction. Default: `desc` for `created_at`, `asc` for `last_used_at`.
        dir,
    }
}
