//! Event types.

use poem_openapi::Enum;

use crate::contract::project::Role;

/// Passes the table of published event types to another macro.
///
/// A row contains the description, the variant, the payload type, the published name, the resource in `data` and the
/// type of `previous`. A type that is added after version 0.2.0 must be sent only to those who name it: a generated client
/// fails at a type that it does not know.
macro_rules! for_each_event_type {
    ($then:ident) => {
        $then! {
            /// A project was created.
            ProjectCreated(ProjectCreatedEvent): "project.created", Project, AlwaysNull;
            /// The fields or the owner of a project changed.
            /// Changes of its task counters are not reported; derive them from task events.
            ProjectUpdated(ProjectUpdatedEvent): "project.updated", Project, PreviousFields;
            /// A project and its contents were moved to the trash.
            ProjectDeleted(ProjectDeletedEvent): "project.deleted", Project, PreviousFields;
            /// A project and its contents were restored from the trash.
            ProjectRestored(ProjectRestoredEvent): "project.restored", Project, PreviousFields;
            /// A task was created.
            TaskCreated(TaskCreatedEvent): "task.created", Task, AlwaysNull;
            /// A task was changed.
            /// If only its `position` was reassigned to make room for another task, its version stays the same.
            TaskUpdated(TaskUpdatedEvent): "task.updated", Task, PreviousFields;
            /// A task was moved to the trash.
            TaskDeleted(TaskDeletedEvent): "task.deleted", Task, PreviousFields;
            /// A task was restored from the trash.
            TaskRestored(TaskRestoredEvent): "task.restored", Task, PreviousFields;
            /// A task was moved within its project or to another project.
            /// A move to another project is reported in both. If `data.project_id` differs from `project_id`, the task
            /// left this project.
            TaskMoved(TaskMovedEvent): "task.moved", Task, PreviousFields;
            /// A comment was added to a task.
            CommentCreated(CommentCreatedEvent): "comment.created", Comment, AlwaysNull;
            /// A comment was changed.
            CommentUpdated(CommentUpdatedEvent): "comment.updated", Comment, PreviousFields;
            /// A comment was permanently deleted.
            CommentDeleted(CommentDeletedEvent): "comment.deleted", Comment, PreviousFields;
            /// A user became a member of the project, or a deleted member account was restored.
            MemberAdded(MemberAddedEvent): "member.added", Member, AlwaysNull;
            /// The role of a member changed.
            MemberUpdated(MemberUpdatedEvent): "member.updated", Member, PreviousFields;
            /// A member left the project, was removed from it, or deleted their account.
            MemberRemoved(MemberRemovedEvent): "member.removed", Member, PreviousFields;
            /// An invitation was created. Visible to owners only.
            InvitationCreated(InvitationCreatedEvent): "invitation.created", Invitation, AlwaysNull;
            /// An invitation was accepted. Visible to owners only; all members see `member.added`.
            InvitationAccepted(InvitationAcceptedEvent): "invitation.accepted", Invitation, PreviousFields;
            /// An invitation was declined. Visible to owners only.
            InvitationDeclined(InvitationDeclinedEvent): "invitation.declined", Invitation, PreviousFields;
            /// An invitation was revoked. Visible to owners only.
            InvitationRevoked(InvitationRevokedEvent): "invitation.revoked", Invitation, PreviousFields;
        }
    };
}

pub(super) use for_each_event_type;

macro_rules! event_types {
    ($($(#[doc = $doc:literal])+ $kind:ident($payload:ident): $name:literal, $data:ident, $previous:ident;)*) => {
        /// Type of an event.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
        pub enum EventType {
            $($(#[doc = $doc])+ #[oai(rename = $name)] $kind,)*
            /// Test of a webhook. Sent only to that webhook.
            #[oai(rename = "webhook.test")]
            WebhookTest,
        }

        impl EventType {
            /// Types that are listed among the events of a project.
            pub const PUBLISHED: [Self; [$($name),*].len()] = [$(Self::$kind),*];

            /// Returns the published name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                    Self::WebhookTest => "webhook.test",
                }
            }
        }

        /// Event type that can be listed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
        pub enum FeedEventType {
            $($(#[doc = $doc])+ #[oai(rename = $name)] $kind,)*
        }

        impl From<FeedEventType> for EventType {
            fn from(kind: FeedEventType) -> Self {
                match kind {
                    $(FeedEventType::$kind => Self::$kind,)*
                }
            }
        }

        /// Event type to subscribe to, or `*` for all types that this document lists.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
        pub enum WebhookEventName {
            /// All types that this document lists; types that are added later must be named.
            #[oai(rename = "*")]
            All,
            $($(#[doc = $doc])+ #[oai(rename = $name)] $kind,)*
            /// Test of a webhook. Always sent, regardless of the subscribed types.
            #[oai(rename = "webhook.test")]
            WebhookTest,
        }

        impl WebhookEventName {
            /// Returns the published name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    Self::All => "*",
                    $(Self::$kind => $name,)*
                    Self::WebhookTest => "webhook.test",
                }
            }
        }
    };
}

for_each_event_type!(event_types);

impl EventType {
    /// Types that are visible to owners only.
    pub const OWNER_ONLY: [Self; 4] =
        [Self::InvitationCreated, Self::InvitationAccepted, Self::InvitationDeclined, Self::InvitationRevoked];

    /// Returns all types, including the webhook test.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::PUBLISHED.into_iter().chain([Self::WebhookTest])
    }

    /// Parses a published name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::all().find(|kind| kind.as_str() == name)
    }

    /// Returns whether members with this role see events of this type.
    #[must_use]
    pub fn visible_to(self, role: Role) -> bool {
        role == Role::Owner || !Self::OWNER_ONLY.contains(&self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_without_types_mean_those_of_version_0_2_0() {
        // A new type needs a list of these 19 for `*` and for feeds without `type`: see `docs/guides/compatibility.md`.
        assert_eq!(EventType::PUBLISHED.len(), 19);
    }
}
