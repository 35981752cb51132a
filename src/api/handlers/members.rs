//! Members of projects, their invitations, and the invitations of the caller.

use std::sync::Arc;

use poem_openapi::OpenApi;

use super::tag::Tag;
use crate::api::errors::Reply;
use crate::api::extract::{Auth, AuthWrite, JsonBody, PathParam, QueryParams};
use crate::api::respond::{Created, NoContent, OkJson};
use crate::contract::page::ListOf as _;
use crate::contract::project::invitation::{CreateInvitation, Invitation, InvitationList, InvitationQuery};
use crate::contract::project::member::{Member, MemberList, MemberQuery, UpdateMember};
use crate::contract::{InvitationId, ProjectId, UserId};
use crate::services::Services;

pub(in crate::api) struct MembersApi {
    pub(super) services: Arc<Services>,
}

#[OpenApi(prefix_path = "/v1/projects", tag = "Tag::Members")]
impl MembersApi {
    /// List members
    ///
    /// Returns the members of a project, including its owner. Members only. A member whose account is in the trash is
    /// omitted until the account is restored.
    #[oai(path = "/:project_id/members", method = "get", operation_id = "listMembers")]
    async fn list(
        &self,
        auth: Auth,
        project_id: PathParam<ProjectId>,
        query: QueryParams<MemberQuery>,
    ) -> Reply<OkJson<MemberList>> {
        let page = self.services.members.list(auth.0, project_id.0, &query.0).await?;
        Ok(OkJson::new(&MemberList::new(page, query.0.paging)))
    }

    /// Update a member
    ///
    /// Changes the role of a member. Owner only. The role `owner` transfers the project: the member becomes the owner
    /// and the previous owner becomes an editor, atomically. A project always has an owner, so any other change of the
    /// owner's role fails with 409 `OWNER_REQUIRED`.
    #[oai(path = "/:project_id/members/:user_id", method = "patch", operation_id = "updateMember")]
    async fn update(
        &self,
        write: AuthWrite,
        project_id: PathParam<ProjectId>,
        user_id: PathParam<UserId>,
        body: JsonBody<UpdateMember>,
    ) -> Reply<OkJson<Member>> {
        Ok(self.services.members.update(&write.0, project_id.0, user_id.0, body.0).await?.into())
    }

    /// Remove a member
    ///
    /// Removes a member from a project immediately and unassigns the member's tasks in it. The owner can remove every
    /// other member, including one whose account is in the trash, unless the project is archived. Every other member
    /// can remove themselves to leave the project, archived or not. The owner must transfer the project before leaving
    /// it; otherwise the request fails with 409 `OWNER_REQUIRED`.
    #[oai(path = "/:project_id/members/:user_id", method = "delete", operation_id = "removeMember")]
    async fn remove(
        &self,
        write: AuthWrite,
        project_id: PathParam<ProjectId>,
        user_id: PathParam<UserId>,
    ) -> Reply<NoContent> {
        Ok(self.services.members.remove(&write.0, project_id.0, user_id.0).await?.into())
    }

    /// List the invitations to a project
    ///
    /// Returns all invitations to a project with their status. Owner only.
    #[oai(path = "/:project_id/invitations", method = "get", operation_id = "listInvitations")]
    async fn list_invitations(
        &self,
        auth: Auth,
        project_id: PathParam<ProjectId>,
        query: QueryParams<InvitationQuery>,
    ) -> Reply<OkJson<InvitationList>> {
        let page = self.services.invitations.list(auth.0, project_id.0, &query.0).await?;
        Ok(OkJson::new(&InvitationList::new(page, query.0.paging)))
    }

    /// Invite a member
    ///
    /// Invites an e-mail address to a project and sends the invitation by e-mail. The address does not need an account.
    /// The invitation expires after 7 days. Owner only. A project can have up to 500 members and pending invitations in
    /// total. A user can send 50 invitations a day (configurable by the operator), and must have a verified address if
    /// the server requires one. An address receives at most 3 e-mails an hour; further invitations are created without
    /// an e-mail.
    #[oai(path = "/:project_id/invitations", method = "post", operation_id = "createInvitation")]
    async fn invite(
        &self,
        write: AuthWrite,
        project_id: PathParam<ProjectId>,
        body: JsonBody<CreateInvitation>,
    ) -> Reply<Created<Invitation>> {
        Ok(self.services.invitations.create(&write.0, project_id.0, body.0).await?.into())
    }

    /// Revoke an invitation
    ///
    /// Revokes a pending invitation, so that it can no longer be accepted. It stays in the list with the status
    /// `revoked`. Owner only.
    #[oai(path = "/:project_id/invitations/:invitation_id", method = "delete", operation_id = "revokeInvitation")]
    async fn revoke(
        &self,
        write: AuthWrite,
        project_id: PathParam<ProjectId>,
        invitation_id: PathParam<InvitationId>,
    ) -> Reply<NoContent> {
        Ok(self.services.invitations.revoke(&write.0, project_id.0, invitation_id.0).await?.into())
    }
}

pub(in crate::api) struct InvitationsApi {
    pub(super) services: Arc<Services>,
}

#[OpenApi(prefix_path = "/v1/invitations", tag = "Tag::Members")]
impl InvitationsApi {
    /// List your invitations
    ///
    /// Returns the invitations to the address of the caller with their status. If the server requires verified e-mail
    /// addresses and the address is not verified, the request fails with 403 `EMAIL_NOT_VERIFIED`.
    #[oai(path = "/", method = "get", operation_id = "listMyInvitations")]
    async fn list(&self, auth: Auth, query: QueryParams<InvitationQuery>) -> Reply<OkJson<InvitationList>> {
        let page = self.services.invitations.list_mine(auth.0, &query.0).await?;
        Ok(OkJson::new(&InvitationList::new(page, query.0.paging)))
    }

    /// Accept an invitation
    ///
    /// Adds the caller to the project with the role of the invitation. Only the user with the invited address can
    /// accept it; the address must be verified if the server requires that. The invitation must be pending, and the
    /// project must not be archived.
    #[oai(path = "/:invitation_id/accept", method = "post", operation_id = "acceptInvitation")]
    async fn accept(&self, write: AuthWrite, invitation_id: PathParam<InvitationId>) -> Reply<OkJson<Member>> {
        Ok(self.services.invitations.accept(&write.0, invitation_id.0).await?.into())
    }

    /// Decline an invitation
    ///
    /// Declines an invitation permanently; joining the project later takes a new one. Only the user with the invited
    /// address can decline it; the address must be verified if the server requires that.
    #[oai(path = "/:invitation_id/decline", method = "post", operation_id = "declineInvitation")]
    async fn decline(&self, write: AuthWrite, invitation_id: PathParam<InvitationId>) -> Reply<NoContent> {
        Ok(self.services.invitations.decline(&write.0, invitation_id.0).await?.into())
    }
}
