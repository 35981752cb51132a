//! Published schemas of events, one per event type.

use poem_openapi::types::Example;
use poem_openapi::{Object, Union};

use super::event_type::{EventType, for_each_event_type};
use super::examples::EventExample as _;
use super::occurrences::occurrence;
use super::previous::{AlwaysNull, PreviousFields};
use crate::contract::project::Project;
use crate::contract::project::invitation::Invitation;
use crate::contract::project::member::Member;
use crate::contract::task::Task;
use crate::contract::task::comment::Comment;
use crate::contract::{EventId, ProjectId, Timestamp, UserId, world};

macro_rules! event_payloads {
    ($($(#[doc = $doc:literal])+ $kind:ident($payload:ident): $name:literal, $data:ident, $previous:ident;)*) => {
        $(payload! { $previous, $(#[doc = $doc])+ $payload, $kind, $data })*

        /// Change in a project. `type` determines the schema of `data`. Types that are added later are sent only to those
        /// who name them.
        #[derive(Debug, Clone, Union)]
        #[oai(discriminator_name = "type", one_of = true, rename = "Event")]
        pub enum EventPayload {
            $($(#[doc = $doc])+ #[oai(mapping = $name)] $kind($payload),)*
        }
    };
}

/// Declares the payload of an event type.
macro_rules! payload {
    (AlwaysNull, $($rest:tt)+) => {
        payload! { @ "Always null: the resource did not exist before.", AlwaysNull, $($rest)+ }
    };
    (PreviousFields, $($rest:tt)+) => {
        payload! {
            @ "Changed fields with their previous values, except `version` and `updated_at`. Empty if no field changed.",
            PreviousFields, $($rest)+
        }
    };
    (@ $about:literal, $previous:ident, $(#[doc = $doc:literal])+ $payload:ident, $kind:ident, $data:ident) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Object)]
        #[oai(example)]
        pub struct $payload {
            /// Event id. It is the same in every list, stream and webhook delivery.
            pub id: EventId,
            /// Sequence number. Events become visible in ascending order of it.
            /// After you have read an event, no event with a lower number will appear.
            #[oai(validator(minimum(value = "1")))]
            pub sequence: i64,
            /// Project in which the change happened.
            pub project_id: ProjectId,
            /// User who made the change; null if the service made it.
            /// For example, the service deletes accounts permanently after the retention period.
            pub actor_id: Option<UserId>,
            /// Time of the change.
            pub occurred_at: Timestamp,
            /// Complete resource after the change; for a deletion, its last state.
            pub data: $data,
            #[doc = $about]
            pub previous: $previous,
            /// `X-Request-Id` of the request that made the change; null if there was none.
            pub request_id: Option<String>,
        }

        impl Example for $payload {
            fn example() -> Self {
                let (data, previous) = $data::example_for(EventType::$kind);
                let event = occurrence(EventType::$kind);
                Self {
                    id: event.id,
                    sequence: event.sequence,
                    project_id: ProjectId::example(),
                    actor_id: Some(event.actor),
                    occurred_at: event.at,
                    data,
                    previous: previous.into(),
                    request_id: Some(world::REQUEST_ID.to_owned()),
                }
            }
        }
    };
}

for_each_event_type!(event_payloads);
