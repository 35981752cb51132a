//! Invitations, for who is invited.

use poem_openapi::OpenApi;
use poem_openapi::param::Path;

use super::extract::{Auth, AuthWrite, QueryParams};
use super::respond::{Accepting, Declining, Done, Failure, Found, ListingMine, Performed};
use super::{Service, Tag};
use crate::contract::InvitationId;
use crate::contract::page::ListOf as _;
use crate::contract::project::invitation::{InvitationList, InvitationQuery};
use crate::contract::project::member::Member;

pub(in crate::api) struct InvitationsApi;

#[OpenApi(prefix_path = "/v1/invitations", tag = "Tag::Members")]
impl InvitationsApi {
    /// List my invitations
    ///
    /// Lists the invitations to the address of the caller, and what became of them. Where addresses must be proved,
    /// that must have happened (403 `EMAIL_NOT_VERIFIED` otherwise).
    #[oai(path = "/", method = "get", operation_id = "listMyInvitations")]
    async fn list(
        &self,
        caller: Auth,
        services: Service<'_>,
        query: QueryParams<InvitationQuery>,
    ) -> Result<Found<InvitationList>, Failure<ListingMine>> {
        let page = services.invitations.list_mine(caller.0, &query.0).await?;
        Ok(Found(InvitationList::new(page, query.0.paging)))
    }

    /// Accept an invitation
    ///
    /// Makes the caller a member of the project, with the role of the invitation. Only who has the address that was
    /// invited may, and where addresses must be proved that must have happened. It takes an invitation that is pending,
    /// and a project that is not archived.
    #[oai(path = "/:invitation_id/accept", method = "post", operation_id = "acceptInvitation")]
    async fn accept(
        &self,
        write: AuthWrite,
        services: Service<'_>,
        invitation_id: Path<InvitationId>,
    ) -> Result<Performed<Member>, Failure<Accepting>> {
        Ok(Performed(services.invitations.accept(&write.0, invitation_id.0).await?))
    }

    /// Decline an invitation
    ///
    /// Says no, for good: to be invited again takes another invitation. Only who has the address that was invited may,
    /// and where addresses must be proved that must have happened.
    #[oai(path = "/:invitation_id/decline", method = "post", operation_id = "declineInvitation")]
    async fn decline(
        &self,
        write: AuthWrite,
        services: Service<'_>,
        invitation_id: Path<InvitationId>,
    ) -> Result<Done, Failure<Declining>> {
        services.invitations.decline(&write.0, invitation_id.0).await?;
        Ok(Done)
    }
}
