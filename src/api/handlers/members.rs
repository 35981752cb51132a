//! The people in projects, and those who are invited into them.

use std::sync::Arc;

use poem_openapi::OpenApi;

use super::tag::Tag;
use crate::api::errors::Reply;
use crate::api::extract::{Auth, AuthWrite, JsonBody, MergePatch, PathParam, QueryParams};
use crate::api::respond::{Created, NoContent, OkJson};
use crate::contract::page::ListOf as _;
use crate::contract::project::invitation::{Invitation, InvitationList, InvitationQuery, NewInvitation};
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
    /// Lists the members of a project, its owner among them. Every member may read it. Somebody whose account is in the
    /// trash is left out until it comes back.
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

    /// Change the role of a member
    ///
    /// Gives a member another role; only the owner may. `owner` hands the project over: that member owns it from then
    /// on, and who owned it becomes an editor, both at once. A project must have an owner, so the owner's own role is
    /// only changed in this way (409 `OWNER_REQUIRED` otherwise).
    #[oai(path = "/:project_id/members/:user_id", method = "patch", operation_id = "updateMember")]
    async fn update(
        &self,
        write: AuthWrite,
        project_id: PathParam<ProjectId>,
        user_id: PathParam<UserId>,
        body: MergePatch<UpdateMember>,
    ) -> Reply<OkJson<Member>> {
        Ok(self.services.members.update(&write.0, project_id.0, user_id.0, body.0).await?.into())
    }

    /// Remove a member, or leave
    ///
    /// Takes a member out of a project at once; tasks there that were assigned to the member have no assignee then. The
    /// owner may remove everybody else, unless the project is archived, and also a member whose account is in the
    /// trash. All others may remove themselves, which is to leave, archived or not. The owner cannot leave without
    /// handing the project over first (409 `OWNER_REQUIRED`).
    #[oai(path = "/:project_id/members/:user_id", method = "delete", operation_id = "removeMember")]
    async fn remove(
        &self,
        write: AuthWrite,
        project_id: PathParam<ProjectId>,
        user_id: PathParam<UserId>,
    ) -> Reply<NoContent> {
        self.services.members.remove(&write.0, project_id.0, user_id.0).await?;
        Ok(NoContent)
    }

    /// List the invitations into a project
    ///
    /// Lists everybody who was invited, and what became of it. Only the owner may.
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

    /// Invite somebody
    ///
    /// Invites an address into a project, be there an account with it or not, and mails the invitation to it. It is
    /// good for 7 days, and answered by the user who has that address. Only the owner may. A project may have 500
    /// members and pending invitations together.
    #[oai(path = "/:project_id/invitations", method = "post", operation_id = "createInvitation")]
    async fn invite(
        &self,
        write: AuthWrite,
        project_id: PathParam<ProjectId>,
        body: JsonBody<NewInvitation>,
    ) -> Reply<Created<Invitation>> {
        Ok(self.services.invitations.create(&write.0, project_id.0, body.0).await?.into())
    }

    /// Revoke an invitation
    ///
    /// Takes back an invitation that is pending: it cannot be accepted any more, and is listed as `revoked`. Only the
    /// owner may.
    #[oai(path = "/:project_id/invitations/:invitation_id", method = "delete", operation_id = "revokeInvitation")]
    async fn revoke(
        &self,
        write: AuthWrite,
        project_id: PathParam<ProjectId>,
        invitation_id: PathParam<InvitationId>,
    ) -> Reply<NoContent> {
        self.services.invitations.revoke(&write.0, project_id.0, invitation_id.0).await?;
        Ok(NoContent)
    }
}
