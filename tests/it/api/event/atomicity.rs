//! A change, its events, its jobs and the answer that is kept for its key are there together or not at all.

use std::sync::atomic::Ordering;

use super::matrix::lines;
use crate::api::fixtures::events::{beyond, end, places};
use crate::api::fixtures::roles::World;
use crate::api::fixtures::writes::{KEY, REPLAYED, new_key, stored_keys, taking};
use crate::on_both_databases;
use crate::support::failing::FailingFeed;
use crate::support::{Options, TestApp, TestClock, TestDatabase};

on_both_databases! {
    async fn nothing_is_there_when_the_feed_cannot_be_written(database: TestDatabase) {
        let (store, fails) = FailingFeed::over(database.store().await);
        let variables = vec![("REQUIRE_EMAIL_VERIFICATION", "true")];
        let app = TestApp::over(store, Options { variables, ..Options::default() }, TestClock::default());
        let keyed: Vec<String> = taking("Idempotency-Key").0.into_iter().map(|operation| operation.id).collect();
        let world = World::new(&app, false).await;
        let jobs = async || app.store.read().queue().list_unfinished().await.unwrap().len();
        let (place, state, promised) = (end(&app).await, world.state().await, jobs().await);
        let key = new_key();
        let telling = || lines().into_iter().filter(|line| !line.events.is_empty());

        fails.store(true, Ordering::SeqCst);
        for line in telling() {
            let call = line.call(&world, &line.body(&world));
            let call = if keyed.iter().any(|id| id == line.operation) { call.header(KEY, &key) } else { call };
            call.send().await.fails(500, "INTERNAL");
            assert_eq!(beyond(&app, place).await.len(), 0, "{}", line.place());
            assert_eq!(world.state().await, state, "{}", line.place());
            assert_eq!(jobs().await, promised, "{}", line.place());
            assert_eq!(stored_keys(&database).await, [], "{}", line.place());
        }

        // It was for no other reason, and no number was used up.
        fails.store(false, Ordering::SeqCst);
        let line = telling().find(|line| line.operation == "createInvitation").unwrap();
        let answer = line.call(&world, &line.body(&world)).header(KEY, &key).send().await;
        assert!(!answer.headers.contains_key(REPLAYED));
        answer.created();
        assert_eq!(places(&beyond(&app, place).await), [place + 1]);
        assert_eq!(stored_keys(&database).await.len(), 1);
        assert!(jobs().await > promised);
    }
}
