//! Streams on which nothing happens: what they say, when they end, and that they ask storage for next to nothing.

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

use super::messages::{follow, rename, told_until};
use crate::on_both_databases;
use crate::support::quiet::{Counted, Quiet};
use crate::support::{Options, TestApp, TestClock, TestDatabase};

const STREAMS: usize = 1_000;
const HEARTBEAT: Duration = Duration::from_secs(15);
const LONGEST: Duration = Duration::from_mins(14);

async fn open(app: &TestApp, last: Option<Cursor>) -> EventStream {
    let caller =
        Caller { user: UserId::generate(), credential: Credential::Session(SessionId::generate()), expires_at: None };
    let conditions = EventFilterParams { project_id: None, kinds: None };
    app.services.events.subscribe(caller, StreamQuery { cursor: None, conditions }, last).await.unwrap()
}

fn quiet() -> (Arc<Quiet>, TestApp) {
    let store = Arc::new(Quiet::default());
    let app = TestApp::over(Arc::clone(&store) as _, Options::default(), TestClock::default());
    (store, app)
}

#[tokio::test(start_paused = true)]
async fn a_stream_on_which_nothing_happens_says_so_every_15_seconds_until_it_ends_after_14_minutes() {
    let (_, app) = quiet();
    let mut stream = open(&app, None).await;
    let begin = Instant::now();
    assert!(matches!(stream.next().await, Some(StreamMessage::Start(_))));
    for beat in 1..56_u32 {
        assert!(matches!(stream.next().await, Some(StreamMessage::Heartbeat(_))));
        assert_eq!(begin.elapsed().as_secs(), (HEARTBEAT * beat).as_secs());
    }
    // At the same moment as the last one would be due.
    if let Some(last) = stream.next().await {
        assert!(matches!(last, StreamMessage::Heartbeat(_)));
        assert!(stream.next().await.is_none());
    }
    assert_eq!(begin.elapsed().as_secs(), LONGEST.as_secs());
}

#[tokio::test(start_paused = true)]
async fn what_others_do_moves_the_place_to_go_on_from() {
    let (store, app) = quiet();
    let mut stream = open(&app, None).await;
    let Some(StreamMessage::Start(begun)) = stream.next().await else { panic!("it does not begin") };
    store.happen(700);
    let Some(StreamMessage::Heartbeat(now)) = stream.next().await else { panic!("somebody else's events are told") };
    assert!(*begun != *now, "the place was left behind");
    // Who goes on from there has nothing to catch up with.
    let looked = store.lists();
    let caught_up = open(&app, None).await.next().await;
    assert!(matches!(caught_up, Some(StreamMessage::Start(_))));
    assert_eq!(store.lists(), looked);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_streams_on_which_nothing_happens_look_into_the_feed_as_often_as_one() {
    let (store, app) = quiet();
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        let mut stream = open(&app, None).await;
        stream.next().await.unwrap();
        streams.push(stream);
    }
    let opened = store.asked();
    assert!(opened <= 2 * STREAMS + 1, "{opened} questions to open {STREAMS} streams");
    let streams = streams.into_iter().map(async |mut stream| {
        for _ in 0..4 {
            assert!(matches!(stream.next().await, Some(StreamMessage::Heartbeat(_))));
        }
        stream
    });
    let streams = join_all(streams).await;
    let asked = store.asked() - opened;
    assert!((5..=7).contains(&asked), "{asked} questions in a minute");
    // When nobody follows any more, nobody asks.
    drop(streams);
    pass(11).await;
    let asked = store.asked();
    pass(300).await;
    assert_eq!(store.asked(), asked);
}

/// Lets so many seconds pass on the clock that stands still otherwise; whoever waits for one of them has its turn.
async fn pass(seconds: usize) {
    for _ in 0..seconds {
        tokio::time::advance(Duration::from_secs(1)).await;
        tokio::task::yield_now().await;
    }
}

on_both_databases! {
    async fn an_event_is_read_once_for_a_thousand_streams(database: TestDatabase) {
        let store = Arc::new(Counted::over(database.store().await));
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
        // What a request itself reads.
        let before = store.reads();
        rename(&owner, &project, "Told").await;
        for stream in &mut streams {
            assert!(told_until(stream, "Told").await.is_empty());
        }
        let reads = store.reads() - before;
        // The feed for all of them, and once or twice more should it be looked into meanwhile.
        assert!(reads <= 5, "{reads} reads for one event");
        let before = store.reads();
        owner.task(&project, json!({"title": "x", "description": "é".repeat(10_000)})).await;
        for stream in &mut streams {
            stream.event().await;
        }
        let reads = store.reads() - before;
        assert!(reads >= STREAMS, "a long one is read by each who may see it: {reads}");
        let stranger = app.user().await;
        let other = stranger.project().await;
        let before = store.reads();
        stranger.task(&other, json!({"title": "x", "description": "é".repeat(10_000)})).await;
        rename(&owner, &project, "Now").await;
        for stream in &mut streams {
            told_until(stream, "Now").await;
        }
        let reads = store.reads() - before;
        assert!(reads <= 10, "{reads} reads for an event of somebody else");
    }
}
