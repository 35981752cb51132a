//! Queries that list or stream events.

use poem_openapi::Object;

use super::Event;
use super::event_type::FeedEventType;
use crate::contract::macros::example;
use crate::contract::page::{Direction, default_limit};
use crate::contract::strings::{Cursor, StreamTicketSecret};
use crate::contract::{ProjectId, world};

/// Page of events.
#[derive(Debug, Clone, Object)]
pub struct EventPage {
    /// Events of this page, in order.
    pub data: Vec<Event>,
    /// Continuation of the list.
    pub meta: EventPageMeta,
}

/// Filters of events, as query parameters. Events must match all of them.
#[derive(Debug, Clone, Object)]
pub struct EventFilterParams {
    /// Filters by project, which may be in the trash.
    /// Responds with 400 if the project does not exist and 403 if you are not a member.
    pub project_id: Option<ProjectId>,
    /// Event types, of which an event must have one.
    #[oai(rename = "type", validator(min_items = 1))]
    pub kinds: Option<Vec<FeedEventType>>,
}

/// Query parameters for listing events.
#[derive(Debug, Clone, Object)]
pub struct EventQuery {
    /// Maximum number of events to return. It may differ from page to page.
    #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "100")))]
    pub limit: u32,
    /// Position to continue from: the `next_cursor` of a page in the same order.
    /// In ascending order, the `sync_cursor` of a list and the SSE `id:` field of a streamed event (`lastEventId` in
    /// `EventSource`) are accepted too; the `id` inside an event is not. The filters may differ between requests.
    /// Without a cursor, the list starts at the oldest event, or at the newest with `order=desc`. A cursor that is older
    /// than the retention period (30 days by default), or than the restore of a backup, is rejected with 400: list all
    /// resources again.
    pub cursor: Option<Cursor>,
    /// Order of the events: `asc` starts with the oldest, `desc` with the newest.
    /// Use `asc` for synchronization and `desc` for an activity log. A cursor is valid for one order only.
    #[oai(default = "default_order")]
    pub order: Direction,
    /// Filters.
    #[oai(flatten)]
    pub filter: EventFilterParams,
}

/// Query parameters for streaming events.
#[derive(Debug, Clone, Object)]
pub struct StreamQuery {
    /// Position to continue from: the SSE `id:` field of the last event received.
    /// `EventSource` provides it as `lastEventId`. Any event cursor in ascending order is accepted too, such as a
    /// `sync_cursor`; the `id` inside an event is not. A `Last-Event-ID` header and `lastEventId` take precedence. Without
    /// a cursor, the stream starts with new events. A cursor is rejected with 400 in the same cases as for `listEvents`.
    pub cursor: Option<Cursor>,
    /// The SSE `id:` field of the last event received, for clients that cannot send the header `Last-Event-ID`.
    /// The header takes precedence.
    #[oai(rename = "lastEventId")]
    pub last_event_id: Option<Cursor>,
    /// Ticket from `createStreamTicket`, instead of an access token in the header `Authorization`.
    /// The filters of the ticket apply; do not send others.
    pub ticket: Option<StreamTicketSecret>,
    /// Filters.
    #[oai(flatten)]
    pub filter: EventFilterParams,
}

const fn default_order() -> Direction {
    Direction::Asc
}

/// Continuation of a list of events.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct EventPageMeta {
    /// Maximum number of events per page.
    #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
    pub limit: u32,
    /// True if more events follow this page at the moment.
    pub has_more: bool,
    /// `cursor` of the next page; never null.
    /// In ascending order, poll with it for new events once you reach the end. With `order=desc` it leads only to older
    /// events, so do not poll with it.
    pub next_cursor: Cursor,
}

example!(EventPageMeta { limit: 20, has_more: false, next_cursor: world::event_cursor() });
