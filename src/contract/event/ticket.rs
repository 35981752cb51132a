//! Tickets with which a browser's own `EventSource` opens a stream.

use poem_openapi::Object;

use super::event_type::FeedEventType;
use crate::contract::macros::example;
use crate::contract::strings::StreamTicketSecret;
use crate::contract::{ProjectId, Timestamp, world};

/// Parameters for creating a stream ticket: the filters of the stream.
#[derive(Debug, Clone, Default, Object)]
#[oai(deny_unknown_fields, example)]
pub struct CreateStreamTicket {
    /// Filters by project, which may be in the trash.
    /// Responds with 400 if the project does not exist and 403 if you are not a member.
    #[oai(nullable)]
    pub project_id: Option<ProjectId>,
    /// Event types, of which an event must have one. Absent: all types.
    #[oai(rename = "type", nullable, validator(min_items = 1))]
    pub kinds: Option<Vec<FeedEventType>>,
}

example!(CreateStreamTicket {
    project_id: Some(poem_openapi::types::Example::example()),
    kinds: Some(vec![FeedEventType::TaskCreated, FeedEventType::TaskUpdated]),
});

/// Ticket that opens one event stream.
#[derive(Debug, Clone, Object)]
#[oai(example)]
pub struct StreamTicket {
    /// Ticket to send as `?ticket=` to `streamEvents`. Single-use.
    pub ticket: StreamTicketSecret,
    /// Time at which the ticket expires: 60 seconds after its creation.
    pub expires_at: Timestamp,
}

example!(StreamTicket { ticket, expires_at: world::january(14, 8, 1) });
