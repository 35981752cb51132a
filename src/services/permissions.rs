//! The permission table of projects, and the functions that enforce it.

use super::error::Error;
use crate::contract::UserId;
use crate::contract::account::user::User;
use crate::contract::project::Role;
use crate::contract::project::invitation::Invitation;
use crate::contract::task::comment::Comment;

/// Action in a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Read the project, its tasks, comments, members and events.
    Read,
    /// Create, change, delete, restore and move tasks.
    WriteTasks,
    /// Comment on a task.
    Comment,
    /// Change or delete one's own comment.
    ChangeOwnComment,
    /// Delete another user's comment.
    DeleteOthersComment,
    /// Change or archive the project.
    ChangeProject,
    /// Delete the project, or restore it.
    DeleteProject,
    /// List the invitations of the project.
    ReadInvitations,
    /// Invite a user, or revoke an invitation.
    Invite,
    /// Change the role of a member, transfer ownership, or remove a member.
    ManageMembers,
    /// Give up the role of the owner.
    RelinquishOwnership,
    /// Leave the project.
    Leave,
}

/// Decision of the table for a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    Allow,
    Deny,
    /// The owner must first transfer the project.
    TransferRequired,
}

/// Availability of an action in an archived project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WhenArchived {
    Allowed,
    Denied,
}

/// The permission table.
#[expect(clippy::match_same_arms, reason = "every action has its own row")]
#[rustfmt::skip]
const fn rules(action: Action) -> ([Rule; 3], WhenArchived) {
    use WhenArchived::{Denied, Allowed};
    use Rule::{Deny, TransferRequired, Allow};
    match action {
        //                               owner          editor  viewer   archived
        Action::Read                => ([Allow,           Allow,    Allow],    Allowed),
        Action::WriteTasks          => ([Allow,           Allow,    Deny],     Denied),
        Action::Comment             => ([Allow,           Allow,    Deny],     Denied),
        Action::ChangeOwnComment    => ([Allow,           Allow,    Allow],    Denied),
        Action::DeleteOthersComment => ([Allow,           Deny,     Deny],     Denied),
        Action::ChangeProject       => ([Allow,           Deny,     Deny],     Denied),
        Action::DeleteProject       => ([Allow,           Deny,     Deny],     Allowed),
        Action::ReadInvitations     => ([Allow,           Deny,     Deny],     Allowed),
        Action::Invite              => ([Allow,           Deny,     Deny],     Denied),
        Action::ManageMembers       => ([Allow,           Deny,     Deny],     Denied),
        Action::RelinquishOwnership            => ([TransferRequired, Deny,     Deny],     Denied),
        Action::Leave               => ([TransferRequired, Allow,    Allow],    Allowed),
    }
}

