//! Soft deletion, restoration and purging of accounts.
//!
//! The projects that the account owns are deleted and restored with it. In other projects, a soft-deleted account is
//! hidden from the list of members, at once. Projects and memberships beyond the first portion follow in a job.

use std::sync::Arc;

use crate::contract::event::EventType;
use crate::contract::{ProjectId, Timestamp, UserId};
use crate::repositories::{Job, NewEvent, Portion, StoreError, Transaction};
use crate::services::event::publish::EventContext;
use crate::services::{Error, ServiceContext};

/// Maximum number of projects, and of memberships, that one transaction changes.
const PORTION_SIZE: u64 = 200;

/// Maximum number of tasks, and of comments, that one transaction anonymizes.
const ANONYMIZED_PORTION_SIZE: u64 = 200;

/// Soft-deletes a locked account and returns the events.
pub(crate) async fn soft_delete(
    transaction: &dyn Transaction,
    user: UserId,
    context: &EventContext,
) -> Result<Vec<NewEvent>, StoreError> {
    set_deleted(transaction, user, Some(context.at), context).await
}

/// Restores a locked account, and returns the events.
pub(crate) async fn restore(
    transaction: &dyn Transaction,
    user: UserId,
    context: &EventContext,
) -> Result<Vec<NewEvent>, StoreError> {
    set_deleted(transaction, user, None, context).await
}

async fn set_deleted(
    transaction: &dyn Transaction,
    user: UserId,
    deleted_at: Option<Timestamp>,
    context: &EventContext,
) -> Result<Vec<NewEvent>, StoreError> {
    transaction.users().set_deleted(user, deleted_at, context.at).await?;
    let portion = apply_state(transaction, user, deleted_at, context).await?;
    if portion.has_more {
        transaction.jobs().enqueue(&Job::ApplyAccountState { user }, context.at, context.at).await?;
    }
    Ok(portion.items)
}

/// Deletes or restores the next projects of a locked account, hides or shows its next memberships, and returns the
/// events.
///
/// The remaining ones are found by their state. Repetitions are therefore harmless, and a restoration may overtake a
/// deletion.
async fn apply_state(
    transaction: &dyn Transaction,
    user: UserId,
    deleted_at: Option<Timestamp>,
    context: &EventContext,
) -> Result<Portion<NewEvent>, StoreError> {
    let (repository, now) = (transaction.projects(), context.at);
    let (projects, project_event, member_event) = match deleted_at {
        Some(deleted_at) => (
            repository.delete_with_owner(user, deleted_at, now, PORTION_SIZE).await?,
            EventType::ProjectDeleted,
            EventType::MemberRemoved,
        ),
        None => (
            repository.restore_with_owner(user, now, PORTION_SIZE).await?,
            EventType::ProjectRestored,
            EventType::MemberAdded,
        ),
    };
    let members = transaction.members().set_hidden(user, deleted_at.is_some(), PORTION_SIZE).await?;
    let projects_changed =
        projects.items.iter().map(|changed| context.project_event(project_event, &changed.before, &changed.after));
    let members_changed = members.items.iter().map(|(project, member)| match deleted_at {
        Some(_) => context.deleted(member_event, *project, member),
        None => context.created(member_event, *project, member),
    });
    Ok(Portion {
        items: projects_changed.chain(members_changed).collect(),
        has_more: projects.has_more || members.has_more,
    })
}

/// Deletion of accounts, in portions.
#[derive(Clone)]
pub struct AccountDeletion(pub(crate) Arc<ServiceContext>);

impl AccountDeletion {
    /// Deletes or restores the next portion of an account's projects, and returns whether any remain.
    pub async fn apply_state(&self, user: UserId) -> Result<bool, Error> {
        let transaction = self.0.store.begin().await?;
        let Some(account) = transaction.users().lock(user).await? else { return Ok(false) };
        let context = EventContext { actor: Some(user), at: self.0.clock.now(), request_id: None };
        let portion = apply_state(&*transaction, user, account.deleted_at, &context).await?;
        self.0.publish(&*transaction, &portion.items).await?;
        transaction.commit().await?;
        Ok(portion.has_more)
    }

    /// Removes a soft-deleted user from the next portion of another user's project, and returns whether content remains.
    /// Content stays, with its author set to null. `member.removed` was published when the account was soft-deleted.
    pub async fn anonymize_in_project(&self, user: UserId, project: ProjectId) -> Result<bool, Error> {
        let context = EventContext { actor: None, at: self.0.clock.now(), request_id: None };
        let transaction = self.0.store.begin().await?;
        let anonymized =
            transaction.maintenance().anonymize_member(user, project, context.at, ANONYMIZED_PORTION_SIZE).await?;
        let tasks =
            anonymized.tasks.iter().map(|(before, after)| context.task_event(EventType::TaskUpdated, before, after));
        let comments = anonymized
            .comments
            .iter()
            .map(|(before, after)| context.updated(EventType::CommentUpdated, project, before, after));
        let events: Vec<_> = tasks.chain(comments).collect();
        self.0.publish(&*transaction, &events).await?;
        transaction.commit().await?;
        Ok(anonymized.has_more)
    }
}
