//! Idle event streams: heartbeats, maximum duration and number of queries.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use pocket_tasks::contract::event::query::{EventFilterParams, StreamQuery};
use pocket_tasks::contract::event::{Event, EventType};
use pocket_tasks::contract::project::Role;
use pocket_tasks::contract::strings::Cursor;
use pocket_tasks::contract::{EventId, ProjectId, SessionId, Timestamp, UserId};
use pocket_tasks::repositories::{
    EventFilter, EventHeader, EventRange, EventRepository, FeedBounds, NewEvent, StoreError, Write,
};
use pocket_tasks::services::{Caller, Credential, EventStream, StreamMessage};
use serde_json::json;
use tokio::time::Instant;

use super::messages::{events_until, follow, rename};
use crate::on_both_databases;
use crate::support::databases::sqlite;
use crate::support::fault_store::{Fault, FaultStore};
use crate::support::{Options, TestApp, TestClock, TestDatabase};

const STREAMS: usize = 1_000;
const HEARTBEAT: Duration = Duration::from_secs(15);
const MAX_DURATION: Duration = Duration::from_mins(14);

async fn open(app: &TestApp, last: Option<Cursor>) -> EventStream {
    let caller =
        Caller { user: UserId::generate(), credential: Credential::Session(SessionId::generate()), expires_at: None };
    let conditions = EventFilterParams { project_id: None, kinds: None };
    app.services
        .events
        .subscribe(caller, StreamQuery { cursor: None, last_event_id: None, ticket: None, filter: conditions }, last)
        .await
        .unwrap()
}

/// Feed that only has events of other users. Its queries never wait, so that a test can pause the clock.
struct IdleFeed {
    end: AtomicI64,
    queries: AtomicUsize,
    list_queries: AtomicUsize,
}

impl IdleFeed {
    /// Appends events of other users without a notification.
    fn append_foreign_events(&self, count: i64) {
        self.end.fetch_add(count, Ordering::SeqCst);
    }

    /// Number of queries.
    fn queries(&self) -> usize {
        self.queries.load(Ordering::SeqCst)
    }

    /// Number of queries for visible events.
    fn list_queries(&self) -> usize {
        self.list_queries.load(Ordering::SeqCst)
    }

