//! Keys by which requests can be repeated, with the answers to the first of them.

use async_trait::async_trait;

use super::StoreError;
use crate::contract::project::Role;
use crate::contract::{ProjectId, TaskId, Timestamp, UserId};

/// A request that is to have its effect once, however often it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyedRequest {
    /// The key that the caller gave it.
    pub key: String,
    /// A hash of all that makes it this request and no other.
    pub fingerprint: [u8; 32],
}

/// What came of claiming a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It is the caller's until the end of the transaction, and then used up.
    Granted,
    /// It was used up.
    Taken,
    /// Another transaction holds it and does not end.
    Busy,
}

/// An answer as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The `Location` header.
    pub location: Option<String>,
    /// The `ETag` header.
    pub etag: Option<String>,
    /// The body, encrypted; `None` where there was none.
    pub sealed_body: Option<Vec<u8>>,
    /// What it takes to see it; `None` when it is the caller's own.
    pub access: Option<AnswerAccess>,
}

/// What it takes to see an answer about something in a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerAccess {
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
    /// Claims a key that was never used, or not since `free_before`. Waits some seconds for a transaction that holds it.
    ///
    /// After `Busy` the transaction is good for nothing any more.
    async fn claim(
        &self,
        user: UserId,
        request: &KeyedRequest,
        now: Timestamp,
        free_before: Timestamp,
    ) -> Result<Claim, StoreError>;

    /// Stores the answer with the key that this transaction has claimed.
    async fn settle(&self, user: UserId, key: &str, answer: &StoredAnswer) -> Result<(), StoreError>;

    /// The fingerprint of the request that used up the key after `free_before`, and the answer to it.
    async fn find(
        &self,
        user: UserId,
        key: &str,
        free_before: Timestamp,
    ) -> Result<Option<([u8; 32], StoredAnswer)>, StoreError>;
}
