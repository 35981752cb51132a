//! Atomicity of a change with its events, jobs and stored idempotent response.

use std::sync::Arc;

use super::matrix::lines;
use crate::api::fixtures::events::{events_after, last_sequence, sequences};
use crate::api::fixtures::roles::RoleFixture;
use crate::api::fixtures::writes::{KEY, REPLAYED, new_key, operations_by_header, stored_keys};
use crate::on_both_databases;
use crate::support::fault_store::{Fault, FaultStore};
use crate::support::{Options, TestApp, TestClock, TestDatabase};

on_both_databases! {
    async fn a_write_without_its_event_is_rolled_back_entirely(database: TestDatabase) {
        let store = FaultStore::over(database.store().await, Fault::None);
        let variables = vec![("REQUIRE_EMAIL_VERIFICATION", "true")];
        let app = TestApp::over(Arc::clone(&store) as _, Options { variables, ..Options::default() }, TestClock::default());
        let keyed: Vec<String> = operations_by_header("Idempotency-Key").0.into_iter().map(|operation| operation.id).collect();
        let fixture = RoleFixture::new(&app, false).await;
        let jobs = async || app.store.read().queue().list_unfinished().await.unwrap().len();
        let (sequence, state, enqueued) = (last_sequence(&app).await, fixture.state().await, jobs().await);
        let key = new_key();
        let event_lines = || lines().into_iter().filter(|line| !line.events.is_empty());

        store.set(Fault::AppendFails);
        for line in event_lines() {
            let call = line.call(&fixture, &line.body(&fixture));
            let call = if keyed.iter().any(|id| id == line.operation) { call.header(KEY, &key) } else { call };
            call.send().await.fails(500, "INTERNAL");
            assert_eq!(events_after(&app, sequence).await.len(), 0, "{}", line.context());
            assert_eq!(fixture.state().await, state, "{}", line.context());
            assert_eq!(jobs().await, enqueued, "{}", line.context());
            assert_eq!(stored_keys(&database).await, [], "{}", line.context());
        }

        // The requests failed for no other reason, and no sequence number was consumed.
        store.set(Fault::None);
        let line = event_lines().find(|line| line.operation == "createInvitation").unwrap();
        let answer = line.call(&fixture, &line.body(&fixture)).header(KEY, &key).send().await;
        assert!(!answer.headers.contains_key(REPLAYED));
        answer.created();
        assert_eq!(sequences(&events_after(&app, sequence).await), [sequence + 1]);
        assert_eq!(stored_keys(&database).await.len(), 1);
        assert!(jobs().await > enqueued);
    }
}
