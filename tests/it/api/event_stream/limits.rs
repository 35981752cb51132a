//! Limit on the number of event streams per user.

use std::collections::HashMap;

use poem::http::Method;

use super::messages::{STREAM, events_until, follow, rename};
use crate::on_both_databases;
use crate::support::{Options, TestApp, TestDatabase};

/// Maximum number of streams per user, as documented.
const MAX_STREAMS: usize = 100;

on_both_databases! {
    async fn streams_are_limited_per_user(database: TestDatabase) {
        let options = Options { api_per_minute: 100_000, ..Options::default() };
        let app = TestApp::new(&database, options).await;
        let (user, other) = (app.user().await, app.user().await);
        let project = user.project().await;
        let mut streams = Vec::new();
        for _ in 0..MAX_STREAMS {
            streams.push(follow(&user, "").await);
        }
        let refused = user.get(STREAM).await;
        let wait: u32 = refused.header("retry-after").parse().unwrap();
        assert!(wait > 0);
        refused.fails(429, "RATE_LIMITED");
        // Other users and open streams are unaffected.
        follow(&other, "").await;
        rename(&user, &project, "Still there").await;
        assert!(events_until(&mut streams[MAX_STREAMS - 1], "Still there").await.is_empty());
        streams.pop();
        streams.push(follow(&user, "").await);
        user.get(STREAM).await.fails(429, "RATE_LIMITED");
    }

    async fn streams_are_unlimited_without_a_rate_limit(app: TestApp) {
        let user = app.user().await;
        let mut streams = HashMap::new();
        for number in 0..=MAX_STREAMS {
            streams.insert(number, follow(&user, "").await);
        }
        assert_eq!(user.call(Method::GET, STREAM).follow().await.answer.status, 200);
    }
}
