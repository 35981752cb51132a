//! Encrypted values at rest, for the rotation of the encryption key.

use async_trait::async_trait;
use strum::VariantArray;
use uuid::Uuid;

use super::error::StoreError;
use crate::contract::{UserId, WebhookId};

/// A column with encrypted values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, VariantArray)]
pub enum SealedColumn {
    /// Secrets of webhooks.
    WebhookSecrets,
    /// Replaced secrets of webhooks.
    PreviousSecrets,
    /// Responses that are stored with idempotency keys.
    StoredResponses,
}

/// Place of an encrypted value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SealedPlace {
    /// Secret of a webhook.
    WebhookSecret(WebhookId),
    /// Replaced secret of a webhook, with its own id.
    PreviousSecret(Uuid, WebhookId),
    /// Response to the request of a user with an idempotency key.
    StoredResponse(UserId, String),
}

/// An encrypted value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedValue {
    /// Place of the value.
    pub place: SealedPlace,
    /// Ciphertext.
    pub sealed: Vec<u8>,
}

/// Encrypted values at rest.
#[async_trait]
pub trait SealedValueRepository: Send + Sync {
    /// Lists at most `limit` values of a column after a place, in the order of their keys.
    async fn list(
        &self,
        column: SealedColumn,
        after: Option<&SealedPlace>,
        limit: u64,
    ) -> Result<Vec<SealedValue>, StoreError>;

    /// Replaces a value; `false` if it is no longer the same.
    async fn replace(&self, value: &SealedValue, next: &[u8]) -> Result<bool, StoreError>;
}
