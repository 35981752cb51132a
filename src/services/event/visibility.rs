//! Projects whose events a user may see.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use tokio::sync::Mutex;

use crate::contract::event::EventType;
use crate::contract::project::Role;
use crate::contract::{ProjectId, UserId};
use crate::repositories::{Store, StoreError};

/// Projects that a user may see, shared by the user's streams.
pub(crate) struct Visibility {
    user: UserId,
    /// `None` if the account is gone or its memberships could not be loaded.
    roles: RwLock<Option<HashMap<ProjectId, Role>>>,
    loading: Mutex<()>,
}

impl Visibility {
    pub(crate) fn new(user: UserId) -> Self {
        Self { user, roles: RwLock::default(), loading: Mutex::default() }
    }

    /// Returns whether the user may see events of this type in the project.
    pub(crate) fn may_see(&self, kind: EventType, project: ProjectId) -> bool {
        let roles = self.roles.read().unwrap_or_else(PoisonError::into_inner);
        let role = roles.as_ref().and_then(|roles| roles.get(&project));
        role.is_some_and(|role| kind.visible_to(*role))
    }

    /// Returns whether the user may see nothing any more.
    pub(crate) fn is_revoked(&self) -> bool {
        self.roles.read().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Loads the memberships of the user. On failure, they stay as they are.
    ///
    /// Loads are serialized, so that the last one to finish has seen all earlier commits.
    pub(crate) async fn load(&self, store: &dyn Store) -> Result<(), StoreError> {
        let _alone = self.loading.lock().await;
        let roles = store.read().events().memberships(self.user).await?;
        self.set(roles.map(|roles| roles.into_iter().collect()));
        Ok(())
    }

    /// Loads the memberships after a change. On failure, the streams of the user end.
    pub(crate) async fn reload(&self, store: &dyn Store) {
        if let Err(error) = self.load(store).await {
            tracing::warn!(%error, "closing the user's event streams: failed to load memberships");
            self.set(None);
        }
    }

    fn set(&self, roles: Option<HashMap<ProjectId, Role>>) {
        *self.roles.write().unwrap_or_else(PoisonError::into_inner) = roles;
    }
}
