//! Events: the totally ordered log of changes. Lists, synchronization, streams and webhooks share the same JSON.
//!
//! An event stores its payload as the JSON it was written with, so that past events stay the same when a later version
//! adds fields to a resource. The types in `payloads` describe that JSON.

use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON};
use serde_json::{Value, json};

use crate::contract::macros::json_type;
use crate::contract::{EventId, ProjectId, Timestamp, UserId};

mod event_type;
mod examples;
mod occurrences;
pub mod payloads;
pub mod previous;
pub mod query;
pub mod ticket;

pub use event_type::{EventType, FeedEventType, WebhookEventName};
pub(crate) use examples::EventExample;
pub(crate) use occurrences::occurrence;
use payloads::EventPayload;

/// Stored event. Published with the schema of its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Event id.
    pub id: EventId,
    /// Sequence number.
    pub sequence: i64,
    /// Event type, published as `type`.
    pub kind: EventType,
    /// Project in which the change happened.
    pub project_id: ProjectId,
    /// User who made the change.
    pub actor_id: Option<UserId>,
    /// Time of the change.
    pub occurred_at: Timestamp,
    /// Complete resource after the change, as JSON.
    pub data: String,
    /// Changed fields with their previous values, as JSON.
    pub previous: Option<String>,
    /// Id of the request that made the change.
    pub request_id: Option<String>,
}

json_type!(Event as EventPayload);

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
