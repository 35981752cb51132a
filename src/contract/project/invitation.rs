//! Invitations into projects, by the address of who is invited, with or without an account.

use std::time::Duration;

use poem_openapi::types::Example;
use poem_openapi::{Enum, Object};

use super::Role;
use crate::contract::page::{Direction, Paging, SortField, list_type, newest_first};
use crate::contract::strings::{Email, ProjectName};
use crate::contract::{InvitationId, ProjectId, Timestamp, UserId};

/// What an invitation makes of who accepts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub enum InvitedRole {
    /// Reading, changing tasks, and commenting on them.
    Editor,
    /// Reading.
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

/// What became of an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub enum InvitationStatus {
    /// Nobody has answered it, and it is good.
    Pending,
    /// Who was invited is, or was, a member.
    Accepted,
    /// Who was invited did not want to.
    Declined,
    /// The owner of the project took it back.
    Revoked,
    /// Nobody answered it in time.
    Expired,
}

/// An invitation into a project.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct Invitation {
    /// The id of the invitation.
    pub id: InvitationId,
    /// The project.
    pub project_id: ProjectId,
    /// The name of the project, which who is invited cannot read yet.
    pub project_name: ProjectName,
    /// The address of who is invited, in lower case.
    pub email: Email,
    /// What who accepts it may do in the project.
    pub role: InvitedRole,
    /// What became of it.
    pub status: InvitationStatus,
    /// The user who made it; null when the account is gone for good.
    pub invited_by: Option<UserId>,
    /// Until when it can be accepted: 7 days after it was made.
    pub expires_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Example for Invitation {
    fn example() -> Self {
        let new = NewInvitation::example();
        Self {
            id: InvitationId::example(),
            project_id: ProjectId::example(),
            project_name: ProjectName::example(),
            email: new.email,
            role: new.role,
            status: InvitationStatus::Pending,
            invited_by: Some(UserId::example()),
            expires_at: Timestamp::example() + Duration::from_hours(7 * 24),
            created_at: Timestamp::example(),
        }
    }
}

/// What it takes to invite somebody.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, example)]
pub struct NewInvitation {
    /// The address of who is invited. Upper and lower case are the same.
    pub email: Email,
    /// What who accepts it may do in the project.
    pub role: InvitedRole,
}

impl Example for NewInvitation {
    fn example() -> Self {
        Self { email: Email::new_unchecked("grace@example.com"), role: InvitedRole::Editor }
    }
}

list_type! {
    /// A page of invitations.
    InvitationList of Invitation
}

/// What invitations can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum InvitationSort {
    /// By the time the invitation was made.
    CreatedAt,
}

impl SortField for InvitationSort {
    const DEFAULT: Self = Self::CreatedAt;

    fn default_direction(self) -> Direction {
        match self {
            Self::CreatedAt => Direction::Desc,
        }
    }
}

/// Which invitations to list, as query parameters.
#[derive(Debug, Clone, Object)]
pub struct InvitationQuery {
    /// Which part of the list.
    #[oai(flatten)]
    pub paging: Paging,
    /// What to sort by.
    #[oai(default = "InvitationSort::default_field")]
    pub sort: Option<InvitationSort>,
    /// The direction of the sort.
    #[oai(default = "newest_first")]
    pub dir: Option<Direction>,
    /// Only invitations with this status.
    pub status: Option<InvitationStatus>,
}
