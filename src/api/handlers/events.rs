//! The feed.

use std::sync::Arc;

use poem_openapi::OpenApi;

use super::tag::Tag;
use crate::api::errors::Reply;
use crate::api::extract::{Auth, LastEventId, QueryParams};
use crate::api::respond::{EventStream, OkJson};
use crate::contract::event::query::{EventPage, EventQuery, StreamQuery};
use crate::services::Services;

pub(in crate::api) struct EventsApi {
    pub(super) services: Arc<Services>,
}

#[OpenApi(prefix_path = "/v1/events", tag = "Tag::Events")]
impl EventsApi {
    /// List events
    ///
    /// What has happened in the projects of which you are a member now, in one order: every change is one event, with
    /// the whole resource after it. To stay in step, read the first page of `/v2/tasks` and then everything else that
    /// you need, and ask for what is new from the `sync_cursor` of that first page on, and again from each
    /// `next_cursor`; apply the events in the order of `sequence`. To show what has happened, ask with `order=desc`.
    /// Events are kept for 30 days, unless the operator decides otherwise. Only owners are told of invitations.
    #[oai(path = "/", method = "get", operation_id = "listEvents")]
    async fn list(&self, auth: Auth, query: QueryParams<EventQuery>) -> Reply<OkJson<EventPage>> {
        Ok(OkJson::new(&self.services.events.list(auth.0, query.0).await?))
    }

    /// Stream events
    ///
    /// The same feed as it goes on, as Server-Sent Events: the field `id:` is the cursor to go on from, `event:` the
    /// type, and `data:` the event as `GET /v1/events` gives it. A comment every 15 seconds shows that the stream is
    /// there. Whoever connects anew with `Last-Event-ID`, as `EventSource` does by itself after a connection that
    /// ended, gets what came meanwhile, nothing twice and nothing left out. The stream ends with the token, with its
    /// session, after 14 minutes at the latest, and when the server stops; over HTTP/1.1 the connection closes after
    /// it. A user may have 100 of them at once; one more is a 429. Of a project that you have left no event comes any more. `EventSource` in browsers cannot send a token, and
    /// gives up on any error status: the tag Events has a program that follows the feed.
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
