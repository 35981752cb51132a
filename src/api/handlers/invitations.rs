//! Invitations of the caller.

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
