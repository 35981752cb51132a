//! Who may do what in a project: the one place that decides.

use super::error::Error;
use crate::contract::project::Role;

/// What somebody wants to do in a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Read the project, its tasks, comments, members and events.
    Read,
    /// Create, change, delete, restore and move tasks.
    WriteTasks,
    /// Change, archive, delete and restore the project.
    ManageProject,
}

impl Action {
    /// The least role that may do it.
    pub(super) const fn least_role(self) -> Role {
        match self {
            Self::Read => Role::Viewer,
            Self::WriteTasks => Role::Editor,
            Self::ManageProject => Role::Owner,
        }
    }
}

const fn rank(role: Role) -> u8 {
    match role {
        Role::Viewer => 1,
        Role::Editor => 2,
        Role::Owner => 3,
    }
}

/// Decides whether somebody with this role, or none, may do it.
pub(super) fn require(role: Option<Role>, action: Action) -> Result<Role, Error> {
    require_role(role, action.least_role())
}

/// Decides whether somebody with this role, or none, has at least that one.
pub(super) fn require_role(role: Option<Role>, least: Role) -> Result<Role, Error> {
    match role {
        None => Err(Error::NotAMember),
        Some(given) if rank(given) < rank(least) => Err(Error::RoleTooLow { needed: least, given }),
        Some(role) => Ok(role),
    }
}

/// Decides the same for a change, which an archived project refuses to everybody.
pub(super) fn require_for_change(role: Option<Role>, action: Action, archived: bool) -> Result<(), Error> {
    match require(role, action) {
        Err(error) => Err(error),
        Ok(_) if archived => Err(Error::ProjectArchived),
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_roles_is_as_published() {
        use Action::{ManageProject, Read, WriteTasks};
        for (action, owner, editor, viewer) in
            [(Read, true, true, true), (WriteTasks, true, true, false), (ManageProject, true, false, false)]
        {
            assert_eq!(require(Some(Role::Owner), action).is_ok(), owner, "{action:?}");
            assert_eq!(require(Some(Role::Editor), action).is_ok(), editor, "{action:?}");
            assert_eq!(require(Some(Role::Viewer), action).is_ok(), viewer, "{action:?}");
            assert!(matches!(require(None, action), Err(Error::NotAMember)), "{action:?}");
        }
    }

    #[test]
    fn an_archived_project_refuses_changes_after_it_refuses_strangers() {
        let change = |role| require_for_change(role, Action::WriteTasks, true);
        assert!(matches!(change(Some(Role::Owner)), Err(Error::ProjectArchived)));
        assert!(matches!(
            change(Some(Role::Viewer)),
            Err(Error::RoleTooLow { needed: Role::Editor, given: Role::Viewer })
        ));
        assert!(matches!(change(None), Err(Error::NotAMember)));
    }
}
