//! Invitations to projects, addressed to e-mail addresses.

use std::time::Duration;

use poem_openapi::types::Example;
use poem_openapi::{Enum, Object};

use super::Role;
use crate::contract::macros::example;
use crate::contract::page::collection;
use crate::contract::strings::{Email, ProjectName};
use crate::contract::{InvitationId, ProjectId, Timestamp, UserId, world};

/// Role granted by an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub enum InvitedRole {
    /// Read access, plus creating and changing tasks and comments.
    Editor,
    /// Read access.
    Viewer,
}

impl From<InvitedRole> for Role {
    fn from(role: InvitedRole) -> Self {
        match role {
            InvitedRole::Editor => Self::Editor,
            InvitedRole::Viewer => Self::Viewer,
        }
    }
}

/// State of an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub enum InvitationStatus {
    /// Awaiting a response.
    Pending,
    /// Accepted by the invitee.
    Accepted,
    /// Declined by the invitee.
    Declined,
    /// Revoked by the project owner.
    Revoked,
    /// Expired without a response.
    Expired,
}

/// Invitation to a project.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct Invitation {
    /// Invitation id.
    pub id: InvitationId,
    /// Project id.
    pub project_id: ProjectId,
    /// Project name, included because the invitee cannot read the project yet.
    pub project_name: ProjectName,
    /// E-mail address of the invitee, in lower case.
    pub email: Email,
    /// Role of the invitee after accepting.
    pub role: InvitedRole,
    /// State of the invitation.
    pub status: InvitationStatus,
    /// User who sent the invitation; null if the account was permanently deleted.
    pub invited_by: Option<UserId>,
    /// Expiry time: 7 days after creation.
    pub expires_at: Timestamp,
    /// Time of creation.
    pub created_at: Timestamp,
}

impl Example for Invitation {
    fn example() -> Self {
        let (new, created_at) = (CreateInvitation::example(), world::january(15, 10, 0));
        Self {
            id: InvitationId::example(),
            project_id: ProjectId::example(),
            project_name: ProjectName::example(),
            email: new.email,
            role: new.role,
            status: InvitationStatus::Pending,
            invited_by: Some(UserId::example()),
            expires_at: created_at + Duration::from_hours(7 * 24),
            created_at,
        }
    }
}

/// Parameters for inviting someone to a project.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, example)]
pub struct CreateInvitation {
    /// E-mail address of the invitee. Case-insensitive.
    pub email: Email,
    /// Role of the invitee after accepting.
    pub role: InvitedRole,
}

example!(CreateInvitation { email: world::grace_email(), role: InvitedRole::Editor });

collection! {
    /// Page of invitations.
    InvitationList of Invitation;

    /// Sort field of invitations.
    InvitationSort {
        /// Time of creation.
        CreatedAt: Desc,
    }

    /// Query parameters for listing invitations.
    InvitationQuery {
        /// Sort direction.
        #[oai(default = "crate::contract::page::newest_first")]
        dir,
        /// Filters by state.
        status: Option<InvitationStatus>,
    }
}
