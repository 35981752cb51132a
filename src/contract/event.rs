//! Events: what happened, in one order. The same JSON is the activity log, the delta sync, the live stream and the body
//! of every webhook.
//!
//! An event keeps what it tells as the JSON it was written with: what happened does not change when a later version of
//! this program knows more about its resources. The types below say what that JSON looks like.

use std::borrow::Cow;

use poem_openapi::registry::{MetaSchemaRef, Registry};
use poem_openapi::types::{Example, ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use poem_openapi::{Enum, Object, Union};
use serde_json::{Value, json};

use super::comment::Comment;
use super::event_examples::Told as _;
use super::invitation::Invitation;
use super::member::Member;
use super::previous::{Nothing, Previous};
use super::project::{Project, Role};
use super::task::Task;
use super::{EventId, ProjectId, Timestamp, UserId};

/// One row for each type of event in the feed: its word, its resource, what it says of before, and what happened.
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
            pub const FEED: [Self; [$($word),*].len()] = [$(Self::$kind),*];

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

        $(payload! { $previous, $(#[doc = $doc])+ $payload, $kind, $data })*

        /// Something that happened; `type` says what, and so what `data` is. New types may come.
        #[derive(Debug, Clone, Union)]
        #[oai(discriminator_name = "type", one_of = true, rename = "Event")]
        pub enum EventPayload {
            $($(#[doc = $doc])+ #[oai(mapping = $word)] $kind($payload),)*
        }
    };
}

/// What is published of an event of one type.
macro_rules! payload {
    (Nothing, $($rest:tt)+) => {
        payload! { @ "Null: there was nothing before.", Nothing, $($rest)+ }
    };
    (Previous, $($rest:tt)+) => {
        payload! {
            @ "The fields that changed, with their values before, but for `version` and `updated_at`; empty where none did.",
            Previous, $($rest)+
        }
    };
    (@ $about:literal, $previous:ident, $(#[doc = $doc:literal])+ $payload:ident, $kind:ident, $data:ident) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Object)]
        #[oai(example)]
        pub struct $payload {
            /// The id of the event: the same wherever it is told, and however often.
            pub id: EventId,
            /// The place in the feed. It only grows, and becomes visible in order: whoever has seen one will never
            /// find a lesser one that is new.
            #[oai(validator(minimum(value = "1")))]
            pub sequence: i64,
            /// The project in which it happened.
            pub project_id: ProjectId,
            /// The user who did it; null when nobody did, as when an account is removed for good.
            pub actor_id: Option<UserId>,
            /// When it happened.
            pub occurred_at: Timestamp,
            /// The whole resource after the change; for a deletion, as it was at the last.
            pub data: $data,
            #[doc = $about]
            pub previous: $previous,
            /// The `X-Request-Id` of the request that did it; null when none did.
            pub request_id: Option<String>,
        }

        impl Example for $payload {
            fn example() -> Self {
                let (data, previous) = $data::told(EventType::$kind);
                Self {
                    id: EventId::example(),
                    sequence: 4_711,
                    project_id: ProjectId::example(),
                    actor_id: Some(UserId::example()),
                    occurred_at: Timestamp::example(),
                    data,
                    previous: previous.into(),
                    request_id: Some(REQUEST_ID.to_owned()),
                }
            }
        }
    };
}

/// The id of a request, as it stands in examples.
pub(super) const REQUEST_ID: &str = "01936f60-84c0-76d4-b9b0-c506b7f8240b";

event_types! {
    /// A project was created.
    ProjectCreated(ProjectCreatedEvent): "project.created", Project, Nothing;
    /// A project was changed: its own fields, or its owner. Its counters have no events of their own: they follow from
    /// those of its tasks.
    ProjectUpdated(ProjectUpdatedEvent): "project.updated", Project, Previous;
    /// A project was put into the trash, and with it whatever is in it.
    ProjectDeleted(ProjectDeletedEvent): "project.deleted", Project, Previous;
    /// A project was taken out of the trash, and with it whatever is in it.
    ProjectRestored(ProjectRestoredEvent): "project.restored", Project, Previous;
    /// A task was created.
    TaskCreated(TaskCreatedEvent): "task.created", Task, Nothing;
    /// A task was changed. When only its `position` was written anew, to make room for another, its version stays.
    TaskUpdated(TaskUpdatedEvent): "task.updated", Task, Previous;
    /// A task was put into the trash.
    TaskDeleted(TaskDeletedEvent): "task.deleted", Task, Previous;
    /// A task was taken out of the trash.
    TaskRestored(TaskRestoredEvent): "task.restored", Task, Previous;
    /// A task was moved to another place. One that went to another project is told of in both: where `data.project_id`
    /// differs from `project_id`, the task has left this project.
    TaskMoved(TaskMovedEvent): "task.moved", Task, Previous;
    /// Somebody commented on a task.
    CommentCreated(CommentCreatedEvent): "comment.created", Comment, Nothing;
    /// A comment was changed.
    CommentUpdated(CommentUpdatedEvent): "comment.updated", Comment, Previous;
    /// A comment was removed for good.
    CommentDeleted(CommentDeletedEvent): "comment.deleted", Comment, Previous;
    /// Somebody became a member of the project, or came back out of the trash.
    MemberAdded(MemberAddedEvent): "member.added", Member, Nothing;
    /// A member was given another role.
    MemberUpdated(MemberUpdatedEvent): "member.updated", Member, Previous;
    /// A member left the project or was removed from it, or went into the trash.
    MemberRemoved(MemberRemovedEvent): "member.removed", Member, Previous;
    /// Somebody was invited. Only owners are told of invitations.
    InvitationCreated(InvitationCreatedEvent): "invitation.created", Invitation, Nothing;
    /// An invitation was accepted. Only owners are told of it; of the new member, everybody.
    InvitationAccepted(InvitationAcceptedEvent): "invitation.accepted", Invitation, Previous;
    /// An invitation was declined. Only owners are told of it.
    InvitationDeclined(InvitationDeclinedEvent): "invitation.declined", Invitation, Previous;
    /// An invitation was taken back. Only owners are told of it.
    InvitationRevoked(InvitationRevokedEvent): "invitation.revoked", Invitation, Previous;
}

impl EventType {
    /// The types that only owners are told of.
    pub const FOR_OWNERS: [Self; 4] =
        [Self::InvitationCreated, Self::InvitationAccepted, Self::InvitationDeclined, Self::InvitationRevoked];

    /// All types that this program knows.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::FEED.into_iter().chain([Self::WebhookTest])
    }

    /// Reads a type as it stands in events.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::all().find(|kind| kind.as_str() == word)
    }

    /// Whether somebody with this role is told of it.
    #[must_use]
    pub fn is_for(self, role: Role) -> bool {
        role == Role::Owner || !Self::FOR_OWNERS.contains(&self)
    }
}

/// Something that happened, as it stands in the feed. It is published as what its type makes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The id of the event.
    pub id: EventId,
    /// The place in the feed.
    pub sequence: i64,
    /// What happened.
    pub kind: EventType,
    /// The project in which it happened.
    pub project_id: ProjectId,
    /// The user who did it.
    pub actor_id: Option<UserId>,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// The whole resource, as JSON.
    pub data: String,
    /// The fields that changed with their values before, as JSON.
    pub previous: Option<String>,
    /// The request that did it.
    pub request_id: Option<String>,
}

impl Type for Event {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        EventPayload::name()
    }

    fn schema_ref() -> MetaSchemaRef {
        EventPayload::schema_ref()
    }

    fn register(registry: &mut Registry) {
        EventPayload::register(registry);
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ToJSON for Event {
    fn to_json(&self) -> Option<Value> {
        let stored = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
        Some(json!({
            "id": self.id.to_json(),
            "sequence": self.sequence,
            "type": self.kind.as_str(),
            "project_id": self.project_id.to_json(),
            "actor_id": self.actor_id.to_json(),
            "occurred_at": self.occurred_at.to_json(),
            "data": stored(&self.data),
            "previous": self.previous.as_deref().map(stored),
            "request_id": self.request_id,
        }))
    }
}

impl ParseFromJSON for Event {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        let value = value.unwrap_or_default();
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let present = |name: &str| value.get(name).filter(|field| !field.is_null());
        let parsed = || {
            Some(Self {
                id: text("id").and_then(EventId::parse)?,
                sequence: present("sequence")?.as_i64()?,
                kind: text("type").and_then(EventType::parse)?,
                project_id: text("project_id").and_then(ProjectId::parse)?,
                actor_id: text("actor_id").and_then(UserId::parse),
                occurred_at: text("occurred_at").and_then(Timestamp::parse)?,
                data: present("data")?.to_string(),
                previous: present("previous").map(Value::to_string),
                request_id: text("request_id").map(str::to_owned),
            })
        };
        parsed().ok_or_else(ParseError::expected_input)
    }
}
