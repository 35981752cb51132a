//! API tokens, with which programs authenticate.

use poem_openapi::{Enum, Object};

use crate::contract::macros::example;
use crate::contract::page::collection;
use crate::contract::strings::{ApiTokenName, ApiTokenSecret};
use crate::contract::{ApiTokenId, Timestamp, world};

/// Permission of an API token. Neither scope includes the other, but the response to a write shows what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
#[oai(rename_all = "lowercase")]
pub enum Scope {
    /// Read access: GET requests.
    Read,
    /// Write access: all other requests. Their responses contain the resource as it is after the change, and a 412 or a
    /// replay contains the current or stored one, so `write` includes seeing what one writes.
    Write,
}

impl Scope {
    /// Returns the published name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// Token with which a program acts on behalf of a user. The token itself is shown only once, on creation.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct ApiToken {
    /// Token id. Not secret.
    pub id: ApiTokenId,
    /// Name chosen by the owner.
    pub name: ApiTokenName,
    /// Granted permissions.
    pub scopes: Vec<Scope>,
    /// Expiry time; null if the token never expires.
    pub expires_at: Option<Timestamp>,
    /// Time of the last use, to the minute; null if never used.
    pub last_used_at: Option<Timestamp>,
    /// Time of creation.
    pub created_at: Timestamp,
}

example!(ApiToken {
    id,
    name,
    scopes: vec![Scope::Read],
    expires_at: None,
    last_used_at: None,
    created_at: world::january(12, 8, 20)
});

/// New API token together with its secret, which is shown only once.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct CreatedApiToken {
    /// Token without its secret.
    #[oai(flatten)]
    pub api_token: ApiToken,
    /// Secret to send as `Authorization: Bearer <token>`. Store it: it cannot be retrieved later.
    pub token: ApiTokenSecret,
}

example!(CreatedApiToken { api_token, token });

/// Parameters for creating an API token.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, example)]
pub struct CreateApiToken {
    /// Name of the token.
    pub name: ApiTokenName,
    /// Permissions to grant.
    #[oai(validator(min_items = 1, max_items = 2, unique_items))]
    pub scopes: Vec<Scope>,
    /// Expiry time, which must be in the future. If null or absent, the token never expires. Webhooks that the token
    /// created are disabled within an hour after it.
    #[oai(nullable)]
    pub expires_at: Option<Timestamp>,
}

example!(CreateApiToken { name, scopes: vec![Scope::Read], expires_at: None });

collection! {
    /// Page of API tokens.
    ApiTokenList of ApiToken;

    /// Sort field of API tokens.
    ApiTokenSort {
        /// Time of creation.
        CreatedAt: Desc,
    }

    /// Query parameters for listing API tokens.
    ApiTokenQuery {
        /// Sort direction.
        #[oai(default = "crate::contract::page::newest_first")]
        dir,
    }
}
