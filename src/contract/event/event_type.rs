//! The types of events.

use poem_openapi::Enum;

use crate::contract::project::Role;

/// One row for each type of event in the feed: its word, its resource, what it says of before, and what happened.
macro_rules! for_each_event_type {
    ($then:ident) => {
        $then! {
            /// A project was created.
            ProjectCreated(ProjectCreatedEvent): "project.created", Project, AlwaysNull;
            /// A project was changed: its own fields, or its owner. Its counters have no events of their own: they follow from
            /// those of its tasks.
            ProjectUpdated(ProjectUpdatedEvent): "project.updated", Project, PreviousFields;
            /// A project was put into the trash, and with it whatever is in it.
            ProjectDeleted(ProjectDeletedEvent): "project.deleted", Project, PreviousFields;
            /// A project was taken out of the trash, and with it whatever is in it.
            ProjectRestored(ProjectRestoredEvent): "project.restored", Project, PreviousFields;
            /// A task was created.
            TaskCreated(TaskCreatedEvent): "task.created", Task, AlwaysNull;
            /// A task was changed. When only its `position` was written anew, to make room for another, its version stays.
            TaskUpdated(TaskUpdatedEvent): "task.updated", Task, PreviousFields;
            /// A task was put into the trash.
            TaskDeleted(TaskDeletedEvent): "task.deleted", Task, PreviousFields;
            /// A task was taken out of the trash.
            TaskRestored(TaskRestoredEvent): "task.restored", Task, PreviousFields;
            /// A task was moved to another place. One that went to another project is told of in both: where `data.project_id`
            /// differs from `project_id`, the task has left this project.
            TaskMoved(TaskMovedEvent): "task.moved", Task, PreviousFields;
            /// Somebody commented on a task.
            CommentCreated(CommentCreatedEvent): "comment.created", Comment, AlwaysNull;
            /// A comment was changed.
            CommentUpdated(CommentUpdatedEvent): "comment.updated", Comment, PreviousFields;
            /// A comment was removed for good.
            CommentDeleted(CommentDeletedEvent): "comment.deleted", Comment, PreviousFields;
            /// Somebody became a member of the project, or came back out of the trash.
            MemberAdded(MemberAddedEvent): "member.added", Member, AlwaysNull;
            /// A member was given another role.
            MemberUpdated(MemberUpdatedEvent): "member.updated", Member, PreviousFields;
            /// A member left the project or was removed from it, or went into the trash.
            MemberRemoved(MemberRemovedEvent): "member.removed", Member, PreviousFields;
            /// Somebody was invited. Only owners are told of invitations.
            InvitationCreated(InvitationCreatedEvent): "invitation.created", Invitation, AlwaysNull;
            /// An invitation was accepted. Only owners are told of it; of the new member, everybody.
            InvitationAccepted(InvitationAcceptedEvent): "invitation.accepted", Invitation, PreviousFields;
            /// An invitation was declined. Only owners are told of it.
            InvitationDeclined(InvitationDeclinedEvent): "invitation.declined", Invitation, PreviousFields;
            /// An invitation was taken back. Only owners are told of it.
            InvitationRevoked(InvitationRevokedEvent): "invitation.revoked", Invitation, PreviousFields;
        }
    };
}

pub(super) use for_each_event_type;

macro_rules! event_types {
    ($($(#[doc = $doc:literal])+ $kind:ident($payload:ident): $word:literal, $data:ident, $previous:ident;)*) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
        pub enum EventType {
            $($(#[doc = $doc])+ #[oai(rename = $word)] $kind,)*
            /// Somebody tries out a webhook. It is sent to that webhook, and stands in no feed.
            #[oai(rename = "webhook.test")]
            WebhookTest,
        }

        impl EventType {
            /// All types that stand in the feed.
            pub const PUBLISHED: [Self; [$($word),*].len()] = [$(Self::$kind),*];

            /// The type as it stands in events.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $word,)*
                    Self::WebhookTest => "webhook.test",
                }
            }
        }

        /// A type of event that stands in the feed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
        pub enum FeedEventType {
            $($(#[doc = $doc])+ #[oai(rename = $word)] $kind,)*
        }

        impl From<FeedEventType> for EventType {
            fn from(kind: FeedEventType) -> Self {
                match kind {
                    $(FeedEventType::$kind => Self::$kind,)*
                }
            }
        }

        /// The type of an event to send to a webhook, or `*` for all that there are and will be.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
        pub enum WebhookEventName {
            /// All that there are and will be.
            #[oai(rename = "*")]
            All,
            $($(#[doc = $doc])+ #[oai(rename = $word)] $kind,)*
            /// Somebody tries out the webhook, which is told of it whatever it names.
            #[oai(rename = "webhook.test")]
            WebhookTest,
        }

        impl WebhookEventName {
            /// The name as it is kept and shown.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    Self::All => "*",
                    $(Self::$kind => $word,)*
                    Self::WebhookTest => "webhook.test",
                }
            }
        }
    };
}

for_each_event_type!(event_types);

impl EventType {
    /// The types that only owners are told of.
    pub const OWNER_ONLY: [Self; 4] =
        [Self::InvitationCreated, Self::InvitationAccepted, Self::InvitationDeclined, Self::InvitationRevoked];

    /// All types that this program knows.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::PUBLISHED.into_iter().chain([Self::WebhookTest])
    }

    /// Reads a type as it stands in events.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::all().find(|kind| kind.as_str() == word)
    }

    /// Whether somebody with this role is told of it.
    #[must_use]
    pub fn visible_to(self, role: Role) -> bool {
        role == Role::Owner || !Self::OWNER_ONLY.contains(&self)
    }
}
