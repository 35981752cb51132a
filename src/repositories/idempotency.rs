//! Idempotency keys, and the responses stored with them.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::error::StoreError;
use crate::contract::project::Role;
use crate::contract::{ApiTokenId, CommentId, InvitationId, ProjectId, TaskId, Timestamp, UserId, WebhookId};

/// A request that takes effect at most once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotentRequest {
    /// Key chosen by the client.
    pub key: String,
    /// Hash of everything that identifies the request.
    pub fingerprint: [u8; 32],
}

/// Outcome of claiming a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyClaim {
    /// The key was acquired; it is used up when the transaction commits.
    Acquired,
    /// An earlier request has used the key.
    Completed,
    /// Another transaction has held the key for longer than the lock timeout.
    InProgress,
}

/// Effect of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// An object was created.
    Created(ResourceRef),
    /// The write has completed and returns the current state or a result.
    Completed,
    /// The work continues after the response.
    Accepted,
    /// The write has completed and returns nothing.
    Done,
}

/// Reference to an object that a write can create.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceRef {
    /// A project.
    Project(ProjectId),
    /// An invitation to a project.
    Invitation(ProjectId, InvitationId),
    /// A task.
    Task(TaskId),
    /// A comment.
    Comment(CommentId),
    /// An API token.
    ApiToken(ApiTokenId),
    /// A webhook.
    Webhook(WebhookId),
}

/// The response to the first request with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredResponse {
    /// Effect of the write.
    pub effect: Effect,
    /// Entity tag of the resource.
    pub etag: Option<String>,
    /// Encrypted body; `None` if the response had no body.
    pub encrypted_body: Option<Vec<u8>>,
    /// Access required to see it; `None` if it concerns only the caller.
    pub access: Option<RequiredAccess>,
}

/// Access to a project that is required to see a stored response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequiredAccess {
    /// Project in which the request took effect.
    pub project: ProjectId,
    /// Task in the response, which may have been moved to another project since.
    pub task: Option<TaskId>,
    /// Minimum role in the project.
    pub role: Role,
}

/// Idempotency keys, scoped to a user.
#[async_trait]
pub trait IdempotencyRepository: Send + Sync {
    /// Claims a key that is unused, or was last claimed before `expired_before`.
    ///
    /// Waits up to the lock timeout for a transaction that holds the key. After `InProgress` the transaction cannot be
    /// used any more.
    async fn claim(
        &self,
        user: UserId,
        request: &IdempotentRequest,
        now: Timestamp,
        expired_before: Timestamp,
    ) -> Result<KeyClaim, StoreError>;

    /// Stores the response with the key that this transaction has claimed.
    async fn store_response(&self, user: UserId, key: &str, response: &StoredResponse) -> Result<(), StoreError>;

    /// Finds the fingerprint and the response of a key claimed after `expired_before`.
    async fn find(
        &self,
        user: UserId,
        key: &str,
        expired_before: Timestamp,
    ) -> Result<Option<([u8; 32], StoredResponse)>, StoreError>;
}
