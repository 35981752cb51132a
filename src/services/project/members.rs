//! Members of projects: roles, ownership transfer, removal and leaving.

use std::sync::Arc;

use super::{find_authorized, lock_active};
use crate::contract::account::audit_entry::AuditEntryType;
use crate::contract::event::EventType;
use crate::contract::page::{Page, Sort};
use crate::contract::project::member::{Member, MemberQuery, UpdateMember};
use crate::contract::project::{Project, Role};
use crate::contract::task::Task;
use crate::contract::{ProjectId, UserId};
use crate::repositories::{Job, NewEvent, Portion, StoreError, Transaction};
use crate::services::event::publish::EventContext;
use crate::services::idempotency::fresh;
use crate::services::permissions::{Action, require, require_for_change, require_membership};
use crate::services::{
    Caller, Error, NewAuditEntry, ReplayAccess, ServiceContext, UnitOfWork, WriteContext, WriteOutcome,
};

/// Maximum number of tasks that one transaction unassigns.
const PORTION_SIZE: u64 = 200;

/// Members of projects.
#[derive(Clone)]
pub struct Members(pub(crate) Arc<ServiceContext>);

impl Members {
    /// Lists the members of a project.
    pub async fn list(&self, caller: Caller, project: ProjectId, query: &MemberQuery) -> Result<Page<Member>, Error> {
        let repositories = self.0.store.read();
        let project = find_authorized(Action::Read, repositories, caller, project).await?;
        let sort = Sort::new(query.sort, query.dir);
        Ok(repositories.members().list(project.id, query.role, sort, query.paging).await?)
    }

    /// Changes the role of a member. The role `owner` transfers the project.
    pub async fn update(
        &self,
        write: &WriteContext,
        project: ProjectId,
        user: UserId,
        patch: UpdateMember,
    ) -> Result<WriteOutcome<Member>, Error> {
        let unit = fresh!(self.0.begin(write).await?);
        let new_owner_locked =
            patch.role == Some(Role::Owner) && lock_member_account(&unit, write.caller, project, user).await?;
        let project = lock_active(&*unit, write.caller, project).await?;
        require_membership(project.role, Action::ManageMembers)?;
        let member = unit.members().find(project.id, user).await?.ok_or(Error::NotFound("member"))?;
        let role = patch.role.unwrap_or(member.role);
        let is_changed = role != member.role;
        let relinquishes = is_changed && member.role == Role::Owner;
        let action = if relinquishes { Action::RelinquishOwnership } else { Action::ManageMembers };
        require_for_change(project.role, action, project.archived && is_changed)?;
        if !is_changed {
            return unit.unchanged(WriteOutcome::result(&member)).await;
        }
        let context = write.event_context(self.0.clock.now());
        let changed = Member { role, ..member.clone() };
        let mut events = vec![context.updated(EventType::MemberUpdated, project.id, &member, &changed)];
        let access = if role == Role::Owner {
            if !new_owner_locked {
                // The caller became the owner after the check, so the account is not locked.
                return Err(StoreError::ConcurrentMove.into());
            }
            self.0.policy.quotas.require_transferred_project(&*unit, user, &project).await?;
            events.extend(transfer_ownership(&unit, &project, user, &context).await?);
            // The previous owner may replay the response with the role that remains.
            Action::Read
        } else {
            unit.members().set_role(project.id, user, role).await?;
            Action::ManageMembers
        };
        let kind = match role {
            Role::Owner => AuditEntryType::OwnershipTransferred,
            Role::Editor | Role::Viewer => AuditEntryType::MemberRoleChanged,
        };
        let entry = NewAuditEntry::by_caller(kind, write).in_project(project.id).target(user.0).role(role);
        self.0.audit_both(&*unit, entry, user, context.at).await?;
        unit.publish_and_commit(WriteOutcome::result(&changed), ReplayAccess::Project(project.id, access), &events)
            .await
    }

