//! Live event streams.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{Stream, unfold};
use tokio::time::Instant;

use super::Events;
use super::cursor::EventCursorScope;
use super::list::authorize_filter;
use super::subscription::{EventSubscription, FeedProgress, StreamMessage};
use crate::contract::error::ErrorLocation;
use crate::contract::event::query::StreamQuery;
use crate::contract::strings::Cursor;
use crate::services::{Caller, Credential, Error};

/// Maximum duration of a stream, slightly less than that of its connection.
pub(crate) const MAX_STREAM_DURATION: Duration = Duration::from_mins(14);

/// Live event stream.
pub type EventStream = Pin<Box<dyn Stream<Item = StreamMessage> + Send>>;

impl Events {
    /// Subscribes to events after a cursor, or from now on.
    pub async fn subscribe(
        &self,
        caller: Caller,
        query: StreamQuery,
        last: Option<Cursor>,
    ) -> Result<EventStream, Error> {
        let last = last.or(query.last_event_id.filter(|id| !id.is_empty())).or(query.cursor);
        let resumed = match last {
            Some(cursor) => {
                let epoch = self.context.store.read().events().bounds().await?.epoch;
                let scope = EventCursorScope::ascending(caller.user, epoch);
                Some((scope, scope.decode(&self.context.signer, &cursor)?))
            }
            None => None,
        };
        // After the cursor, so that a mistake in it does not use up the ticket.
        let filter = match &query.ticket {
            Some(ticket) => self.context.consume_ticket(caller, ticket, query.filter).await?,
            None => authorize_filter(self.context.store.read(), caller, query.filter, ErrorLocation::Query).await?,
        };
        // Subscribe before reading the end of the feed, so that no event is missed.
        let (visibility, events_rx) = self.hub.subscribe(caller.user).await?;
        let bounds = self.context.store.read().events().bounds().await?;
        if let Some((scope, position)) = resumed {
            scope.ensure_retained(position, bounds)?;
        }
        let now = self.context.clock.now();
        let left = caller
            .expires_at
            .map_or(MAX_STREAM_DURATION, |until| Duration::from_millis((until.0 - now.0).max(0).unsigned_abs()));
        let ended = match caller.credential {
            Credential::Session(_) => self.context.ended_sessions.subscribe(),
            Credential::ApiToken { .. } => self.context.revoked_tokens.subscribe(),
        };
        let subscription = EventSubscription {
            context: Arc::clone(&self.context),
            hub: Arc::clone(&self.hub),
            caller,
            scope: EventCursorScope::ascending(caller.user, bounds.epoch),
            filter,
            visibility,
            events_rx,
            ended,
            progress: FeedProgress::new(resumed.map(|(_, position)| position), bounds.end),
            until: Instant::now() + left.min(MAX_STREAM_DURATION),
        };
        Ok(Box::pin(unfold(subscription, async |mut subscription| Some((subscription.next().await?, subscription)))))
    }

    /// Ends all event streams. Clients reconnect to another server.
    pub fn close_streams(&self) {
        self.hub.closing.cancel();
    }
}
