//! State of one event stream: its position in the feed, and the next message.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use poem_openapi::types::ToJSON as _;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::cursor::EventCursorScope;
use super::hub::{BroadcastEvent, EventHub};
use super::visibility::Visibility;
use crate::contract::event::{Event, EventType};
use crate::contract::page::Direction;
use crate::contract::strings::Cursor;
use crate::repositories::{EventFilter, EventRange};
use crate::services::{Caller, Credential, Error, ServiceContext};

/// Interval between messages of an idle stream.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Limits of catching up: events per query, and bytes buffered for a slow client.
const CATCH_UP_BATCH_SIZE: u64 = 50;
const MAX_BUFFERED_BYTES: usize = 64 * 1024;

/// Failed attempts to catch up after which a stream ends, and their delay.
/// A read fails if the other reads of the user keep it waiting for too long (see `read_limits`).
const MAX_CATCH_UP_RETRIES: u32 = 5;
const CATCH_UP_RETRY_DELAY: Duration = Duration::from_secs(1);

/// Message of an event stream.
#[derive(Debug)]
pub enum StreamMessage {
    /// Start of the stream, with the cursor from which it continues.
    Start(Cursor),
    /// Event.
    Event {
        /// Cursor that continues after the event.
        cursor: Cursor,
        /// Type of the event.
        kind: &'static str,
        /// Event as JSON.
        json: Arc<str>,
    },
    /// Sign of life with the current cursor.
    /// It moves past events that the client cannot see, so that the cursor does not expire.
    Heartbeat(Cursor),
}

/// Subscription of one event stream.
pub(crate) struct EventSubscription {
    pub(crate) context: Arc<ServiceContext>,
    pub(crate) hub: Arc<EventHub>,
    pub(crate) caller: Caller,
    pub(crate) scope: EventCursorScope,
    pub(crate) filter: EventFilter,
    pub(crate) visibility: Arc<Visibility>,
    pub(crate) events_rx: Receiver<BroadcastEvent>,
    /// Signals that some sessions or API tokens were revoked.
    pub(crate) ended: watch::Receiver<()>,
    pub(crate) progress: FeedProgress,
    pub(crate) until: Instant,
}

/// Progress of a subscription in the feed: its position, and what it has read to catch up.
pub(crate) struct FeedProgress {
    has_started: bool,
    /// Sequence number of the last event that was sent or skipped.
    position: i64,
    /// Last known end of the feed.
    end: i64,
    /// True if events after the position may be missing from the broadcast buffer.
    is_behind: bool,
    /// Events that were read from the database and not sent yet.
    read: VecDeque<Event>,
    /// Size of the next batch. It shrinks if events are large.
    batch_size: u64,
    /// Number of consecutive failed reads.
    failures: u32,
}

impl FeedProgress {
    /// Starts after a sequence number, or at the end of the feed.
    pub(crate) fn new(position: Option<i64>, end: i64) -> Self {
        Self {
            has_started: false,
            position: position.unwrap_or(end),
            end,
            is_behind: position.is_some_and(|position| position < end),
            read: VecDeque::new(),
            batch_size: CATCH_UP_BATCH_SIZE,
            failures: 0,
        }
    }

    /// Buffers events up to the byte limit. The others are read again.
    fn buffer(&mut self, found: Vec<Event>) {
        let (count, asked) = (found.len(), self.batch_size);
        let mut bytes = 0;
        for event in found {
            bytes += event.data.len() + event.previous.as_ref().map_or(0, String::len);
            if bytes > MAX_BUFFERED_BYTES && !self.read.is_empty() {
                break;
            }
            self.read.push_back(event);
        }
        let kept = self.read.len() as u64;
        self.is_behind = kept < count as u64 || count as u64 == asked;
        // Grows again when events become small.
        self.batch_size = if kept < count as u64 { kept } else { (asked * 2).min(CATCH_UP_BATCH_SIZE) };
    }
}

