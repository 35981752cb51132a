//! Tickets for event streams. Only their hashes are stored.

use async_trait::async_trait;

use super::error::StoreError;
use crate::contract::{ApiTokenId, ProjectId, SessionId, Timestamp, UserId};

/// Credential with which a ticket was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TicketCredential {
    /// Access token of a session.
    Session(SessionId),
    /// API token.
    ApiToken(ApiTokenId),
}

/// A ticket for one event stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamTicketRecord {
    /// User who created the ticket.
    pub user_id: UserId,
    /// Credential with which the user created it.
    pub credential: TicketCredential,
    /// Expiry of the credential, if it expires.
    pub credential_expires_at: Option<Timestamp>,
    /// Filter by project.
    pub project_id: Option<ProjectId>,
    /// Filter by event type, as published names; empty for all types.
    pub kinds: Vec<String>,
    /// Expiry of the ticket.
    pub expires_at: Timestamp,
}

/// Tickets for event streams.
#[async_trait]
pub trait StreamTicketRepository: Send + Sync {
    /// Adds a ticket.
    async fn add(&self, hash: &[u8; 32], ticket: &StreamTicketRecord) -> Result<(), StoreError>;

    /// Finds a valid ticket.
    async fn find(&self, hash: &[u8; 32], now: Timestamp) -> Result<Option<StreamTicketRecord>, StoreError>;

    /// Removes a valid ticket and returns it, to one of concurrent callers only.
    async fn consume(&self, hash: &[u8; 32], now: Timestamp) -> Result<Option<StreamTicketRecord>, StoreError>;
}
