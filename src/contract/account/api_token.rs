//! API tokens: what programs call with, in place of a person who logs in.

use poem_openapi::types::Example;
use poem_openapi::{Enum, Object};

use crate::contract::page::{Direction, Paging, SortField, list_type, newest_first};
use crate::contract::strings::{ApiTokenName, ApiTokenSecret};
use crate::contract::{ApiTokenId, Timestamp};

/// What an API token may be used for. Neither includes the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
#[oai(rename_all = "lowercase")]
pub enum Scope {
    /// Everything that only reads: GET.
    Read,
    /// Everything that changes something: all else.
    Write,
}

impl Scope {
    /// The scope as it stands in requests and responses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// A token with which a program calls on behalf of a user. The secret itself is shown once, when it is made.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct ApiToken {
    /// The id of the token, which is no secret.
    pub id: ApiTokenId,
    /// What its owner calls it.
    pub name: ApiTokenName,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// When it stops working; null if never.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Example for ApiToken {
    fn example() -> Self {
        Self {
            id: ApiTokenId::example(),
            name: ApiTokenName::example(),
            scopes: vec![Scope::Read],
            expires_at: None,
            last_used_at: None,
            created_at: Timestamp::example(),
        }
    }
}

/// An API token with its secret, which is shown only here.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
pub struct CreatedApiToken {
    /// What is known about the token.
    #[oai(flatten)]
    pub api_token: ApiToken,
    /// The token itself, to send as `Authorization: Bearer <token>`. Keep it: it cannot be shown again.
    pub token: ApiTokenSecret,
}

/// What it takes to make an API token.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, example)]
pub struct NewApiToken {
    /// What to call it.
    pub name: ApiTokenName,
    /// What it may be used for.
    #[oai(validator(min_items = 1, max_items = 2, unique_items))]
    pub scopes: Vec<Scope>,
    /// When it stops working, which must be in the future; null or absent: never.
    #[oai(nullable)]
    pub expires_at: Option<Timestamp>,
}

impl Example for NewApiToken {
    fn example() -> Self {
        Self { name: ApiTokenName::example(), scopes: vec![Scope::Read], expires_at: None }
    }
}

list_type! {
    /// A page of API tokens.
    ApiTokenList of ApiToken
}

/// What API tokens can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum ApiTokenSort {
    /// By the time the token was made.
    CreatedAt,
}

impl SortField for ApiTokenSort {
    const DEFAULT: Self = Self::CreatedAt;

    fn default_direction(self) -> Direction {
        match self {
            Self::CreatedAt => Direction::Desc,
        }
    }
}

/// Which API tokens to list, as query parameters.
#[derive(Debug, Clone, Object)]
pub struct ApiTokenQuery {
    /// Which part of the list.
    #[oai(flatten)]
    pub paging: Paging,
    /// What to sort by.
    #[oai(default = "ApiTokenSort::default_field")]
    pub sort: Option<ApiTokenSort>,
    /// The direction of the sort.
    #[oai(default = "newest_first")]
    pub dir: Option<Direction>,
}
