//! Invitations, for who is invited.

use std::sync::Arc;

use poem_openapi::OpenApi;

use super::tag::Tag;
use crate::api::errors::Reply;
use crate::api::extract::{Auth, AuthWrite, PathParam, QueryParams};
use crate::api::respond::{NoContent, OkJson};
use crate::contract::InvitationId;
use crate::contract::page::ListOf as _;
use crate::contract::project::invitation::{InvitationList, InvitationQuery};
use crate::contract::project::member::Member;
use crate::services::Services;

pub(in crate::api) struct InvitationsApi {
    pub(super) services: Arc<Services>,
}

#[OpenApi(prefix_path = "/v1/invitations", tag = "Tag::Members")]
impl InvitationsApi {
    /// List my invitations
    ///
    /// Lists the invitations to the address of the caller, and what became of them. Where addresses must be proved,
    /// that must have happened (403 `EMAIL_NOT_VERIFIED` otherwise).
    #[oai(path = "/", method = "get", operation_id = "listMyInvitations")]
    async fn list(&self, auth: Auth, query: QueryParams<InvitationQuery>) -> Reply<OkJson<InvitationList>> {
        let page = self.services.invitations.list_mine(auth.0, &query.0).await?;
        Ok(OkJson::new(&InvitationList::new(page, query.0.paging)))
    }

    /// Accept an invitation
    ///
    /// Makes the caller a member of the project, with the role of the invitation. Only who has the address that was
    /// invited may, and where addresses must be proved that must have happened. It takes an invitation that is pending,
    /// and a project that is not archived.
    #[oai(path = "/:invitation_id/accept", method = "post", operation_id = "acceptInvitation")]
    async fn accept(&self, write: AuthWrite, invitation_id: PathParam<InvitationId>) -> Reply<OkJson<Member>> {
        Ok(self.services.invitations.accept(&write.0, invitation_id.0).await?.into())
    }

    /// Decline an invitation
    ///
    /// Says no, for good: to be invited again takes another invitation. Only who has the address that was invited may,
    /// and where addresses must be proved that must have happened.
    #[oai(path = "/:invitation_id/decline", method = "post", operation_id = "declineInvitation")]
    async fn decline(&self, write: AuthWrite, invitation_id: PathParam<InvitationId>) -> Reply<NoContent> {
        self.services.invitations.decline(&write.0, invitation_id.0).await?;
        Ok(NoContent)
    }
}
