//! Replay of stored responses.

use std::sync::Arc;

use super::{KEY_TTL, aad};
use crate::repositories::IdempotentRequest;
use crate::services::caller::Caller;
use crate::services::context::ServiceContext;
use crate::services::error::Error;
use crate::services::permissions::require_role;
use crate::services::response::Answer;

/// Replay of stored responses.
#[derive(Clone)]
pub struct Idempotency(pub(crate) Arc<ServiceContext>);

impl Idempotency {
    /// Returns the response to the first request with this key, if it exists and the caller may still see it.
    pub async fn replay<T>(&self, caller: Caller, request: &IdempotentRequest) -> Result<Option<Answer<T>>, Error> {
        let expired_before = self.0.clock.now() - KEY_TTL;
        let repositories = self.0.store.read();
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
        let body = stored.encrypted_body.map(|sealed| self.0.sealer.open(&aad(caller.user, &request.key), sealed));
        let body = body.transpose()?.map(String::from_utf8).transpose().map_err(Error::corrupt)?;
        Ok(Some(Answer::new(stored.status, stored.location, stored.etag, body)))
    }
}
