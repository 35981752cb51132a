//! Invitations to projects: sent by the owner, answered by the invitee.

use std::sync::Arc;
use std::time::Duration;

use super::{find_authorized, lock_active};
use crate::contract::account::user::User;
use crate::contract::event::EventType;
use crate::contract::page::{Page, Sort};
use crate::contract::project::invitation::{CreateInvitation, Invitation, InvitationQuery, InvitationStatus};
use crate::contract::project::member::Member;
use crate::contract::{InvitationId, ProjectId};
use crate::repositories::{InvitationScope, Job, NewEvent, ResourceRef};
use crate::services::account::auth::normalize_email;
use crate::services::idempotency::fresh;
use crate::services::mail_budget::MailRecipient;
use crate::services::permissions::{
    Action, require_for_change, require_invited, require_joinable, require_membership, require_verified_email,
};
use crate::services::{
    Caller, Error, ReplayAccess, ServiceContext, UnitOfWork, WriteContext, WriteOutcome, lock_caller,
};

const TTL: Duration = Duration::from_hours(7 * 24);

/// Maximum number of members and pending invitations of a project together.
const MAX_PER_PROJECT: u64 = 500;

/// Invitations to projects.
#[derive(Clone)]
pub struct Invitations(pub(crate) Arc<ServiceContext>);

/// Content of an invitation e-mail.
#[derive(Debug)]
pub struct InvitationEmail {
    /// Invitation.
    pub invitation: Invitation,
    /// User who sent the invitation, if the account still exists.
    pub inviter: Option<User>,
    /// Account with the invited address, if one exists.
    pub recipient: Option<User>,
}

impl Invitations {
    /// Lists the invitations of a project.
    pub async fn list(
        &self,
        caller: Caller,
        project: ProjectId,
        query: &InvitationQuery,
    ) -> Result<Page<Invitation>, Error> {
        find_authorized(Action::ReadInvitations, self.0.store.read(), caller, project).await?;
        self.list_in(caller, InvitationScope::Project(project), query).await
    }

    /// Lists the invitations to the caller's address.
    pub async fn list_mine(&self, caller: Caller, query: &InvitationQuery) -> Result<Page<Invitation>, Error> {
        let user = self.0.store.read().users().find(caller.user).await?.ok_or(Error::TokenRevoked)?;
        require_verified_email(&user, self.0.policy.require_verification)?;
        self.list_in(caller, InvitationScope::Email(&user.email), query).await
    }

    /// Invites an address and enqueues the e-mail.
    pub async fn create(
        &self,
        write: &WriteContext,
        project: ProjectId,
        new: CreateInvitation,
    ) -> Result<WriteOutcome<Invitation>, Error> {
        let unit = fresh!(self.0.begin(write).await?);
        // A password reset revokes the invitations that the account sent, so it must not miss this one.
        let user = lock_caller(&*unit, write.caller).await?;
        let project = lock_active(&*unit, write.caller, project).await?;
        require_for_change(project.role, Action::Invite, project.archived)?;
        // Otherwise, throw-away accounts could send mail to anyone.
        require_verified_email(&user, self.0.policy.require_verification)?;
        let now = self.0.clock.now();
        let invitation = Invitation {
            id: InvitationId::generate(),
            project_id: project.id,
            project_name: project.name,
            email: normalize_email(&new.email),
            role: new.role,
            status: InvitationStatus::Pending,
            invited_by: Some(write.caller.user),
            expires_at: now + TTL,
            created_at: now,
        };
        if unit.members().has_email(project.id, &invitation.email).await? {
            return Err(Error::AlreadyMember);
        }
        if !unit.invitations().add(&invitation).await? {
            return Err(Error::AlreadyInvited);
        }
        let expected =
            unit.members().count(project.id).await? + unit.invitations().count_pending(project.id, now).await?;
        if expected > MAX_PER_PROJECT {
            return Err(Error::LimitReached(format!(
                "The project already has {MAX_PER_PROJECT} members and pending invitations, which is the maximum. Remove one first."
            )));
        }
        self.0.spend_invitation(&*unit, user.id, now).await?;
        let mail = Job::InvitationEmail { invitation: invitation.id };
        self.0.enqueue_mail(&*unit, &mail, MailRecipient::stranger(&invitation.email), now).await?;
        let event = write.event_context(now).created(EventType::InvitationCreated, project.id, &invitation);
        unit.publish_and_commit(
            WriteOutcome::result(&invitation).created(ResourceRef::Invitation(project.id, invitation.id)),
            ReplayAccess::Project(project.id, Action::Invite),
            &[event],
        )
        .await
    }

