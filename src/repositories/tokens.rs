//! Tokens that are not of a session: those sent by mail, and those that programs call with.

use async_trait::async_trait;

use super::StoreError;
use crate::contract::account::api_token::{ApiToken, ApiTokenSort, Scope};
use crate::contract::page::{Page, Paging, Sort};
use crate::contract::{ApiTokenId, Timestamp, UserId};

/// What a token that was sent by mail is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmailTokenPurpose {
    /// To prove an address.
    Verification,
    /// To set another password.
    Reset,
}

/// Tokens that were sent by mail. Only their hashes are kept.
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

    /// Whose token it is, if it is good at `now`.
    async fn find(
        &self,
        hash: &[u8; 32],
        purpose: EmailTokenPurpose,
        now: Timestamp,
    ) -> Result<Option<UserId>, StoreError>;

    /// Uses a token up, if it is good at `now`, and with it all others of the same user and purpose; gives whose it
    /// was.
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
    /// Whose it is.
    pub user_id: UserId,
    /// Whether the account of its owner is in the trash.
    pub owner_deleted: bool,
    /// When its owner ended it.
    pub revoked_at: Option<Timestamp>,
}

impl ApiTokenRecord {
    /// Whether the token may be used for what this scope names.
    #[must_use]
    pub fn has(&self, scope: Scope) -> bool {
        self.token.scopes.contains(&scope)
    }
}

/// API tokens. Only the hashes of their secrets are kept.
#[async_trait]
pub trait ApiTokenRepository: Send + Sync {
    /// Adds a token.
    async fn add(&self, token: &ApiToken, user: UserId, hash: &[u8; 32]) -> Result<(), StoreError>;

    /// The token with this id.
    async fn find(&self, id: ApiTokenId) -> Result<Option<ApiTokenRecord>, StoreError>;

    /// The token with this secret.
    async fn find_by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiTokenRecord>, StoreError>;

    /// The tokens of a user that were not ended; expired ones too.
    async fn list(&self, user: UserId, sort: Sort<ApiTokenSort>, paging: Paging) -> Result<Page<ApiToken>, StoreError>;

    /// How many tokens of a user are good at `now`.
    async fn count(&self, user: UserId, now: Timestamp) -> Result<u64, StoreError>;

    /// Notes that a token was used.
    async fn touch(&self, id: ApiTokenId, at: Timestamp) -> Result<(), StoreError>;

    /// Ends a token; `false` when it had ended before.
    async fn revoke(&self, id: ApiTokenId, at: Timestamp) -> Result<bool, StoreError>;

    /// Ends all tokens of a user, and says which.
    async fn revoke_all(&self, user: UserId, at: Timestamp) -> Result<Vec<ApiTokenId>, StoreError>;

    /// The tokens that were ended since a time.
    async fn list_revoked(&self, since: Timestamp) -> Result<Vec<ApiTokenId>, StoreError>;
}
