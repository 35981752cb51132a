//! What the tests of the feed share: reading it, as a client and below HTTP.

use pocket_tasks::contract::event::Event;
use poem_openapi::types::ToJSON as _;
use serde_json::Value;

use crate::support::{Client, TestApp};

/// Where the feed is.
pub(super) const FEED: &str = "/v1/events";

/// A page of the feed.
pub(super) async fn page(reader: &Client, query: &str) -> (Vec<Value>, bool, String) {
    let page = reader.get(format!("{FEED}?{query}")).await.ok();
    let cursor = page["meta"]["next_cursor"].as_str().unwrap().to_owned();
    (page["data"].as_array().unwrap().clone(), page["meta"]["has_more"] == true, cursor)
}

/// All that is left of the feed beyond a cursor, and where to go on. The query has what goes with each page.
pub(super) async fn rest(reader: &Client, query: &str, cursor: Option<String>) -> (Vec<Value>, String) {
    let (mut events, mut cursor) = (Vec::new(), cursor);
    loop {
        let place = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let (found, has_more, next) = page(reader, &format!("{query}{place}")).await;
        events.extend(found);
        if !has_more {
            return (events, next);
        }
        cursor = Some(next);
    }
}

/// All of the feed that a reader may see.
pub(super) async fn all(reader: &Client, query: &str) -> Vec<Value> {
    rest(reader, &format!("limit=100&{query}"), None).await.0
}

/// Somebody who reads on from what they have seen.
pub(super) struct Follower {
    client: Client,
    cursor: String,
}

impl Follower {
    /// Begins where the feed ends now.
    pub(super) async fn from_now(client: &Client) -> Self {
        let (_, cursor) = rest(client, "limit=100", None).await;
        Self { client: client.clone(), cursor }
    }

    /// What has happened since the last look.
    pub(super) async fn news(&mut self) -> Vec<Value> {
        let (events, cursor) = rest(&self.client, "limit=100", Some(self.cursor.clone())).await;
        self.cursor = cursor;
        events
    }

    /// The one thing that has happened since the last look.
    #[track_caller]
    pub(super) fn only(&mut self) -> impl Future<Output = Value> {
        let place = std::panic::Location::caller();
        async move {
            let news = self.news().await;
            let [event] = &news[..] else { panic!("not one event, asked for at {place}: {news:#?}") };
            event.clone()
        }
    }
}

/// The types of events.
pub(super) fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

/// The places of events.
pub(super) fn places(events: &[Value]) -> Vec<i64> {
    events.iter().map(|event| event["sequence"].as_i64().unwrap()).collect()
}

/// Where the feed ends.
pub(super) async fn end(app: &TestApp) -> i64 {
    app.store.read().events().bounds().await.unwrap().end
}

/// What has happened beyond a place, whoever may see it.
pub(super) async fn beyond(app: &TestApp, place: i64) -> Vec<Value> {
    let events: Vec<Event> = app.store.read().events().tail(place, 10_000).await.unwrap();
    events.iter().map(|event| event.to_json().unwrap()).collect()
}
