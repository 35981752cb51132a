//! Keys by which requests can be repeated, with the answers to the first of them.

use async_trait::async_trait;

use super::StoreError;
use crate::contract::project::Role;
use crate::contract::{ProjectId, TaskId, Timestamp, UserId};

/// A request that is to have its effect once, however often it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotentRequest {
    /// The key that the caller gave it.
    pub key: String,
    /// A hash of all that makes it this request and no other.
    pub fingerprint: [u8; 32],
}

/// What came of claiming a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyClaim {
    /// It is the caller's until the end of the transaction, and then used up.
    Acquired,
    /// It was used up.
    Completed,
    /// Another transaction holds it and does not end.
    InProgress,
}

/// An answer as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredResponse {
    /// The HTTP status.
    pub status: u16,
    /// The `Location` header.
    pub location: Option<String>,
    /// The `ETag` header.
    pub etag: Option<String>,
    /// The body, encrypted; `None` where there was none.
    pub encrypted_body: Option<Vec<u8>>,
    /// What it takes to see it; `None` when it is the caller's own.
    pub access: Option<RequiredAccess>,
}

/// What it takes to see an answer about something in a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequiredAccess {
    /// The project in which it was.
    pub project: ProjectId,
    /// The task that it is about, which may be in another project by now.
    pub task: Option<TaskId>,
    /// The least role in the project.
    pub role: Role,
}

/// Keys by which requests can be repeated. They belong to a user each.
#[async_trait]
pub trait IdempotencyRepository: Send + Sync {
    /// Claims a key that was never used, or not since `expired_before`. Waits some seconds for a transaction that holds it.
    ///
    /// After `Busy` the transaction is good for nothing any more.
    async fn claim(
        &self,
        user: UserId,
        request: &IdempotentRequest,
        now: Timestamp,
        expired_before: Timestamp,
    ) -> Result<KeyClaim, StoreError>;

    /// Stores the answer with the key that this transaction has claimed.
    async fn store_response(&self, user: UserId, key: &str, answer: &StoredResponse) -> Result<(), StoreError>;

    /// The fingerprint of the request that used up the key after `expired_before`, and the answer to it.
    async fn find(
        &self,
        user: UserId,
        key: &str,
        expired_before: Timestamp,
    ) -> Result<Option<([u8; 32], StoredResponse)>, StoreError>;
}
