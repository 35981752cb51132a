//! One who follows the feed, at a place in it: what there is to tell next, and when nothing more may be told.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::cursor::FeedOf;
use super::hub::{Entry, Reader};
use super::stream::{Told, json_of};
use crate::contract::event::{Event, EventType};
use crate::contract::list::Direction;
use crate::contract::text::Cursor;
use crate::repositories::{EventFilter, FeedWalk};
use crate::services::error::Error;
use crate::services::{Caller, Credential, Shared};

/// How often a stream says that it is there still.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// As many events of the past are read at once, and at most so many bytes of them are kept for a client that takes its
/// time.
const CATCH_UP: u64 = 50;
const KEPT_BYTES: usize = 64 * 1024;

/// Attempts to catch up after which a stream ends, and the pause between two of them. Reads that no index serves may have
/// to wait for others.
const MAX_CATCH_UP_RETRIES: u32 = 5;
const CATCH_UP_RETRY_DELAY: Duration = Duration::from_secs(1);

/// Who follows the feed.
pub(crate) struct Follower {
    pub(crate) shared: Arc<Shared>,
    pub(crate) caller: Caller,
    pub(crate) filter: EventFilter,
    pub(crate) reader: Arc<Reader>,
    pub(crate) ring: Receiver<Entry>,
    /// Tells when sessions or tokens have ended, perhaps this one.
    pub(crate) ended: watch::Receiver<()>,
    pub(crate) progress: Progress,
    pub(crate) until: Instant,
}

/// How far a follower is.
pub(crate) struct Progress {
    has_begun: bool,
    /// Up to here all was told.
    place: i64,
    /// So far the feed was known to reach when it was asked last.
    end: i64,
    /// Whether there may be events beyond the place that are not in the ring.
    is_behind: bool,
    /// What was read from storage and not told yet.
    read: VecDeque<Event>,
    /// As many are read the next time: where they are long, fewer, because no more would be kept.
    at_once: u64,
    /// Failed attempts to read from storage since the last one that succeeded.
    failures: u32,
}

impl Progress {
    /// Who begins at a place of the feed, or else at its end.
    pub(crate) fn from(place: Option<i64>, end: i64) -> Self {
        Self {
            has_begun: false,
            place: place.unwrap_or(end),
            end,
            is_behind: place.is_some_and(|place| place < end),
            read: VecDeque::new(),
            at_once: CATCH_UP,
            failures: 0,
        }
    }

    /// Keeps of what was read as much as may be kept. What is not kept is read again.
    fn keep(&mut self, found: Vec<Event>) {
        let (count, asked) = (found.len(), self.at_once);
        let mut bytes = 0;
        for event in found {
            bytes += event.data.len() + event.previous.as_ref().map_or(0, String::len);
            if bytes > KEPT_BYTES && !self.read.is_empty() {
                break;
            }
            self.read.push_back(event);
        }
        let kept = self.read.len() as u64;
        self.is_behind = kept < count as u64 || count as u64 == asked;
        // Twice as many as could be kept, so that it grows again where they are short again.
        self.at_once = if kept < count as u64 { kept } else { (asked * 2).min(CATCH_UP) };
    }
}

