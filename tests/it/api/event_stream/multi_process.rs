//! Event streams of several processes over one database.

use std::time::Duration;

use poem::http::Method;
use tokio::time::Instant;

use super::messages::{POLL_INTERVAL, ROUNDS, STREAM, events_until, feed, follow, rename, resume};
use crate::api::fixtures::members::{through, two_processes};
use crate::on_both_databases;
use crate::repositories::raw::Raw;
use crate::support::{Client, SseClient, TestDatabase};

/// Total time from commits in one process to their delivery by another.
async fn rounds(writer: &Client, project: &str, stream: &mut SseClient) -> Duration {
    let begin = Instant::now();
    for round in 0..ROUNDS {
        let name = format!("Round {round}");
        rename(writer, project, &name).await;
        assert!(events_until(stream, &name).await.is_empty());
    }
    begin.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_reaches_streams_of_another_process_without_polling_on_postgres() {
    let Some(database) = crate::support::databases::postgres().await else { return };
    let (one, other) = two_processes(&database).await;
    let user = one.user().await;
    let project = user.project().await;
    let mut stream = follow(&through(&other, &user), "").await;
    // The first commit may precede the LISTEN of the other process.
    rename(&user, &project, "First").await;
    events_until(&mut stream, "First").await;
    // With polling alone this would take ten times as long.
    let took = rounds(&user, &project, &mut stream).await;
    assert!(took < POLL_INTERVAL, "{took:?}");

    // Terminates the listening connections, as an operator or the network might.
    let cut = "SELECT pg_terminate_backend(pid)::text AS cut FROM pg_stat_activity \
               WHERE datname = current_database() AND query ILIKE 'LISTEN%events%'";
    let mut raw = Raw::connect(&database).await;
    assert_eq!(raw.texts(cut, "cut").await, ["true"], "only the process with a stream listens");
    rename(&user, &project, "Cut").await;
    events_until(&mut stream, "Cut").await;
    let took = rounds(&user, &project, &mut stream).await;
    assert!(took < POLL_INTERVAL, "the process no longer listens: {took:?}");
    drop(raw);
    drop((stream, one, other));
    database.remove().await;
}

on_both_databases! {
    async fn a_client_resumes_its_stream_in_another_process(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        let user = one.user().await;
        let project = user.project().await;
        let begun = follow(&user, "").await.last_id;
        let (mut last_id, mut all) = (begun.clone(), Vec::new());
        for round in 0..6 {
            let (reader, writer) = if round % 2 == 0 { (&one, &other) } else { (&other, &one) };
            let name = format!("Round {round}");
            for name in ["a", "b", name.as_str()] {
                rename(&through(writer, &user), &project, name).await;
            }
            let mut stream = resume(&through(reader, &user), "", &last_id).await;
            // Leaves one event to the next process.
            for _ in 0..if round == 5 { 8 } else { 2 } {
                all.push(stream.event().await);
            }
            last_id = stream.last_id;
        }
        let expected: Vec<_> = feed(&user, &begun, "").await.into_iter().map(|(_, event)| event).collect();
        assert_eq!(all, expected);
    }

    async fn a_stream_finds_commits_of_another_process_by_polling(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        let user = one.user().await;
        let project = user.project().await;
        let mut stream = through(&other, &user).call(Method::GET, STREAM).follow().await;
        rename(&user, &project, "Found").await;
        events_until(&mut stream, "Found").await;
    }
}
