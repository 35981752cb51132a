//! Sessions and their refresh tokens.

use async_trait::async_trait;

use super::StoreError;
use crate::contract::account::session::{SessionInfo, SessionSort};
use crate::contract::page::{Page, Paging, Sort};
use crate::contract::{SessionId, Timestamp, UserId};

/// A session that begins.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub user_id: UserId,
    /// The `User-Agent` of the request that began it.
    pub user_agent: Option<String>,
    /// When it begins.
    pub created_at: Timestamp,
    /// When it ends by itself, unless it is refreshed.
    pub expires_at: Timestamp,
}

/// What is known about the existence of a session.
#[derive(Debug, Clone, Copy)]
pub struct SessionRecord {
    /// Whose it is.
    pub user_id: UserId,
    /// When it was ended by someone.
    pub ended_at: Option<Timestamp>,
    /// When it ends by itself.
    pub expires_at: Timestamp,
}

/// A refresh token that is given out.
#[derive(Debug, Clone)]
pub struct NewRefreshToken {
    /// The SHA-256 of the token; the token itself is not kept.
    pub hash: [u8; 32],
    /// The session that it refreshes.
    pub session_id: SessionId,
    /// When it is given out.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Timestamp,
}

/// A refresh token as it was found.
#[derive(Debug, Clone)]
pub struct RefreshTokenRecord {
    /// The session that it refreshes.
    pub session_id: SessionId,
    /// Whose session that is.
    pub user_id: UserId,
    /// When the session was ended by someone.
    pub session_ended_at: Option<Timestamp>,
    /// When the token stops working.
    pub expires_at: Timestamp,
    /// When it was used.
    pub used_at: Option<Timestamp>,
    /// Its successor, readable only with the token itself; there when it was used.
    pub encrypted_successor: Option<Vec<u8>>,
}

/// Sessions and their refresh tokens.
#[async_trait]
pub trait SessionRepository: Send + Sync {
    /// Adds a session.
    async fn add(&self, session: &NewSession) -> Result<(), StoreError>;

    /// What is known about a session.
    async fn find(&self, id: SessionId) -> Result<Option<SessionRecord>, StoreError>;

    /// The sessions of a user that go on at `now`. `current` is not known here and false.
    async fn list(
        &self,
        user: UserId,
        now: Timestamp,
        sort: Sort<SessionSort>,
        paging: Paging,
    ) -> Result<Page<SessionInfo>, StoreError>;

    /// Notes that a session was refreshed.
    async fn touch(&self, id: SessionId, at: Timestamp, expires_at: Timestamp) -> Result<(), StoreError>;

    /// Ends a session; `false` when it had ended before.
    async fn end(&self, id: SessionId, at: Timestamp) -> Result<bool, StoreError>;

    /// Ends all sessions of a user, but perhaps one, and says which.
    async fn end_all(&self, user: UserId, keep: Option<SessionId>, at: Timestamp)
    -> Result<Vec<SessionId>, StoreError>;

    /// The sessions that were ended at or after `since`.
    async fn list_ended(&self, since: Timestamp) -> Result<Vec<SessionId>, StoreError>;

    /// Adds a refresh token.
    async fn add_refresh_token(&self, token: &NewRefreshToken) -> Result<(), StoreError>;

    /// The refresh token with this hash, its session locked until the end of the transaction.
    async fn lock_refresh_token(&self, hash: &[u8; 32]) -> Result<Option<RefreshTokenRecord>, StoreError>;

    /// Notes that a refresh token was used, and by what it is followed.
    async fn rotate_refresh_token(&self, hash: &[u8; 32], at: Timestamp, successor: &[u8]) -> Result<(), StoreError>;
}
