//! The people in a project.

use poem_openapi::types::Example;
use poem_openapi::{Enum, Object};

use super::Role;
use crate::contract::page::{Direction, Paging, SortField, list_type};
use crate::contract::strings::{Email, PersonName};
use crate::contract::{Timestamp, UserId};

/// A user in a project.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct Member {
    /// The id of the user.
    pub user_id: UserId,
    /// The name of the user.
    pub name: PersonName,
    /// The address of the user.
    pub email: Email,
    /// What the user may do in the project.
    pub role: Role,
    /// When the user became a member.
    pub joined_at: Timestamp,
}

impl Example for Member {
    fn example() -> Self {
        Self {
            user_id: UserId::example(),
            name: PersonName::example(),
            email: Email::example(),
            role: Role::Editor,
            joined_at: Timestamp::example(),
        }
    }
}

/// What changes about a member: what is absent stays.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, example)]
pub struct UpdateMember {
    /// What the user may do in the project. `owner` hands the project over: who was its owner becomes an editor.
    pub role: Option<Role>,
}

impl Example for UpdateMember {
    fn example() -> Self {
        Self { role: Some(Role::Editor) }
    }
}

list_type! {
    /// A page of members.
    MemberList of Member
}

/// What members can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum MemberSort {
    /// By the time the user became a member.
    JoinedAt,
    /// By the name of the user; upper and lower case are the same.
    Name,
}

impl SortField for MemberSort {
    const DEFAULT: Self = Self::JoinedAt;

    fn default_direction(self) -> Direction {
        match self {
            Self::JoinedAt => Direction::Desc,
            Self::Name => Direction::Asc,
        }
    }
}

/// Which members to list, as query parameters.
#[derive(Debug, Clone, Object)]
pub struct MemberQuery {
    /// Which part of the list.
    #[oai(flatten)]
    pub paging: Paging,
    /// What to sort by.
    #[oai(default = "MemberSort::default_field")]
    pub sort: Option<MemberSort>,
    /// The direction of the sort. Default: `desc` for `joined_at`, otherwise `asc`.
    pub dir: Option<Direction>,
    /// Only members who have this role.
    pub role: Option<Role>,
}
