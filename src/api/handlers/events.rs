//! The event feed.

use std::sync::Arc;

use poem_openapi::OpenApi;

use super::tag::Tag;
use crate::api::errors::Reply;
use crate::api::extract::{Auth, JsonBody, LastEventId, QueryParams};
use crate::api::respond::{Created, EventStream, OkJson};
use crate::contract::event::query::{EventPage, EventQuery, StreamQuery};
use crate::contract::event::ticket::{CreateStreamTicket, StreamTicket};
use crate::services::Services;

pub(in crate::api) struct EventsApi {
    pub(super) services: Arc<Services>,
}

#[OpenApi(prefix_path = "/v1/events", tag = "Tag::Events")]
impl EventsApi {
    /// List events
    ///
    /// Returns the events of the projects you are a member of, in one order. Each change is one event that contains the
    /// whole resource after the change. To stay in sync, read the first page of `/v2/tasks` and everything else you
    /// need, then request the events after the `sync_cursor` of that page and after each `next_cursor`. Apply events in
    /// the order of `sequence`. For an activity log, use `order=desc`. Events are kept for 30 days (configurable by the
    /// operator). Events about invitations are visible to owners only.
    #[oai(path = "/", method = "get", operation_id = "listEvents")]
    async fn list(&self, auth: Auth, query: QueryParams<EventQuery>) -> Reply<OkJson<EventPage>> {
        Ok(OkJson::new(&self.services.events.list(auth.0, query.0).await?))
    }

    /// Create a stream ticket
    ///
    /// Creates a ticket with which a browser's own `EventSource`, which cannot send a token, opens one event stream:
    /// `new EventSource("/v1/events/stream?ticket=...")`. A ticket is valid for 60 seconds, for one connection, and for
    /// the filters it was created with. `EventSource` reconnects with the same URL and fails with 401: then close it,
    /// create another ticket, and open a new one with `lastEventId`. The body is optional.
    #[oai(path = "/stream-tickets", method = "post", operation_id = "createStreamTicket")]
    async fn create_stream_ticket(
        &self,
        auth: Auth,
        body: JsonBody<Option<CreateStreamTicket>>,
    ) -> Reply<Created<StreamTicket>> {
        Ok(Created::at("/v1/events/stream", &self.services.events.create_ticket(auth.0, body.0).await?))
    }

    /// Stream events
    ///
    /// Streams the events of `listEvents` as Server-Sent Events: the `id:` field is the cursor to continue from,
    /// `event:` the type, and `data:` the event as JSON. A comment every 15 seconds keeps the connection alive. A
    /// client that reconnects with `Last-Event-ID`, as `EventSource` does, receives every event it missed exactly once.
    ///
    /// The stream ends with its token or session, after at most 14 minutes, and when the server shuts down; over
    /// HTTP/1.1 the connection closes with it. Events of a project stop when you leave it. A user can have up to 100
    /// concurrent streams and a client address 128 (by default); another one fails with 429. If the server has no capacity
    /// for another one, it fails with 503. `EventSource` in browsers cannot send a token; use a ticket
    /// (`createStreamTicket`). It stops after any error status: [Staying in sync](/guides/sync) has a complete client.
    #[oai(path = "/stream", method = "get", operation_id = "streamEvents")]
    async fn stream(
        &self,
        auth: Auth,
        #[oai(name = "Last-Event-ID")] last: LastEventId,
        query: QueryParams<StreamQuery>,
    ) -> Reply<EventStream> {
        Ok(EventStream(self.services.events.subscribe(auth.0, query.0, last.0).await?))
    }
}
