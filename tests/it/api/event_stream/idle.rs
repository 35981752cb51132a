//! Idle event streams: heartbeats, maximum duration and number of queries.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use pocket_tasks::contract::event::query::{EventFilterParams, StreamQuery};
use pocket_tasks::contract::strings::Cursor;
use pocket_tasks::contract::{SessionId, UserId};
use pocket_tasks::services::{Caller, Credential, EventStream, StreamMessage};
use serde_json::json;
use tokio::time::Instant;

use super::messages::{events_until, follow, rename};
use crate::on_both_databases;
use crate::support::counting_store::{CountingStore, IdleStore};
use crate::support::{Options, TestApp, TestClock, TestDatabase};

const STREAMS: usize = 1_000;
const HEARTBEAT: Duration = Duration::from_secs(15);
const MAX_DURATION: Duration = Duration::from_mins(14);

async fn open(app: &TestApp, last: Option<Cursor>) -> EventStream {
    let caller =
        Caller { user: UserId::generate(), credential: Credential::Session(SessionId::generate()), expires_at: None };
    let conditions = EventFilterParams { project_id: None, kinds: None };
    app.services.events.subscribe(caller, StreamQuery { cursor: None, filter: conditions }, last).await.unwrap()
}

fn idle_store() -> (Arc<IdleStore>, TestApp) {
    let store = Arc::new(IdleStore::default());
    let app = TestApp::over(Arc::clone(&store) as _, Options::default(), TestClock::default());
    (store, app)
}

#[tokio::test(start_paused = true)]
async fn an_idle_stream_sends_heartbeats_every_15_seconds_and_ends_after_14_minutes() {
    let (_, app) = idle_store();
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

#[tokio::test(start_paused = true)]
async fn heartbeats_advance_past_events_of_other_users() {
    let (store, app) = idle_store();
    let mut stream = open(&app, None).await;
    let Some(StreamMessage::Start(begun)) = stream.next().await else { panic!("the stream did not start") };
    store.append_foreign_events(700);
    let Some(StreamMessage::Heartbeat(now)) = stream.next().await else { panic!("an event of another user was sent") };
    assert!(*begun != *now, "the cursor did not advance");
    // A stream that resumes from the new cursor has no events to catch up with.
    let list_queries = store.list_queries();
    let caught_up = open(&app, None).await.next().await;
    assert!(matches!(caught_up, Some(StreamMessage::Start(_))));
    assert_eq!(store.list_queries(), list_queries);
}

#[tokio::test(start_paused = true)]
async fn idle_streams_share_one_poll() {
    let (store, app) = idle_store();
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        let mut stream = open(&app, None).await;
        stream.next().await.unwrap();
        streams.push(stream);
    }
    let opened = store.queries();
    assert!(opened <= 2 * STREAMS + 1, "{opened} queries to open {STREAMS} streams");
    let streams = streams.into_iter().map(async |mut stream| {
        for _ in 0..4 {
            assert!(matches!(stream.next().await, Some(StreamMessage::Heartbeat(_))));
        }
        stream
    });
    let streams = join_all(streams).await;
    let asked = store.queries() - opened;
    assert!((5..=7).contains(&asked), "{asked} queries in a minute");
    // Polling stops with the last stream.
    drop(streams);
    advance(11).await;
    let asked = store.queries();
    advance(300).await;
    assert_eq!(store.queries(), asked);
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
        let store = Arc::new(CountingStore::over(database.store().await));
        let app = TestApp::over(Arc::clone(&store) as _, Options::default(), TestClock::default());
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
