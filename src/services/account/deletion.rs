//! What others see of an account that goes into the trash, comes back out of it, or is removed for good.
//!
//! Its own projects go and come back with it. In those of others it is not listed among the members meanwhile.

use std::sync::Arc;

use crate::contract::event::EventType;
use crate::contract::project::Project;
use crate::contract::project::member::Member;
use crate::contract::{ProjectId, Timestamp, UserId};
use crate::repositories::{NewEvent, StoreError, Transaction};
use crate::services::ServiceContext;
use crate::services::error::Error;
use crate::services::event::publish::EventContext;

/// Puts an account into the trash, and gives what there is to tell of it.
pub(crate) async fn soft_delete(
    transaction: &dyn Transaction,
    user: UserId,
    context: &EventContext,
) -> Result<Vec<NewEvent>, StoreError> {
    let members = transaction.members().list_elsewhere(user).await?;
    let projects = transaction.users().set_deleted(user, Some(context.at), context.at).await?;
    let mut events = projects_changed(EventType::ProjectDeleted, &projects, None, context);
    events.extend(members.iter().map(|(project, member)| context.deleted(EventType::MemberRemoved, *project, member)));
    Ok(events)
}

/// Takes an account out of the trash, where it has been since `since`, and gives what there is to tell of it.
pub(crate) async fn restore(
    transaction: &dyn Transaction,
    user: UserId,
    since: Timestamp,
    context: &EventContext,
) -> Result<Vec<NewEvent>, StoreError> {
    let projects = transaction.users().set_deleted(user, None, context.at).await?;
    let members: Vec<(ProjectId, Member)> = transaction.members().list_elsewhere(user).await?;
    let mut events = projects_changed(EventType::ProjectRestored, &projects, Some(since), context);
    events.extend(members.iter().map(|(project, member)| context.created(EventType::MemberAdded, *project, member)));
    Ok(events)
}

fn projects_changed(
    kind: EventType,
    projects: &[Project],
    deleted_before: Option<Timestamp>,
    context: &EventContext,
) -> Vec<NewEvent> {
    let changed = projects.iter().map(|after| {
        let before = Project { deleted_at: deleted_before, ..after.clone() };
        context.project_event(kind, &before, after)
    });
    changed.collect()
}

/// Removing accounts for good.
#[derive(Clone)]
pub struct AccountPurge(Arc<ServiceContext>);

impl AccountPurge {
    pub(crate) const fn new(shared: Arc<ServiceContext>) -> Self {
        Self(shared)
    }

    /// Takes a user whose account is in the trash out of a project of somebody else: what the user made there stays,
    /// made by nobody. That the member is gone was told when the account went into the trash.
    pub async fn anonymize_in_project(&self, user: UserId, project: ProjectId) -> Result<(), Error> {
        let context = EventContext { actor: None, at: self.0.clock.now(), request_id: None };
        let transaction = self.0.store.begin().await?;
        let anonymized = transaction.upkeep().withdraw(user, project, context.at).await?;
        let tasks =
            anonymized.tasks.iter().map(|(before, after)| context.task_event(EventType::TaskUpdated, before, after));
        let comments = anonymized
            .comments
            .iter()
            .map(|(before, after)| context.updated(EventType::CommentUpdated, project, before, after));
        let events: Vec<_> = tasks.chain(comments).collect();
        self.0.publish(&*transaction, &events).await?;
        Ok(transaction.commit().await?)
    }
}
