//! How many streams a user may have.

use std::collections::HashMap;

use poem::http::Method;

use super::messages::{STREAM, follow, rename, told_until};
use crate::on_both_databases;
use crate::support::{Options, TestApp, TestDatabase};

/// As the published document says.
const MOST: usize = 100;

on_both_databases! {
    async fn a_user_has_so_many_streams_and_no_more_until_one_is_closed(database: TestDatabase) {
        let options = Options { api_per_minute: 100_000, ..Options::default() };
        let app = TestApp::new(&database, options).await;
        let (user, other) = (app.user().await, app.user().await);
        let project = user.project().await;
        let mut streams = Vec::new();
        for _ in 0..MOST {
            streams.push(follow(&user, "").await);
        }
        let refused = user.get(STREAM).await;
        let wait: u32 = refused.header("retry-after").parse().unwrap();
        assert!(wait > 0);
        refused.fails(429, "RATE_LIMITED");
        // That is nothing to anybody else, nor to what goes on.
        follow(&other, "").await;
        rename(&user, &project, "Still there").await;
        assert!(told_until(&mut streams[MOST - 1], "Still there").await.is_empty());
        streams.pop();
        streams.push(follow(&user, "").await);
        user.get(STREAM).await.fails(429, "RATE_LIMITED");
    }

    async fn who_limits_no_requests_limits_no_streams(app: TestApp) {
        let user = app.user().await;
        let mut streams = HashMap::new();
        for number in 0..=MOST {
            streams.insert(number, follow(&user, "").await);
        }
        assert_eq!(user.call(Method::GET, STREAM).follow().await.answer.status, 200);
    }
}
