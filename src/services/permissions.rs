//! Who may do what in a project: one table, and the one place that decides.

use super::error::Error;
use crate::contract::UserId;
use crate::contract::account::user::User;
use crate::contract::project::Role;
use crate::contract::project::invitation::Invitation;
use crate::contract::task::comment::Comment;

/// What somebody is_subscribed to do in a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Read the project, its tasks, comments, members and events.
    Read,
    /// Create, change, delete, restore and move tasks.
    WriteTasks,
    /// Say something about a task.
    Comment,
    /// Change or delete a comment that the user wrote.
    ChangeOwnComment,
    /// Delete a comment that another user wrote.
    DeleteOthersComment,
    /// Change or archive the project.
    ChangeProject,
    /// Delete the project, or restore it.
    DeleteProject,
    /// Read whom the project has invited.
    ReadInvitations,
    /// Invite somebody, or take an invitation back.
    Invite,
    /// Change the role of a member, hand the project over, or remove a member.
    ManageMembers,
    /// Give up owning the project.
    RelinquishOwnership,
    /// Leave the project.
    Leave,
}

/// What the table says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    Allow,
    Deny,
    /// Whoever owns the project must make somebody else its owner before.
    TransferRequired,
}

/// Whether it may be done to a project that is archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WhenArchived {
    Allowed,
    Denied,
}

/// The table.
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
    /// The least role that may do it.
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

/// Decides whether somebody with this role, or none, may do it.
pub(crate) fn require(role: Option<Role>, action: Action) -> Result<(), Error> {
    let needed = action.min_role();
    let role = role.ok_or(Error::NotAMember { needed })?;
    let [owner, editor, viewer] = rules(action).0;
    let rule = match role {
        Role::Owner => owner,
        Role::Editor => editor,
        Role::Viewer => viewer,
    };
    match rule {
        Rule::Allow => Ok(()),
        Rule::Deny => Err(Error::RoleTooLow { needed, given: role }),
        Rule::TransferRequired => Err(Error::OwnerRequired),
    }
}

/// Refuses strangers, before anything is looked for in the project: only members learn what there is.
pub(crate) fn require_membership(role: Option<Role>, action: Action) -> Result<(), Error> {
    if role.is_none() { require(role, action) } else { Ok(()) }
}

/// Decides the same for a change of a project that may be archived.
pub(crate) fn require_for_change(role: Option<Role>, action: Action, archived: bool) -> Result<(), Error> {
    match require(role, action) {
        // That the owner must hand the project over is no matter of rights: it comes after the archive.
        Ok(()) | Err(Error::OwnerRequired) if archived && rules(action).1 == WhenArchived::Denied => {
            Err(Error::ProjectArchived)
        }
        decided => decided,
    }
}

/// Decides whether somebody with this role, or none, has at least that one.
pub(crate) fn require_role(role: Option<Role>, needed: Role) -> Result<(), Error> {
    match role {
        None => Err(Error::NotAMember { needed }),
        Some(given) if rank(given) < rank(needed) => Err(Error::RoleTooLow { needed, given }),
        Some(_) => Ok(()),
    }
}

/// Refuses to change a comment for anyone but its author. Without an author, the comment can only be deleted.
pub(crate) fn require_author(comment: &Comment, user: UserId) -> Result<(), Error> {
    if comment.author_id == Some(user) { Ok(()) } else { Err(Error::NotTheAuthor) }
}

/// Returns the action that deleting a comment is for this user.
pub(crate) fn deletion_action(comment: &Comment, user: UserId) -> Action {
    if comment.author_id == Some(user) { Action::ChangeOwnComment } else { Action::DeleteOthersComment }
}

/// Decides whether a task may leave its project, given the role of the project's owner in the target project.
///
/// Without this rule an editor could take a task out of its owner's sight.
pub(crate) const fn require_owner_in_target(owner_role: Option<Role>) -> Result<(), Error> {
    match owner_role {
        Some(_) => Ok(()),
        None => Err(Error::SourceOwnerNotInTarget),
    }
}

/// Decides whether a user may see the invitations that were sent to the user's address.
pub(crate) const fn require_verified_email(user: &User, verification_required: bool) -> Result<(), Error> {
    if verification_required && !user.email_verified { Err(Error::EmailNotVerified) } else { Ok(()) }
}

/// Decides whether a user may answer an invitation: who was invited may, and nobody else.
pub(crate) fn require_invited(invitation: &Invitation, user: &User, verification_required: bool) -> Result<(), Error> {
    if invitation.email != user.email {
        return Err(Error::NotOwner);
    }
    require_verified_email(user, verification_required)
}

/// Decides whether somebody who is invited may become a member now.
pub(crate) const fn require_joinable(archived: bool) -> Result<(), Error> {
    if archived { Err(Error::ProjectArchived) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use poem_openapi::types::Example as _;

    use super::*;
    use crate::contract;

    /// Section 2 of the contract, word by word; what stands in two lines there is said of both.
    #[test]
    fn the_table_of_roles_is_as_published() {
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
    fn a_task_leaves_its_project_only_for_one_where_its_owner_is_a_member() {
        for role in [Role::Owner, Role::Editor, Role::Viewer] {
            assert!(require_owner_in_target(Some(role)).is_ok(), "{role:?}");
        }
        assert!(matches!(require_owner_in_target(None), Err(Error::SourceOwnerNotInTarget)));
    }

    #[test]
    fn an_archived_project_refuses_changes_after_it_refuses_strangers() {
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
