//! Limits on the number of event streams: of a user, of an address and of the server.

use std::collections::HashMap;

use poem::http::Method;

use super::messages::{STREAM, events_until, follow, rename};
use crate::on_both_databases;
use crate::on_sqlite;
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

on_sqlite! {
    async fn streams_take_half_of_the_connections(database: TestDatabase) {
        let variables = vec![("MAX_CONNECTIONS", "16"), ("MAX_CONNECTIONS_PER_ADDRESS", "0")];
        let app = TestApp::new(&database, Options { variables, ..Options::default() }).await;
        let mut streams = Vec::new();
        for _ in 0..8 {
            streams.push(follow(&app.user().await, "").await);
        }
        let user = app.user().await;
        let refused = user.get(STREAM).await;
        assert_eq!(refused.header("retry-after"), "30");
        refused.fails(503, "UNAVAILABLE");
        // A HEAD request has no stream, and one that is rejected takes no slot.
        user.get(format!("{STREAM}?cursor=invalid")).await.fails(503, "UNAVAILABLE");
        streams.pop();
        user.get(format!("{STREAM}?cursor=invalid")).await.fails(400, "INVALID_CURSOR");
        assert_eq!(user.call(Method::HEAD, STREAM).send().await.status, 200);
        streams.push(follow(&user, "").await);
        user.get(STREAM).await.fails(503, "UNAVAILABLE");
    }

    async fn streams_are_limited_per_client_address(database: TestDatabase) {
        let variables = vec![("MAX_CONNECTIONS_PER_ADDRESS", "4"), ("TRUSTED_PROXY_HOPS", "1")];
        let app = TestApp::new(&database, Options { variables, ..Options::default() }).await;
        let users = [app.user().await, app.user().await, app.user().await];
        let from = |user: usize, address: &str| users[user].call(Method::GET, STREAM).header("x-forwarded-for", address);
        let _streams = [from(0, "2001:db8::1").follow().await, from(1, "2001:db8::2").follow().await];
        let refused = from(2, "2001:db8::3").send().await;
        assert_eq!(refused.header("retry-after"), "30");
        refused.fails(429, "RATE_LIMITED");
        assert_eq!(from(2, "192.0.2.1").follow().await.answer.status, 200);
    }
}
