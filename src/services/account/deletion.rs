//! Soft deletion, restoration and purging of accounts.
//!
//! The projects that the account owns are deleted and restored with it. In other projects, a soft-deleted account is
//! hidden from the list of members.

use std::sync::Arc;

use crate::contract::event::EventType;
use crate::contract::project::Project;
use crate::contract::project::member::Member;
use crate::contract::{ProjectId, Timestamp, UserId};
use crate::repositories::{NewEvent, StoreError, Transaction};
use crate::services::event::publish::EventContext;
use crate::services::{Error, ServiceContext};

/// Soft-deletes an account and returns the events.
pub(crate) async fn soft_delete(
    transaction: &dyn Transaction,
    user: UserId,
    context: &EventContext,
) -> Result<Vec<NewEvent>, StoreError> {
    let members = transaction.members().list_non_owner_memberships(user).await?;
    let projects = transaction.users().set_deleted(user, Some(context.at), context.at).await?;
    let mut events = projects_changed(EventType::ProjectDeleted, &projects, None, context);
    events.extend(members.iter().map(|(project, member)| context.deleted(EventType::MemberRemoved, *project, member)));
    Ok(events)
}

/// Restores an account that was soft-deleted at `since`, and returns the events.
pub(crate) async fn restore(
    transaction: &dyn Transaction,
    user: UserId,
    since: Timestamp,
    context: &EventContext,
) -> Result<Vec<NewEvent>, StoreError> {
    let projects = transaction.users().set_deleted(user, None, context.at).await?;
    let members: Vec<(ProjectId, Member)> = transaction.members().list_non_owner_memberships(user).await?;
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

/// Permanent deletion of accounts.
#[derive(Clone)]
pub struct AccountPurge(pub(crate) Arc<ServiceContext>);

impl AccountPurge {
    /// Removes a soft-deleted user from another user's project.
    /// Content stays, with its author set to null. `member.removed` was published when the account was soft-deleted.
    pub async fn anonymize_in_project(&self, user: UserId, project: ProjectId) -> Result<(), Error> {
        let context = EventContext { actor: None, at: self.0.clock.now(), request_id: None };
        let transaction = self.0.store.begin().await?;
        let anonymized = transaction.maintenance().anonymize_member(user, project, context.at).await?;
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