    /// Counts a query, and returns the end of the feed.
    fn query(&self) -> i64 {
        self.queries.fetch_add(1, Ordering::SeqCst);
        self.end.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl EventRepository for IdleFeed {
    async fn write_and_append(&self, _: &[Write<'_>], _: &[NewEvent]) -> Result<(), StoreError> {
        unreachable!("streams only read")
    }

    async fn bounds(&self) -> Result<FeedBounds, StoreError> {
        Ok(FeedBounds { pruned_through: 0, end: self.query(), epoch: None })
    }

    async fn list(&self, _: UserId, _: &EventFilter, _: EventRange) -> Result<Vec<Event>, StoreError> {
        self.query();
        self.list_queries.fetch_add(1, Ordering::SeqCst);
        Ok(Vec::new())
    }

    async fn tail(&self, after: i64, limit: u64) -> Result<Vec<Event>, StoreError> {
        let event = |sequence| Event {
            id: EventId::generate(),
            sequence,
            kind: EventType::TaskCreated,
            project_id: ProjectId::generate(),
            actor_id: None,
            occurred_at: Timestamp::now(),
            data: "{}".to_owned(),
            previous: None,
            request_id: None,
        };
        Ok((after + 1..=self.query()).take(usize::try_from(limit).unwrap()).map(event).collect())
    }

    async fn list_headers(&self, _: UserId, _: &EventFilter, _: EventRange) -> Result<Vec<EventHeader>, StoreError> {
        unreachable!("streams read whole events")
    }

    async fn tail_headers(&self, _: i64, _: u64) -> Result<Vec<EventHeader>, StoreError> {
        unreachable!("streams read whole events")
    }

    async fn memberships(&self, _: UserId) -> Result<Option<Vec<(ProjectId, Role)>>, StoreError> {
        self.query();
        Ok(Some(Vec::new()))
    }
}

/// Creates the API over an idle feed, and pauses the clock. Everything else in the store is closed.
async fn idle_app() -> (Arc<IdleFeed>, TestApp) {
    let store = sqlite().await.closed_store().await;
    tokio::time::pause();
    let (queries, list_queries) = (AtomicUsize::default(), AtomicUsize::default());
    let feed = Arc::new(IdleFeed { end: AtomicI64::new(7), queries, list_queries });
    let store = FaultStore::with_feed(store, Arc::clone(&feed) as _);
    (feed, TestApp::over(store, Options::default(), TestClock::default()))
}

#[tokio::test]
async fn an_idle_stream_sends_heartbeats_every_15_seconds_and_ends_after_14_minutes() {
    let (_, app) = idle_app().await;
    let mut stream = open(&app, None).await;
    let begin = Instant::now();
    assert!(matches!(stream.next().await, Some(StreamMessage::Start(_))));
    for beat in 1..56_u32 {
        assert!(matches!(stream.next().await, Some(StreamMessage::Heartbeat(_))));
        assert_eq!(begin.elapsed().as_secs(), (HEARTBEAT * beat).as_secs());
    }
    // The stream ends when the last heartbeat is due.
    if let Some(last) = stream.next().await {
        assert!(matches!(last, StreamMessage::Heartbeat(_)));
        assert!(stream.next().await.is_none());
    }
    assert_eq!(begin.elapsed().as_secs(), MAX_DURATION.as_secs());
}

#[tokio::test]
async fn heartbeats_advance_past_events_of_other_users() {
    let (feed, app) = idle_app().await;
    let mut stream = open(&app, None).await;
    let Some(StreamMessage::Start(begun)) = stream.next().await else { panic!("the stream did not start") };
    feed.append_foreign_events(700);
    let Some(StreamMessage::Heartbeat(now)) = stream.next().await else { panic!("an event of another user was sent") };
    assert!(*begun != *now, "the cursor did not advance");
    // A stream that resumes from the new cursor has no events to catch up with.
    let list_queries = feed.list_queries();
    let caught_up = open(&app, None).await.next().await;
    assert!(matches!(caught_up, Some(StreamMessage::Start(_))));
    assert_eq!(feed.list_queries(), list_queries);
}

#[tokio::test]
async fn idle_streams_share_one_poll() {
    let (feed, app) = idle_app().await;
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        let mut stream = open(&app, None).await;
        stream.next().await.unwrap();
        streams.push(stream);
    }
    let opened = feed.queries();
    assert!(opened <= 2 * STREAMS + 1, "{opened} queries to open {STREAMS} streams");
    let streams = streams.into_iter().map(async |mut stream| {
        for _ in 0..4 {
            assert!(matches!(stream.next().await, Some(StreamMessage::Heartbeat(_))));
        }
        stream
    });
    let streams = join_all(streams).await;
    let asked = feed.queries() - opened;
    assert!((5..=7).contains(&asked), "{asked} queries in a minute");
    // Polling stops with the last stream.
    drop(streams);
    advance(11).await;
    let asked = feed.queries();
    advance(300).await;
    assert_eq!(feed.queries(), asked);
}

/// Advances the paused clock second by second, letting other tasks run.
async fn advance(seconds: usize) {
    for _ in 0..seconds {
        tokio::time::advance(Duration::from_secs(1)).await;
        tokio::task::yield_now().await;
    }
}

on_both_databases! {
    async fn an_event_is_read_once_for_all_streams(database: TestDatabase) {
        let store = FaultStore::over(database.store().await, Fault::None);
        // All streams have one address.
        let options = Options { variables: vec![("MAX_CONNECTIONS_PER_ADDRESS", "0")], ..Options::default() };
        let app = TestApp::over(Arc::clone(&store) as _, options, TestClock::default());
        let owner = app.user().await;
        let project = owner.project().await;
        let mut streams = Vec::new();
        let begun = store.reads();
        for _ in 0..STREAMS {
            streams.push(follow(&owner, "").await);
        }
        let opening = store.reads() - begun;
        assert!(opening <= 3 * STREAMS + 5, "{opening} reads to open {STREAMS} streams");
        // Reads of the request itself.
        let before = store.reads();
        rename(&owner, &project, "Told").await;
        for stream in &mut streams {
            assert!(events_until(stream, "Told").await.is_empty());
        }
        let reads = store.reads() - before;
        // One read of the feed for all streams, and up to two polls in the meantime.
        assert!(reads <= 5, "{reads} reads for one event");
        let before = store.reads();
        owner.task(&project, json!({"title": "x", "description": "é".repeat(10_000)})).await;
        for stream in &mut streams {
            stream.event().await;
        }
        let reads = store.reads() - before;
        assert!(reads >= STREAMS, "each stream reads a long event itself: {reads}");
        let stranger = app.user().await;
        let other = stranger.project().await;
        let before = store.reads();
        stranger.task(&other, json!({"title": "x", "description": "é".repeat(10_000)})).await;
        rename(&owner, &project, "Now").await;
        for stream in &mut streams {
            events_until(stream, "Now").await;
        }
        let reads = store.reads() - before;
        assert!(reads <= 10, "{reads} reads for an event of another user");
    }
}
