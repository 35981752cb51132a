//! Replay of stored outcomes.

use std::sync::Arc;

use super::{KEY_TTL, KeyState, aad};
use crate::repositories::{IdempotentRequest, insert_long_texts, referenced_texts};
use crate::services::compression::decompress;
use crate::services::permissions::require_role;
use crate::services::{Caller, Error, ServiceContext, StoredOutcome};

/// Replay of stored outcomes.
#[derive(Clone)]
pub struct Idempotency(pub(crate) Arc<ServiceContext>);

impl Idempotency {
    /// Returns the stored outcome of the first request with this key, if completed.
    pub async fn find_outcome(
        &self,
        caller: Caller,
        request: &IdempotentRequest,
    ) -> Result<Option<StoredOutcome>, Error> {
        self.0.find_outcome(caller, request).await
    }
}

impl ServiceContext {
    /// Returns the state of a key that another request has claimed.
    pub(crate) async fn key_state<T>(&self, caller: Caller, request: &IdempotentRequest) -> Result<KeyState<T>, Error> {
        let outcome = self.find_outcome(caller, request).await?;
        Ok(outcome.map_or(KeyState::InProgress, KeyState::Replayed))
    }

    /// Finds the stored outcome of a key and checks that the caller may still see it.
    async fn find_outcome(&self, caller: Caller, request: &IdempotentRequest) -> Result<Option<StoredOutcome>, Error> {
        let expired_before = self.clock.now() - KEY_TTL;
        let repositories = self.store.read();
        let found = repositories.idempotency().find(caller.user, &request.key, expired_before).await?;
        let Some((fingerprint, stored)) = found else { return Ok(None) };
        if fingerprint != request.fingerprint {
            return Err(Error::KeyMismatch);
        }
        if let Some(access) = stored.access {
            let task = match access.task {
                Some(task) => repositories.tasks().find(task, caller.user).await?,
                None => None,
            };
            // A permanently deleted task is attributed to its last project.
            let project = task.map_or(access.project, |found| found.task.project_id);
            let project =
                repositories.projects().find(project, caller.user).await?.ok_or(Error::NotFound("project"))?;
            require_role(project.role, access.role)?;
            // A deletion can be confirmed again, but content of a soft-deleted project is not shown.
            if stored.encrypted_body.is_some() && project.deleted_at.is_some() {
                return Err(Error::NotFound("project"));
            }
        }
        let mut body = None;
        if let Some(sealed) = stored.encrypted_body {
            let stored_body = decompress(&self.sealer.open(&aad(caller.user, &request.key), sealed)?)?;
            let hashes: Vec<_> = stored
                .access
                .map(|access| referenced_texts(&stored_body).into_iter().map(move |hash| (access.project, hash)))
                .into_iter()
                .flatten()
                .collect();
            let texts = repositories.long_texts().list(&hashes).await?;
            let texts = texts.into_iter().map(|((_, hash), text)| (hash, text)).collect();
            body = Some(insert_long_texts(stored_body, &texts));
        }
        Ok(Some(StoredOutcome { effect: stored.effect, etag: stored.etag, body }))
    }
}
