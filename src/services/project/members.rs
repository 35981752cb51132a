//! The people in a project: their roles, handing the project over, and leaving it.

use std::sync::Arc;

use super::{find_for, lock_live};
use crate::contract::event::EventType;
use crate::contract::list::{Page, Sort};
use crate::contract::member::{Member, MemberQuery, UpdateMember};
use crate::contract::project::{Project, Role};
use crate::contract::task::Task;
use crate::contract::{ProjectId, UserId};
use crate::repositories::{NewEvent, StoreError};
use crate::services::error::Error;
use crate::services::event::publish::Cause;
use crate::services::permissions::{Action, require, require_for_change, require_membership};
use crate::services::unit_of_work::{Access, Unit, Write};
use crate::services::{Answer, Caller, Shared};

/// The people in a project.
#[derive(Clone)]
pub struct Members(Arc<Shared>);

impl Members {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// The members of a project.
    pub async fn list(&self, caller: Caller, project: ProjectId, query: &MemberQuery) -> Result<Page<Member>, Error> {
        let repositories = self.0.store.read();
        let project = find_for(Action::Read, repositories, caller, project).await?;
        let sort = Sort::new(query.sort, query.dir);
        Ok(repositories.members().list(project.id, query.role, sort, query.paging).await?)
    }

    /// Gives a member another role; who becomes the owner takes the place of the one who was.
    pub async fn update(
        &self,
        write: &Write,
        project: ProjectId,
        user: UserId,
        patch: UpdateMember,
    ) -> Result<Answer<Member>, Error> {
        let unit = self.0.open(write).await?;
        let heir_stays = patch.role == Some(Role::Owner) && lock_other(&unit, write.caller, project, user).await?;
        let project = lock_live(&*unit, write.caller, project).await?;
        require_membership(project.role, Action::ManageMembers)?;
        let member = unit.members().find(project.id, user).await?.ok_or(Error::NotFound("member"))?;
        let role = patch.role.unwrap_or(member.role);
        let is_changed = role != member.role;
        let steps_down = is_changed && member.role == Role::Owner;
        let action = if steps_down { Action::StepDown } else { Action::ManageMembers };
        require_for_change(project.role, action, project.archived && is_changed)?;
        if !is_changed {
            return Ok(Answer::result(&member));
        }
        let cause = write.cause(self.0.clock.now());
        let changed = Member { role, ..member.clone() };
        let mut events = vec![cause.changed(EventType::MemberUpdated, project.id, &member, &changed)];
        let access = if role == Role::Owner {
            if !heir_stays {
                // The caller has come to own the project only after it was looked at.
                return Err(StoreError::Overtaken.into());
            }
            events.extend(hand_over(&unit, &project, user, &cause).await?);
            // Who handed it over is no longer its owner, and may have to ask again.
            Action::Read
        } else {
            unit.members().set_role(project.id, user, role).await?;
            Action::ManageMembers
        };
        unit.commit(Answer::result(&changed), Access::In(project.id, access), events).await
    }

    /// Takes a member out of a project, which members may do with themselves. One whose account is in the trash, too:
    /// the account may come back.
    pub async fn remove(&self, write: &Write, project: ProjectId, user: UserId) -> Result<Answer<()>, Error> {
        let unit = self.0.open(write).await?;
        let leaves = user == write.caller.user;
        if !leaves {
            // It may be on its way out of the trash: then it comes back before, and is seen to go, or after, and finds
            // itself gone.
            lock_other(&unit, write.caller, project, user).await?;
        }
        let project = lock_live(&*unit, write.caller, project).await?;
        let action = if leaves { Action::Leave } else { Action::ManageMembers };
        require_membership(project.role, action)?;
        unit.projects().find_role(project.id, user).await?.ok_or(Error::NotFound("member"))?;
        require_for_change(project.role, action, project.archived)?;
        let cause = write.cause(self.0.clock.now());
        // Nobody sees the member whose account is in the trash go.
        let member = unit.members().find(project.id, user).await?;
        let unassigned = unit.tasks().unassign(project.id, user, cause.at).await?;
        unit.members().remove(project.id, user).await?;
        // Who is removed is told nothing of what becomes of the project after that.
        let removed = member.map(|member| cause.removed(EventType::MemberRemoved, project.id, &member));
        let unassigned = unassigned.iter().map(|after| {
            let before = Task { assignee_id: Some(user), ..after.clone() };
            cause.task(EventType::TaskUpdated, &before, after)
        });
        let events = removed.into_iter().chain(unassigned).collect();
        // Who has left has no access any more, and may have to ask again.
        let access = if leaves { Access::Own } else { Access::In(project.id, action) };
        unit.commit(Answer::done(), access, events).await
    }
}

/// Makes a member the owner, and an editor of who was, and gives what there is to tell beyond the new owner. There is
/// one owner at every moment, for the database too.
async fn hand_over(unit: &Unit<'_>, project: &Project, to: UserId, cause: &Cause) -> Result<Vec<NewEvent>, Error> {
    let from = unit.members().find(project.id, project.owner_id).await?.ok_or(Error::NotFound("member"))?;
    unit.members().set_role(project.id, project.owner_id, Role::Editor).await?;
    unit.members().set_role(project.id, to, Role::Owner).await?;
    let handed = Project { owner_id: to, version: project.version + 1, updated_at: cause.at, ..project.clone() };
    unit.projects().update(&handed).await?;
    let editor = Member { role: Role::Editor, ..from.clone() };
    Ok(vec![
        cause.changed(EventType::MemberUpdated, project.id, &from, &editor),
        cause.project(EventType::ProjectUpdated, project, &handed),
    ])
}

/// Locks the account of somebody else in a project, if the caller may decide about its members, and says whether it
/// did.
///
/// Who deletes an account takes its projects along, and locks them after the account: so it is there and stays, or is
/// gone before it owns this one. It is not locked for everybody who asks, which would be a way to make others wait.
async fn lock_other(unit: &Unit<'_>, caller: Caller, project: ProjectId, user: UserId) -> Result<bool, Error> {
    let project = unit.projects().find(project, caller.user).await?;
    let may = project.is_some_and(|project| require(project.role, Action::ManageMembers).is_ok());
    if may {
        unit.users().lock(user).await?;
    }
    Ok(may)
}
