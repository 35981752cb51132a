//! What others see of an account that goes into the trash, comes back out of it, or is removed for good.
//!
//! Its own projects go and come back with it. In those of others it is not listed among the members meanwhile.

use std::sync::Arc;

use crate::contract::event::EventType;
use crate::contract::member::Member;
use crate::contract::project::Project;
use crate::contract::{ProjectId, Timestamp, UserId};
use crate::repositories::{NewEvent, StoreError, Transaction};
use crate::services::Shared;
use crate::services::error::Error;
use crate::services::event::publish::Cause;

/// Puts an account into the trash, and gives what there is to tell of it.
pub(crate) async fn leave(
    transaction: &dyn Transaction,
    user: UserId,
    cause: &Cause,
) -> Result<Vec<NewEvent>, StoreError> {
    let members = transaction.members().list_elsewhere(user).await?;
    let projects = transaction.users().set_deleted(user, Some(cause.at), cause.at).await?;
    let mut events = projects_changed(EventType::ProjectDeleted, &projects, None, cause);
    events.extend(members.iter().map(|(project, member)| cause.removed(EventType::MemberRemoved, *project, member)));
    Ok(events)
}

/// Takes an account out of the trash, where it has been since `since`, and gives what there is to tell of it.
pub(crate) async fn come_back(
    transaction: &dyn Transaction,
    user: UserId,
    since: Timestamp,
    cause: &Cause,
) -> Result<Vec<NewEvent>, StoreError> {
    let projects = transaction.users().set_deleted(user, None, cause.at).await?;
    let members: Vec<(ProjectId, Member)> = transaction.members().list_elsewhere(user).await?;
    let mut events = projects_changed(EventType::ProjectRestored, &projects, Some(since), cause);
    events.extend(members.iter().map(|(project, member)| cause.made(EventType::MemberAdded, *project, member)));
    Ok(events)
}

fn projects_changed(
    kind: EventType,
    projects: &[Project],
    deleted_before: Option<Timestamp>,
    cause: &Cause,
) -> Vec<NewEvent> {
    let changed = projects.iter().map(|after| {
        let before = Project { deleted_at: deleted_before, ..after.clone() };
        cause.project(kind, &before, after)
    });
    changed.collect()
}

/// Removing accounts for good.
#[derive(Clone)]
pub struct Presence(Arc<Shared>);

impl Presence {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// Takes a user whose account is in the trash out of a project of somebody else: what the user made there stays,
    /// made by nobody. That the member is gone was told when the account went into the trash.
    pub async fn withdraw(&self, user: UserId, project: ProjectId) -> Result<(), Error> {
        let cause = Cause { actor: None, at: self.0.clock.now(), request_id: None };
        let transaction = self.0.store.begin().await?;
        let withdrawn = transaction.upkeep().withdraw(user, project, cause.at).await?;
        let tasks = withdrawn.tasks.iter().map(|(before, after)| cause.task(EventType::TaskUpdated, before, after));
        let comments = withdrawn
            .comments
            .iter()
            .map(|(before, after)| cause.changed(EventType::CommentUpdated, project, before, after));
        let events: Vec<_> = tasks.chain(comments).collect();
        self.0.tell(&*transaction, &events).await?;
        Ok(transaction.commit().await?)
    }
}
