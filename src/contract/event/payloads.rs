//! The published form of events, one type each.

use poem_openapi::types::Example;
use poem_openapi::{Object, Union};

use super::event_type::{EventType, for_each_event_type};
use super::examples::EventExample as _;
use super::previous::{AlwaysNull, PreviousFields};
use crate::contract::project::Project;
use crate::contract::project::invitation::Invitation;
use crate::contract::project::member::Member;
use crate::contract::task::Task;
use crate::contract::task::comment::Comment;
use crate::contract::{EventId, ProjectId, Timestamp, UserId};

macro_rules! event_payloads {
    ($($(#[doc = $doc:literal])+ $kind:ident($payload:ident): $word:literal, $data:ident, $previous:ident;)*) => {
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
    (AlwaysNull, $($rest:tt)+) => {
        payload! { @ "Null: there was nothing before.", AlwaysNull, $($rest)+ }
    };
    (PreviousFields, $($rest:tt)+) => {
        payload! {
            @ "The fields that changed, with their values before, but for `version` and `updated_at`; empty where none did.",
            PreviousFields, $($rest)+
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
                let (data, previous) = $data::example_for(EventType::$kind);
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
pub(in crate::contract) const REQUEST_ID: &str = "01936f60-84c0-76d4-b9b0-c506b7f8240b";

for_each_event_type!(event_payloads);