impl Follower {
    /// What there is to tell next; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Told> {
        if !self.progress.has_begun {
            self.progress.has_begun = true;
            return Some(Told::Begin(self.cursor()));
        }
        let heartbeat = Instant::now() + HEARTBEAT;
        loop {
            if self.is_over() {
                return None;
            }
            if let Some(event) = self.progress.read.pop_front() {
                self.progress.place = event.sequence;
                if self.reader.may_see(event.kind, event.project_id) {
                    return Some(self.told(event.kind, json_of(&event).into()));
                }
                continue;
            }
            if self.progress.is_behind {
                match self.catch_up().await {
                    Ok(()) => self.progress.failures = 0,
                    Err(error) if error.is_overload() && self.progress.failures < MAX_CATCH_UP_RETRIES => {
                        self.progress.failures += 1;
                        tracing::debug!(%error, "an event stream waits to catch up");
                        tokio::select! {
                            () = self.shared.followers.closing.cancelled() => return None,
                            () = sleep(CATCH_UP_RETRY_DELAY) => {}
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "an event stream ends: failed to read the events it is behind");
                        return None;
                    }
                }
                continue;
            }
            tokio::select! {
                () = self.shared.followers.closing.cancelled() => return None,
                () = sleep_until(self.until) => return None,
                // Looked into at the next turn; the sender lives as long as everything.
                Ok(()) = self.ended.changed() => {}
                entry = self.ring.recv() => match entry {
                    Ok(entry) if entry.sequence <= self.progress.place => {}
                    Ok(entry) if !self.matches(&entry) => self.progress.place = entry.sequence,
                    Ok(Entry { sequence, kind, json: Some(json), .. }) => {
                        self.progress.place = sequence;
                        if !self.is_over() {
                            return Some(self.told(kind, json));
                        }
                    }
                    Ok(Entry { json: None, .. }) | Err(RecvError::Lagged(_)) => self.progress.is_behind = true,
                    Err(RecvError::Closed) => return None,
                },
                () = sleep_until(heartbeat) => return Some(Told::Nothing(self.cursor())),
            }
        }
    }

    /// Reads on from storage.
    async fn catch_up(&mut self) -> Result<(), Error> {
        let Self { shared, caller, filter, reader, progress, .. } = self;
        let walk = FeedWalk { beyond: Some(progress.place), direction: Direction::Asc, limit: progress.at_once };
        let found = shared.read_events(*caller, filter).await?.events().list(caller.user, filter, walk).await?;
        // Storage goes by what the reader may see now, and what is known here may be older: without looking anew, what
        // happened in a project that the reader has just joined would be passed over, and never told.
        if found.iter().any(|event| !reader.may_see(event.kind, event.project_id)) {
            reader.load(&*shared.store).await?;
        }
        let is_empty = found.is_empty();
        progress.keep(found);
        let bounds = shared.store.read().events().bounds().await?;
        FeedOf::forwards(caller.user).require_kept(progress.place, bounds)?;
        if is_empty {
            // Nothing is for this reader up to where the feed was known to reach before.
            progress.place = progress.place.max(progress.end);
        }
        progress.end = bounds.end;
        Ok(())
    }

    fn told(&self, kind: EventType, json: Arc<str>) -> Told {
        Told::Event { cursor: self.cursor(), kind: kind.as_str(), json }
    }

    fn cursor(&self) -> Cursor {
        FeedOf::forwards(self.caller.user).cursor(&self.shared.signer, self.progress.place)
    }

    fn matches(&self, entry: &Entry) -> bool {
        let EventFilter { project, kinds } = &self.filter;
        project.is_none_or(|project| project == entry.project)
            && (kinds.is_empty() || kinds.contains(&entry.kind))
            && self.reader.may_see(entry.kind, entry.project)
    }

    /// Whether nothing more may be told: the token, its session or the account has ended, or the server does.
    fn is_over(&self) -> bool {
        let now = self.shared.clock.now();
        self.caller.until.is_some_and(|until| until <= now)
            || Instant::now() >= self.until
            || self.shared.followers.closing.is_cancelled()
            || self.reader.is_gone()
            || match self.caller.by {
                Credential::Session(session) => self.shared.ended_sessions.contains(session),
                Credential::ApiToken { id, .. } => self.shared.revoked_tokens.contains(id),
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

    /// Reads a feed of events of one length to its end, and gives how many were read at once.
    fn read(count: i64, length: usize) -> Vec<u64> {
        let mut progress = Progress::from(Some(0), count);
        let mut asked = Vec::new();
        while progress.is_behind {
            asked.push(progress.at_once);
            let limit = i64::try_from(progress.at_once).unwrap();
            progress.keep(
                (progress.place + 1..=count)
                    .map(|sequence| event(sequence, length))
                    .take(usize::try_from(limit).unwrap())
                    .collect(),
            );
            let kept = std::mem::take(&mut progress.read);
            assert!(kept.iter().map(|event| event.data.len()).sum::<usize>() <= KEPT_BYTES.max(length));
            progress.place = kept.back().map_or(progress.place, |event| event.sequence);
        }
        assert_eq!(progress.place, count);
        asked
    }

    #[test]
    fn what_is_short_is_read_by_the_fifty_and_what_is_long_as_much_as_is_kept() {
        assert_eq!(read(120, 100), [50, 50, 50]);
        assert_eq!(read(10, 80_000), [50, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2]);
        // Exactly as many as are asked for could be all.
        assert_eq!(read(50, 100), [50, 50]);
    }
}
