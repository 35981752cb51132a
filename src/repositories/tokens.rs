//! Tokens sent by e-mail, and API tokens. Only their hashes are stored.

use async_trait::async_trait;
use strum::IntoStaticStr;

use super::error::StoreError;
use crate::contract::account::api_token::{ApiToken, ApiTokenSort, Scope};
use crate::contract::page::{Page, Paging, Sort};
use crate::contract::{ApiTokenId, Timestamp, UserId};

/// Purpose of a token sent by e-mail. The names of the variants are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum EmailTokenPurpose {
    /// Verification of an address.
    Verification,
    /// Reset of a password.
    Reset,
}

/// Tokens sent by e-mail.
#[async_trait]
pub trait EmailTokenRepository: Send + Sync {
    /// Adds a token.
    async fn add(
        &self,
        hash: &[u8; 32],
        user: UserId,
        purpose: EmailTokenPurpose,
        expires_at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Finds the user of a valid token.
    async fn find(
        &self,
        hash: &[u8; 32],
        purpose: EmailTokenPurpose,
        now: Timestamp,
    ) -> Result<Option<UserId>, StoreError>;

    /// Consumes a valid token with all others of its user and purpose.
    async fn consume(
        &self,
        hash: &[u8; 32],
        purpose: EmailTokenPurpose,
        now: Timestamp,
    ) -> Result<Option<UserId>, StoreError>;

    /// Removes the unexpired tokens of a user for one purpose.
    async fn revoke_all(&self, user: UserId, purpose: EmailTokenPurpose, now: Timestamp) -> Result<(), StoreError>;
}

/// An API token as it was found.
#[derive(Debug, Clone)]
pub struct ApiTokenRecord {
    /// The token, without its secret.
    pub token: ApiToken,
    /// Owner of the token.
    pub user_id: UserId,
    /// True if the account of the owner is neither soft-deleted nor disabled.
    pub is_owner_active: bool,
    /// Time at which the token was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl ApiTokenRecord {
    /// Returns whether the token has a scope.
    #[must_use]
    pub fn has(&self, scope: Scope) -> bool {
        self.token.scopes.contains(&scope)
    }
}

/// API tokens.
#[async_trait]
pub trait ApiTokenRepository: Send + Sync {
    /// Adds a token.
    async fn add(&self, token: &ApiToken, user: UserId, hash: &[u8; 32]) -> Result<(), StoreError>;

    /// Finds a token by id.
    async fn find(&self, id: ApiTokenId) -> Result<Option<ApiTokenRecord>, StoreError>;

    /// Finds a token by the hash of its secret.
    async fn find_by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiTokenRecord>, StoreError>;

    /// Lists the tokens of a user that were not revoked, including expired ones.
    async fn list(&self, user: UserId, sort: Sort<ApiTokenSort>, paging: Paging) -> Result<Page<ApiToken>, StoreError>;

    /// Counts the valid tokens of a user.
    async fn count(&self, user: UserId, now: Timestamp) -> Result<u64, StoreError>;

    /// Records the use of a token.
    async fn touch(&self, id: ApiTokenId, at: Timestamp) -> Result<(), StoreError>;

    /// Revokes a token; `false` if it was revoked before.
    async fn revoke(&self, id: ApiTokenId, at: Timestamp) -> Result<bool, StoreError>;

    /// Revokes all tokens of a user, and returns their ids.
    async fn revoke_all(&self, user: UserId, at: Timestamp) -> Result<Vec<ApiTokenId>, StoreError>;

    /// Lists the tokens that were revoked, or whose owners were disabled, at or after a time.
    async fn list_revoked(&self, since: Timestamp) -> Result<Vec<ApiTokenId>, StoreError>;
}
