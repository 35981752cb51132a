//! Sessions and their refresh tokens.

use async_trait::async_trait;

use super::error::StoreError;
use crate::contract::account::session::{SessionInfo, SessionSort};
use crate::contract::page::{Page, Paging, Sort};
use crate::contract::{SessionId, Timestamp, UserId};

/// A new session.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Id of the session.
    pub id: SessionId,
    /// User of the session.
    pub user_id: UserId,
    /// `User-Agent` of the request that created it.
    pub user_agent: Option<String>,
    /// Time of its creation.
    pub created_at: Timestamp,
    /// Time at which it expires unless it is refreshed.
    pub expires_at: Timestamp,
}

/// A session as it was found.
#[derive(Debug, Clone, Copy)]
pub struct SessionRecord {
    /// User of the session.
    pub user_id: UserId,
    /// Time at which it was revoked.
    pub ended_at: Option<Timestamp>,
    /// Time at which it expires.
    pub expires_at: Timestamp,
}

/// A new refresh token.
#[derive(Debug, Clone)]
pub struct NewRefreshToken {
    /// SHA-256 of the token; the token itself is not stored.
    pub hash: [u8; 32],
    /// Session that it refreshes.
    pub session_id: SessionId,
    /// Time at which it was issued.
    pub created_at: Timestamp,
    /// Time at which it expires.
    pub expires_at: Timestamp,
}

/// A refresh token as it was found.
#[derive(Debug, Clone)]
pub struct RefreshTokenRecord {
    /// Session that it refreshes.
    pub session_id: SessionId,
    /// User of the session.
    pub user_id: UserId,
    /// Time at which the session was revoked.
    pub session_ended_at: Option<Timestamp>,
    /// Time at which the token expires.
    pub expires_at: Timestamp,
    /// Time at which it was used.
    pub used_at: Option<Timestamp>,
    /// Successor of a used token, encrypted with the token itself.
    pub encrypted_successor: Option<Vec<u8>>,
}

/// Sessions and their refresh tokens.
#[async_trait]
pub trait SessionRepository: Send + Sync {
    /// Adds a session.
    async fn add(&self, session: &NewSession) -> Result<(), StoreError>;

    /// Finds a session by id.
    async fn find(&self, id: SessionId) -> Result<Option<SessionRecord>, StoreError>;

    /// Lists the active sessions of a user. `current` is always false.
    async fn list(
        &self,
        user: UserId,
        now: Timestamp,
        sort: Sort<SessionSort>,
        paging: Paging,
    ) -> Result<Page<SessionInfo>, StoreError>;

    /// Records the use of a session, and extends it.
    async fn touch(&self, id: SessionId, at: Timestamp, expires_at: Timestamp) -> Result<(), StoreError>;

    /// Revokes a session; `false` if it was revoked before.
    async fn end(&self, id: SessionId, at: Timestamp) -> Result<bool, StoreError>;

    /// Revokes all sessions of a user, optionally except one, and returns their ids.
    async fn end_all(&self, user: UserId, keep: Option<SessionId>, at: Timestamp)
    -> Result<Vec<SessionId>, StoreError>;

    /// Revokes the oldest sessions of a user beyond the `keep` newest ones, at most 100, and returns their ids.
    async fn end_oldest(&self, user: UserId, keep: u64, at: Timestamp) -> Result<Vec<SessionId>, StoreError>;

    /// Lists the sessions that were revoked at or after a time.
    async fn list_ended(&self, since: Timestamp) -> Result<Vec<SessionId>, StoreError>;

    /// Adds a refresh token.
    async fn add_refresh_token(&self, token: &NewRefreshToken) -> Result<(), StoreError>;

    /// Finds a refresh token by hash, and locks it and its session.
    async fn lock_refresh_token(&self, hash: &[u8; 32]) -> Result<Option<RefreshTokenRecord>, StoreError>;

    /// Marks a refresh token as used, with its encrypted successor.
    async fn rotate_refresh_token(&self, hash: &[u8; 32], at: Timestamp, successor: &[u8]) -> Result<(), StoreError>;
}