impl EventSubscription {
    /// Returns the next message, or `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<StreamMessage> {
        if !self.progress.has_started {
            self.progress.has_started = true;
            return Some(StreamMessage::Start(self.cursor()));
        }
        let heartbeat = Instant::now() + HEARTBEAT;
        loop {
            if self.is_closed() {
                return None;
            }
            if let Some(event) = self.progress.read.pop_front() {
                self.progress.position = event.sequence;
                if self.visibility.may_see(event.kind, event.project_id) {
                    return Some(self.message(event.kind, event.to_json_string().into()));
                }
                continue;
            }
            if self.progress.is_behind {
                match self.catch_up().await {
                    Ok(()) => self.progress.failures = 0,
                    Err(error) if error.is_overload() && self.progress.failures < MAX_CATCH_UP_RETRIES => {
                        self.progress.failures += 1;
                        tracing::debug!(%error, "event stream is waiting to catch up");
                        tokio::select! {
                            () = self.hub.closing.cancelled() => return None,
                            () = sleep(CATCH_UP_RETRY_DELAY) => {}
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "closing an event stream: failed to read past events");
                        return None;
                    }
                }
                continue;
            }
            tokio::select! {
                () = self.hub.closing.cancelled() => return None,
                () = sleep_until(self.until) => return None,
                // Checked in the next iteration. The sender is never dropped.
                Ok(()) = self.ended.changed() => {}
                entry = self.events_rx.recv() => match entry {
                    Ok(entry) if entry.sequence <= self.progress.position => {}
                    Ok(entry) if !self.matches(&entry) => self.progress.position = entry.sequence,
                    Ok(BroadcastEvent { sequence, kind, json: Some(json), .. }) => {
                        self.progress.position = sequence;
                        if !self.is_closed() {
                            return Some(self.message(kind, json));
                        }
                    }
                    Ok(BroadcastEvent { json: None, .. }) | Err(RecvError::Lagged(_)) => self.progress.is_behind = true,
                    Err(RecvError::Closed) => return None,
                },
                () = sleep_until(heartbeat) => return Some(StreamMessage::Heartbeat(self.cursor())),
            }
        }
    }

    /// Reads the next batch from the database.
    async fn catch_up(&mut self) -> Result<(), Error> {
        let Self { context, caller, scope, filter, visibility, progress, .. } = self;
        let walk = EventRange { after: Some(progress.position), direction: Direction::Asc, limit: progress.batch_size };
        let found = context.read_events(*caller, filter).await?.events().list(caller.user, filter, walk).await?;
        // The database uses current memberships, which may be newer than the cached ones. Without a reload, events of a
        // project that the user has just joined would be skipped.
        if found.iter().any(|event| !visibility.may_see(event.kind, event.project_id)) {
            visibility.load(&*context.store).await?;
        }
        let is_empty = found.is_empty();
        progress.buffer(found);
        let bounds = context.store.read().events().bounds().await?;
        scope.ensure_retained(progress.position, bounds)?;
        if is_empty {
            // No event up to the previously known end is visible to the user.
            progress.position = progress.position.max(progress.end);
        }
        progress.end = bounds.end;
        Ok(())
    }

    fn message(&self, kind: EventType, json: Arc<str>) -> StreamMessage {
        StreamMessage::Event { cursor: self.cursor(), kind: kind.as_str(), json }
    }

    fn cursor(&self) -> Cursor {
        self.scope.encode(&self.context.signer, self.progress.position)
    }

    fn matches(&self, entry: &BroadcastEvent) -> bool {
        let EventFilter { project, kinds } = &self.filter;
        project.is_none_or(|project| project == entry.project)
            && (kinds.is_empty() || kinds.contains(&entry.kind))
            && self.visibility.may_see(entry.kind, entry.project)
    }

    /// Returns whether the credential, the account or the server has ended.
    fn is_closed(&self) -> bool {
        let now = self.context.clock.now();
        self.caller.expires_at.is_some_and(|until| until <= now)
            || Instant::now() >= self.until
            || self.hub.closing.is_cancelled()
            || self.visibility.is_revoked()
            || match self.caller.credential {
                Credential::Session(session) => self.context.ended_sessions.contains(session),
                Credential::ApiToken { id, .. } => self.context.revoked_tokens.contains(id),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{EventId, ProjectId, Timestamp};

    fn event(sequence: i64, length: usize) -> Event {
        Event {
            id: EventId::generate(),
            sequence,
            kind: EventType::TaskUpdated,
            project_id: ProjectId::generate(),
            actor_id: None,
            occurred_at: Timestamp(0),
            data: "x".repeat(length),
            previous: None,
            request_id: None,
        }
    }

    /// Reads a feed of events of one size to its end and returns the batch sizes.
    fn read(count: i64, length: usize) -> Vec<u64> {
        let mut progress = FeedProgress::new(Some(0), count);
        let mut asked = Vec::new();
        while progress.is_behind {
            asked.push(progress.batch_size);
            let limit = i64::try_from(progress.batch_size).unwrap();
            progress.buffer(
                (progress.position + 1..=count)
                    .map(|sequence| event(sequence, length))
                    .take(usize::try_from(limit).unwrap())
                    .collect(),
            );
            let kept = std::mem::take(&mut progress.read);
            assert!(kept.iter().map(|event| event.data.len()).sum::<usize>() <= MAX_BUFFERED_BYTES.max(length));
            progress.position = kept.back().map_or(progress.position, |event| event.sequence);
        }
        assert_eq!(progress.position, count);
        asked
    }

    #[test]
    fn catch_up_batches_shrink_to_what_fits_the_buffer() {
        assert_eq!(read(120, 100), [50, 50, 50]);
        assert_eq!(read(10, 80_000), [50, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2]);
        // A full batch may be followed by more.
        assert_eq!(read(50, 100), [50, 50]);
    }
}
