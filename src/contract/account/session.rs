//! Sessions: what logging in gives, and what a user sees of the places where the account is in use.

use poem_openapi::types::Example;
use poem_openapi::{Enum, Object};

use super::user::User;
use crate::contract::page::{Direction, Paging, SortField, list_type};
use crate::contract::strings::{AccessToken, RefreshToken, UserAgent};
use crate::contract::{SessionId, Timestamp};

/// A session that has just begun or been refreshed, with the tokens that prove it.
#[derive(Debug, Clone, Object)]
#[oai(example)]
pub struct Session {
    /// The user whose session it is.
    pub user: User,
    /// A signed JSON Web Token (RFC 7519) to send as `Authorization: Bearer <token>`.
    pub access_token: AccessToken,
    /// How to send the access token.
    pub token_type: TokenType,
    /// The seconds after which the access token ends.
    #[oai(validator(minimum(value = "1")))]
    pub expires_in: u64,
    /// The token to get the next access token with. It works once; the answer has its successor.
    pub refresh_token: RefreshToken,
}

impl Example for Session {
    fn example() -> Self {
        Self {
            user: User::example(),
            access_token: AccessToken::example(),
            token_type: TokenType::Bearer,
            expires_in: 900,
            refresh_token: RefreshToken::example(),
        }
    }
}

/// How an access token is sent (RFC 6750).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum TokenType {
    /// In the header `Authorization: Bearer <token>`.
    Bearer,
}

/// What it takes to refresh a session.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
pub struct RefreshSession {
    /// The refresh token of the last answer.
    pub refresh_token: RefreshToken,
}

/// A place where the account is in use.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
pub struct SessionInfo {
    /// The id of the session, the `sid` of its access tokens.
    pub id: SessionId,
    /// Whether it is the session of this very request.
    pub current: bool,
    /// The `User-Agent` with which the session began.
    pub user_agent: Option<UserAgent>,
    /// When the session began.
    pub created_at: Timestamp,
    /// When the session was last begun or refreshed.
    pub last_used_at: Timestamp,
}

list_type! {
    /// A page of sessions.
    SessionInfoList of SessionInfo
}

/// What sessions can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum SessionSort {
    /// By the time the session began.
    CreatedAt,
    /// By the time the session was last begun or refreshed.
    LastUsedAt,
}

impl SortField for SessionSort {
    const DEFAULT: Self = Self::CreatedAt;

    fn default_direction(self) -> Direction {
        match self {
            Self::CreatedAt => Direction::Desc,
            Self::LastUsedAt => Direction::Asc,
        }
    }
}

/// Which sessions to list, as query parameters.
#[derive(Debug, Clone, Object)]
pub struct SessionQuery {
    /// Which part of the list.
    #[oai(flatten)]
    pub paging: Paging,
    /// What to sort by.
    #[oai(default = "SessionSort::default_field")]
    pub sort: Option<SessionSort>,
    /// The direction of the sort. Default: `desc` for `created_at`, `asc` for `last_used_at`.
    pub dir: Option<Direction>,
}