    /// Removes a member, whose account may be soft-deleted, or lets the caller leave.
    pub async fn remove(
        &self,
        write: &WriteContext,
        project: ProjectId,
        user: UserId,
    ) -> Result<WriteOutcome<()>, Error> {
        let unit = fresh!(self.0.begin(write).await?);
        let is_self = user == write.caller.user;
        if !is_self {
            // Serializes with a concurrent restoration of the member's account.
            lock_member_account(&unit, write.caller, project, user).await?;
        }
        let project = lock_active(&*unit, write.caller, project).await?;
        let action = if is_self { Action::Leave } else { Action::ManageMembers };
        require_membership(project.role, action)?;
        unit.projects().find_role(project.id, user).await?.ok_or(Error::NotFound("member"))?;
        require_for_change(project.role, action, project.archived)?;
        let context = write.event_context(self.0.clock.now());
        // `None` if the account is soft-deleted, and `member.removed` was published for that.
        let member = unit.members().find_published(project.id, user).await?;
        unit.members().remove(project.id, user).await?;
        let unassigned = unassign(&*unit, project.id, user, &context).await?;
        if unassigned.has_more {
            let job = Job::UnassignTasks { project: project.id, user, actor: write.caller.user };
            unit.jobs().enqueue(&job, context.at, context.at).await?;
        }
        let entry =
            NewAuditEntry::by_caller(AuditEntryType::MemberRemoved, write).in_project(project.id).target(user.0);
        self.0.audit_both(&*unit, entry, user, context.at).await?;
        // Listed first: events after the removal are not delivered to the removed member.
        let removed = member.map(|member| context.deleted(EventType::MemberRemoved, project.id, &member));
        let events: Vec<_> = removed.into_iter().chain(unassigned.items).collect();
        // A caller who has left can no longer be checked against the project.
        let access = if is_self { ReplayAccess::CallerOnly } else { ReplayAccess::Project(project.id, action) };
        unit.publish_and_commit(WriteOutcome::done(), access, &events).await
    }

    /// Unassigns the next portion of the tasks of a removed member, and returns whether any remain.
    ///
    /// A user who has become a member again keeps the tasks that are still assigned.
    pub async fn unassign_tasks(&self, project: ProjectId, user: UserId, actor: UserId) -> Result<bool, Error> {
        let transaction = self.0.store.begin().await?;
        transaction.projects().lock(project, actor).await?;
        if transaction.projects().find_role(project, user).await?.is_some() {
            return Ok(false);
        }
        let context = EventContext { actor: Some(actor), at: self.0.clock.now(), request_id: None };
        let unassigned = unassign(&*transaction, project, user, &context).await?;
        self.0.publish(&*transaction, &unassigned.items).await?;
        transaction.commit().await?;
        Ok(unassigned.has_more)
    }
}

/// Unassigns a portion of the tasks of a removed member of a locked project, and returns the events.
async fn unassign(
    transaction: &dyn Transaction,
    project: ProjectId,
    user: UserId,
    context: &EventContext,
) -> Result<Portion<NewEvent>, StoreError> {
    let Portion { items, has_more } = transaction.tasks().unassign(project, user, context.at, PORTION_SIZE).await?;
    let events = items.iter().map(|after| {
        let before = Task { assignee_id: Some(user), ..after.clone() };
        context.task_event(EventType::TaskUpdated, &before, after)
    });
    Ok(Portion { items: events.collect(), has_more })
}

/// Makes a member the owner and the previous owner an editor.
/// Returns the further events. The project has exactly one owner after every statement.
async fn transfer_ownership(
    unit: &UnitOfWork<'_>,
    project: &Project,
    to: UserId,
    context: &EventContext,
) -> Result<Vec<NewEvent>, Error> {
    let from = unit.members().find(project.id, project.owner_id).await?.ok_or(Error::NotFound("member"))?;
    unit.members().set_role(project.id, project.owner_id, Role::Editor).await?;
    unit.members().set_role(project.id, to, Role::Owner).await?;
    let handed = Project { owner_id: to, version: project.version + 1, updated_at: context.at, ..project.clone() };
    unit.projects().update(&handed).await?;
    let editor = Member { role: Role::Editor, ..from.clone() };
    Ok(vec![
        context.updated(EventType::MemberUpdated, project.id, &from, &editor),
        context.project_event(EventType::ProjectUpdated, project, &handed),
    ])
}

/// Locks the account of another user. Returns whether the caller may do so.
/// Deleting an account locks the account and then its projects, so the account must be locked before the project.
/// Callers without the permission could otherwise block any user.
async fn lock_member_account(
    unit: &UnitOfWork<'_>,
    caller: Caller,
    project: ProjectId,
    user: UserId,
) -> Result<bool, Error> {
    let project = unit.projects().find(project, caller.user).await?;
    let may = project.is_some_and(|project| require(project.role, Action::ManageMembers).is_ok());
    if may {
        unit.users().lock(user).await?;
    }
    Ok(may)
}