    /// Revokes an invitation.
    pub async fn revoke(
        &self,
        write: &WriteContext,
        project: ProjectId,
        id: InvitationId,
    ) -> Result<WriteOutcome<()>, Error> {
        let unit = fresh!(self.0.begin(write).await?);
        let project = lock_active(&*unit, write.caller, project).await?;
        require_membership(project.role, Action::Invite)?;
        let invitation = unit.invitations().find(id, self.0.clock.now()).await?;
        let invitation =
            invitation.filter(|invitation| invitation.project_id == project.id).ok_or(Error::NotFound("invitation"))?;
        require_for_change(project.role, Action::Invite, project.archived)?;
        let event = self.resolve(&unit, write, &invitation, InvitationStatus::Revoked).await?;
        unit.publish_and_commit(WriteOutcome::done(), ReplayAccess::CallerOnly, &[event]).await
    }

    /// Accepts an invitation, which makes the caller a member.
    pub async fn accept(&self, write: &WriteContext, id: InvitationId) -> Result<WriteOutcome<Member>, Error> {
        let unit = fresh!(self.0.begin(write).await?);
        let (invitation, user) = self.lock_for_response(&unit, write.caller, id).await?;
        let project = unit.projects().lock(invitation.project_id, write.caller.user).await?;
        let project = project.map(|locked| locked.project).filter(|project| project.deleted_at.is_none());
        require_joinable(project.ok_or(Error::NotFound("invitation"))?.archived)?;
        // The invitation may have expired during the wait for the lock.
        let accepted = self.resolve(&unit, write, &invitation, InvitationStatus::Accepted).await?;
        let role = invitation.role.into();
        let now = accepted.occurred_at;
        if !unit.members().add(invitation.project_id, user.id, role, now).await? {
            return Err(Error::AlreadyMember);
        }
        let member = Member { user_id: user.id, name: user.name, email: user.email, role, joined_at: now };
        let added = write.event_context(now).created(EventType::MemberAdded, invitation.project_id, &member);
        unit.publish_and_commit(WriteOutcome::result(&member), ReplayAccess::CallerOnly, &[accepted, added]).await
    }

    /// Declines an invitation.
    pub async fn decline(&self, write: &WriteContext, id: InvitationId) -> Result<WriteOutcome<()>, Error> {
        let unit = fresh!(self.0.begin(write).await?);
        let (invitation, _) = self.lock_for_response(&unit, write.caller, id).await?;
        let event = self.resolve(&unit, write, &invitation, InvitationStatus::Declined).await?;
        unit.publish_and_commit(WriteOutcome::done(), ReplayAccess::CallerOnly, &[event]).await
    }

    /// Returns the content of an invitation e-mail, unless it is no longer pending.
    pub async fn email(&self, id: InvitationId) -> Result<Option<InvitationEmail>, Error> {
        let repositories = self.0.store.read();
        let found = repositories.invitations().find(id, self.0.clock.now()).await?;
        let Some(invitation) = found.filter(|found| found.status == InvitationStatus::Pending) else {
            return Ok(None);
        };
        let inviter = match invitation.invited_by {
            Some(user) => repositories.users().find(user).await?,
            None => None,
        };
        let account = repositories.users().find_credentials_by_email(&invitation.email).await?;
        let recipient = account.filter(|account| account.deleted_at.is_none()).map(|account| account.user);
        Ok(Some(InvitationEmail { invitation, inviter, recipient }))
    }

    async fn list_in(
        &self,
        caller: Caller,
        invited: InvitationScope<'_>,
        query: &InvitationQuery,
    ) -> Result<Page<Invitation>, Error> {
        let now = self.0.clock.now();
        let sort = Sort::new(query.sort, query.dir);
        let repositories = self.0.read_unindexed(caller.user).await?;
        Ok(repositories.invitations().list(invited, query.status, now, sort, query.paging).await?)
    }

    /// Returns an invitation to the caller, and locks the caller's account.
    async fn lock_for_response(
        &self,
        unit: &UnitOfWork<'_>,
        caller: Caller,
        id: InvitationId,
    ) -> Result<(Invitation, User), Error> {
        let user = lock_caller(&**unit, caller).await?;
        let invitation = unit.invitations().find(id, self.0.clock.now()).await?;
        let invitation = invitation.ok_or(Error::NotFound("invitation"))?;
        require_invited(&invitation, &user, self.0.policy.require_verification)?;
        Ok((invitation, user))
    }

    /// Changes the status of a pending invitation and returns the event.
    async fn resolve(
        &self,
        unit: &UnitOfWork<'_>,
        write: &WriteContext,
        invitation: &Invitation,
        status: InvitationStatus,
    ) -> Result<NewEvent, Error> {
        let kind = match status {
            InvitationStatus::Accepted => EventType::InvitationAccepted,
            InvitationStatus::Declined => EventType::InvitationDeclined,
            _ => EventType::InvitationRevoked,
        };
        let now = self.0.clock.now();
        if !unit.invitations().resolve(invitation.id, status, now).await? {
            return Err(Error::InvitationNotPending);
        }
        let settled = Invitation { status, ..invitation.clone() };
        Ok(write.event_context(now).updated(kind, invitation.project_id, invitation, &settled))
    }
}
