//! The people in a project: their roles, handing the project over, and leaving it.

use std::sync::Arc;

use super::{find_authorized, lock_active};
use crate::contract::event::EventType;
use crate::contract::page::{Page, Sort};
use crate::contract::project::member::{Member, MemberQuery, UpdateMember};
use crate::contract::project::{Project, Role};
use crate::contract::task::Task;
use crate::contract::{ProjectId, UserId};
use crate::repositories::{NewEvent, StoreError};
use crate::services::error::Error;
use crate::services::event::publish::EventContext;
use crate::services::permissions::{Action, require, require_for_change, require_membership};
use crate::services::unit_of_work::{ReplayAccess, UnitOfWork, WriteContext};
use crate::services::{Answer, Caller, ServiceContext};

/// The people in a project.
#[derive(Clone)]
pub struct Members(Arc<ServiceContext>);

impl Members {
    pub(crate) const fn new(shared: Arc<ServiceContext>) -> Self {
        Self(shared)
    }

    /// The members of a project.
    pub async fn list(&self, caller: Caller, project: ProjectId, query: &MemberQuery) -> Result<Page<Member>, Error> {
        let repositories = self.0.store.read();
        let project = find_authorized(Action::Read, repositories, caller, project).await?;
        let sort = Sort::new(query.sort, query.dir);
        Ok(repositories.members().list(project.id, query.role, sort, query.paging).await?)
    }

    /// Gives a member another role; who becomes the owner takes the place of the one who was.
    pub async fn update(
        &self,
        write: &WriteContext,
        project: ProjectId,
        user: UserId,
        patch: UpdateMember,
    ) -> Result<Answer<Member>, Error> {
        let unit = self.0.begin(write).await?;
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
            return Ok(Answer::result(&member));
        }
        let context = write.event_context(self.0.clock.now());
        let changed = Member { role, ..member.clone() };
        let mut events = vec![context.updated(EventType::MemberUpdated, project.id, &member, &changed)];
        let access = if role == Role::Owner {
            if !new_owner_locked {
                // The caller has come to own the project only after it was looked at.
                return Err(StoreError::Overtaken.into());
            }
            events.extend(transfer_ownership(&unit, &project, user, &context).await?);
            // Who handed it over is no longer its owner, and may have to ask again.
            Action::Read
        } else {
            unit.members().set_role(project.id, user, role).await?;
            Action::ManageMembers
        };
        unit.commit(Answer::result(&changed), ReplayAccess::Project(project.id, access), events).await
    }

    /// Takes a member out of a project, which members may do with themselves. One whose account is in the trash, too:
    /// the account may come back.
    pub async fn remove(&self, write: &WriteContext, project: ProjectId, user: UserId) -> Result<Answer<()>, Error> {
        let unit = self.0.begin(write).await?;
        let is_self = user == write.caller.user;
        if !is_self {
            // It may be on its way out of the trash: then it comes back before, and is seen to go, or after, and finds
            // itself gone.
            lock_member_account(&unit, write.caller, project, user).await?;
        }
        let project = lock_active(&*unit, write.caller, project).await?;
        let action = if is_self { Action::Leave } else { Action::ManageMembers };
        require_membership(project.role, action)?;
        unit.projects().find_role(project.id, user).await?.ok_or(Error::NotFound("member"))?;
        require_for_change(project.role, action, project.archived)?;
        let context = write.event_context(self.0.clock.now());
        // Nobody sees the member whose account is in the trash go.
        let member = unit.members().find(project.id, user).await?;
        let unassigned = unit.tasks().unassign(project.id, user, context.at).await?;
        unit.members().remove(project.id, user).await?;
        // Who is removed is told nothing of what becomes of the project after that.
        let removed = member.map(|member| context.deleted(EventType::MemberRemoved, project.id, &member));
        let unassigned = unassigned.iter().map(|after| {
            let before = Task { assignee_id: Some(user), ..after.clone() };
            context.task_event(EventType::TaskUpdated, &before, after)
        });
        let events = removed.into_iter().chain(unassigned).collect();
        // Who has left has no access any more, and may have to ask again.
        let access = if is_self { ReplayAccess::CallerOnly } else { ReplayAccess::Project(project.id, action) };
        unit.commit(Answer::done(), access, events).await
    }
}

/// Makes a member the owner, and an editor of who was, and gives what there is to tell beyond the new owner. There is
/// one owner at every moment, for the database too.
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

/// Locks the account of somebody else in a project, if the caller may decide about its members, and says whether it
/// did.
///
/// Who deletes an account takes its projects along, and locks them after the account: so it is there and stays, or is
/// gone before it owns this one. It is not locked for everybody who asks, which would be a way to make others wait.
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
