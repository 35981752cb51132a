//! The feed: how a caller asks for events, and how it is told where to go on.

use poem_openapi::Object;
use poem_openapi::types::Example;

use super::Event;
use super::event_type::FeedEventType;
use crate::contract::ProjectId;
use crate::contract::page::Direction;
use crate::contract::strings::Cursor;

/// A page of the feed, and where it goes on.
#[derive(Debug, Clone, Object)]
pub struct EventPage {
    /// The events of this page, in order.
    pub data: Vec<Event>,
    /// Where the feed goes on.
    pub meta: EventPageMeta,
}

/// Which events, as query parameters; all conditions must hold.
#[derive(Debug, Clone, Object)]
pub struct EventFilterParams {
    /// Only events of this project, also of one in the trash. One that does not exist is a 400, one of which you are no
    /// member a 403.
    pub project_id: Option<ProjectId>,
    /// Only events of one of these types, separated by commas.
    #[oai(rename = "type", validator(min_items = 1))]
    pub kinds: Option<Vec<FeedEventType>>,
}

/// Which part of the feed to list, as query parameters.
#[derive(Debug, Clone, Object)]
pub struct EventQuery {
    /// How many events at most; it may differ from page to page.
    #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "100")))]
    pub limit: u32,
    /// Where to go on: the `next_cursor` of a page in the same order; in ascending order also the `sync_cursor` of a
    /// list, or the SSE `id:` field of an event of the stream (`lastEventId` in `EventSource`), not the `id` inside the
    /// event. The filters may differ. Without one the feed begins with its oldest event, or with its newest where the
    /// order is `desc`. A cursor that is older than the events that are kept (30 days by default) is a 400: list
    /// everything anew.
    pub cursor: Option<Cursor>,
    /// `asc`: the oldest first, to stay in step. `desc`: the newest first, to show what has happened. A cursor is good
    /// for one order only.
    #[oai(default = "default_order")]
    pub order: Direction,
    /// Which events.
    #[oai(flatten)]
    pub conditions: EventFilterParams,
}

/// Which events to stream, as query parameters.
#[derive(Debug, Clone, Object)]
pub struct StreamQuery {
    /// Where to go on: the SSE `id:` field of the last event that you have (`lastEventId` in `EventSource`), not the
    /// `id` inside the event; or any cursor of the feed in ascending order, such as a `sync_cursor`. `Last-Event-ID`
    /// goes before it. Without one the stream begins now.
    pub cursor: Option<Cursor>,
    /// Which events.
    #[oai(flatten)]
    pub conditions: EventFilterParams,
}

const fn default_limit() -> u32 {
    20
}

const fn default_order() -> Direction {
    Direction::Asc
}

/// Where the feed goes on.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct EventPageMeta {
    /// How many events a page has at most.
    #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
    pub limit: u32,
    /// Whether there are more events beyond this page by now.
    pub has_more: bool,
    /// The `cursor` of the next page. In ascending order there always is a next one: at the end, ask with it later for
    /// what is new. With `order=desc` it leads to older events only, so do not poll with it.
    pub next_cursor: Cursor,
}

impl Example for EventPageMeta {
    fn example() -> Self {
        Self { limit: 20, has_more: true, next_cursor: Cursor::example() }
    }
}
