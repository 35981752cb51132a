//! Members of a project.

use poem_openapi::Object;

use super::Role;
use crate::contract::macros::example;
use crate::contract::page::collection;
use crate::contract::strings::{Email, PersonName};
use crate::contract::{Timestamp, UserId, world};

/// Member of a project.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct Member {
    /// User id.
    pub user_id: UserId,
    /// Name of the user.
    pub name: PersonName,
    /// E-mail address of the user.
    pub email: Email,
    /// Role in the project.
    pub role: Role,
    /// Time at which the user became a member.
    pub joined_at: Timestamp,
}

example!(Member {
    user_id: world::grace(),
    name: world::grace_name(),
    email: world::grace_email(),
    role: Role::Editor,
    joined_at: world::january(15, 16, 0)
});

/// Changes to a member. Absent fields keep their value.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields, example)]
pub struct UpdateMember {
    /// New role. `owner` transfers the ownership; the previous owner becomes an editor.
    pub role: Option<Role>,
}

example!(UpdateMember { role: Some(Role::Viewer) });

collection! {
    /// Page of members.
    MemberList of Member;

    /// Sort field of members.
    MemberSort {
        /// Time at which the user became a member.
        JoinedAt: Desc,
        /// Name, case-insensitive.
        Name: Asc,
    }

    /// Query parameters for listing members.
    MemberQuery {
        /// Sort direction. Default: `desc` for `joined_at`, otherwise `asc`.
        dir,
        /// Filters by role.
        role: Option<Role>,
    }
}