impl Action {
    /// Returns the lowest role that may perform the action.
    pub(crate) const fn min_role(self) -> Role {
        match rules(self).0 {
            [_, _, Rule::Allow] => Role::Viewer,
            [_, Rule::Allow, _] => Role::Editor,
            _ => Role::Owner,
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

/// Checks whether a role, or a non-member, may perform the action.
pub(crate) fn require(role: Option<Role>, action: Action) -> Result<(), Error> {
    let needed = action.min_role();
    let role = role.ok_or(Error::NotAMember { needed })?;
    let [owner, editor, viewer] = rules(action).0;
    let decision = match role {
        Role::Owner => owner,
        Role::Editor => editor,
        Role::Viewer => viewer,
    };
    match decision {
        Rule::Allow => Ok(()),
        Rule::Deny => Err(Error::RoleTooLow { needed, given: role }),
        Rule::TransferRequired => Err(Error::OwnerRequired),
    }
}

/// Refuses non-members before any lookup: only members learn what exists.
pub(crate) fn require_membership(role: Option<Role>, action: Action) -> Result<(), Error> {
    if role.is_none() { require(role, action) } else { Ok(()) }
}

/// Checks a change in a project that may be archived.
pub(crate) fn require_for_change(role: Option<Role>, action: Action, archived: bool) -> Result<(), Error> {
    match require(role, action) {
        // For an owner who must transfer the project first, the archive takes precedence.
        Ok(()) | Err(Error::OwnerRequired) if archived && rules(action).1 == WhenArchived::Denied => {
            Err(Error::ProjectArchived)
        }
        decided => decided,
    }
}

/// Checks whether a caller has at least a role.
pub(crate) fn require_role(role: Option<Role>, needed: Role) -> Result<(), Error> {
    match role {
        None => Err(Error::NotAMember { needed }),
        Some(given) if rank(given) < rank(needed) => Err(Error::RoleTooLow { needed, given }),
        Some(_) => Ok(()),
    }
}

/// Refuses to change a comment for anyone but its author.
pub(crate) fn require_author(comment: &Comment, user: UserId) -> Result<(), Error> {
    if comment.author_id == Some(user) { Ok(()) } else { Err(Error::NotTheAuthor) }
}

/// Returns the action that deleting a comment is for this user.
pub(crate) fn deletion_action(comment: &Comment, user: UserId) -> Action {
    if comment.author_id == Some(user) { Action::ChangeOwnComment } else { Action::DeleteOthersComment }
}

/// Checks whether a task may leave its project.
/// `owner_role` is the role of the project's owner in the target project. Without this rule, an editor could move a
/// task out of its owner's sight.
pub(crate) const fn require_owner_in_target(owner_role: Option<Role>) -> Result<(), Error> {
    match owner_role {
        Some(_) => Ok(()),
        None => Err(Error::SourceOwnerNotInTarget),
    }
}

/// Refuses to show a user the invitations to an unverified address.
pub(crate) const fn require_verified_email(user: &User, verification_required: bool) -> Result<(), Error> {
    if verification_required && !user.email_verified { Err(Error::EmailNotVerified) } else { Ok(()) }
}

/// Checks whether a user may answer an invitation: only the invitee may.
pub(crate) fn require_invited(invitation: &Invitation, user: &User, verification_required: bool) -> Result<(), Error> {
    if invitation.email != user.email {
        return Err(Error::NotOwner);
    }
    require_verified_email(user, verification_required)
}

/// Checks whether an invitee may join the project now.
pub(crate) const fn require_joinable(archived: bool) -> Result<(), Error> {
    if archived { Err(Error::ProjectArchived) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use poem_openapi::types::Example as _;

    use super::*;
    use crate::contract;

    /// As in `docs/guides/permissions.md`.
    #[test]
    fn each_role_may_do_its_actions_only() {
        use Action::{
            ChangeOwnComment, ChangeProject, Comment, DeleteOthersComment, DeleteProject, Invite, Leave, ManageMembers,
            Read, ReadInvitations, RelinquishOwnership, WriteTasks,
        };
        for (action, owner, editor, viewer) in [
            (Read, true, true, true),
            (WriteTasks, true, true, false),
            (Comment, true, true, false),
            (ChangeOwnComment, true, true, true),
            (DeleteOthersComment, true, false, false),
            (ChangeProject, true, false, false),
            (DeleteProject, true, false, false),
            (ReadInvitations, true, false, false),
            (Invite, true, false, false),
            (ManageMembers, true, false, false),
            (RelinquishOwnership, false, false, false),
            (Leave, false, true, true),
        ] {
            for (role, may) in [(Role::Owner, owner), (Role::Editor, editor), (Role::Viewer, viewer)] {
                assert_eq!(require(Some(role), action).is_ok(), may, "{action:?} by {role:?}");
                if may {
                    let least = action.min_role();
                    assert!(rank(role) >= rank(least) && require(Some(least), action).is_ok(), "{action:?}");
                }
            }
            assert!(matches!(require(None, action), Err(Error::NotAMember { .. })), "{action:?}");
        }
        for action in [RelinquishOwnership, Leave] {
            assert!(matches!(require(Some(Role::Owner), action), Err(Error::OwnerRequired)), "{action:?}");
        }
    }

    #[test]
    fn only_the_author_changes_a_comment_and_the_owner_deletes_any() {
        let (author, other) = (UserId::generate(), UserId::generate());
        let by =
            |author_id| contract::task::comment::Comment { author_id, ..contract::task::comment::Comment::example() };
        assert!(require_author(&by(Some(author)), author).is_ok());
        assert_eq!(deletion_action(&by(Some(author)), author), Action::ChangeOwnComment);
        for author_id in [Some(author), None] {
            assert!(matches!(require_author(&by(author_id), other), Err(Error::NotTheAuthor)));
            assert_eq!(deletion_action(&by(author_id), other), Action::DeleteOthersComment);
        }
    }

    #[test]
    fn a_task_can_leave_its_project_only_if_the_owner_is_a_member_of_the_target() {
        for role in [Role::Owner, Role::Editor, Role::Viewer] {
            assert!(require_owner_in_target(Some(role)).is_ok(), "{role:?}");
        }
        assert!(matches!(require_owner_in_target(None), Err(Error::SourceOwnerNotInTarget)));
    }

    #[test]
    fn an_archived_project_refuses_strangers_before_changes() {
        let change = |role| require_for_change(role, Action::WriteTasks, true);
        assert!(matches!(change(Some(Role::Owner)), Err(Error::ProjectArchived)));
        assert!(matches!(
            change(Some(Role::Viewer)),
            Err(Error::RoleTooLow { needed: Role::Editor, given: Role::Viewer })
        ));
        assert!(matches!(change(None), Err(Error::NotAMember { needed: Role::Editor })));
    }

    #[test]
    fn an_archived_project_can_be_read_deleted_and_left() {
        for action in [Action::Read, Action::ReadInvitations, Action::DeleteProject] {
            assert!(require_for_change(Some(Role::Owner), action, true).is_ok(), "{action:?}");
        }
        assert!(require_for_change(Some(Role::Viewer), Action::Leave, true).is_ok());
    }
}
