//! Checks of webhook ownership and of access to the project of a webhook.

use crate::contract::ProjectId;
use crate::contract::error::ErrorLocation;
use crate::repositories::{Repositories, WebhookRecord};
use crate::services::permissions::{Action, require};
use crate::services::{Caller, Error};

/// Checks that a webhook exists and belongs to the caller.
pub(crate) fn require_owner(found: Option<WebhookRecord>, caller: Caller) -> Result<WebhookRecord, Error> {
    let found = found.ok_or(Error::NotFound("webhook"))?;
    if found.owner == caller.user { Ok(found) } else { Err(Error::NotOwner) }
}

/// Checks that the caller may read a project that is named in the request.
pub(crate) async fn require_project_access(
    repositories: &dyn Repositories,
    caller: Caller,
    id: ProjectId,
    place: ErrorLocation,
) -> Result<(), Error> {
    let project = repositories.projects().find(id, caller.user).await?.filter(|project| project.deleted_at.is_none());
    let project = project.ok_or_else(|| Error::reference(place, "project_id", "must refer to an existing project."))?;
    require(project.role, Action::Read)
}
