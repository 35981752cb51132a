//! Several processes over one database.

use std::time::Duration;

use poem::http::Method;
use tokio::time::Instant;

use super::messages::{LOOK, ROUNDS, STREAM, feed, follow, go_on, rename, told_until};
use crate::api::fixtures::members::two_processes;
use crate::on_both_databases;
use crate::repositories::raw::Raw;
use crate::support::{Client, Following, TestApp, TestDatabase};

/// The same user, who calls another process.
fn there(app: &TestApp, user: &Client) -> Client {
    app.with_token(user.token.as_deref().unwrap())
}

/// The time from a commit in one process to its being told by another, many times.
async fn rounds(writer: &Client, project: &str, stream: &mut Following) -> Duration {
    let begin = Instant::now();
    for round in 0..ROUNDS {
        let name = format!("Round {round}");
        rename(writer, project, &name).await;
        assert!(told_until(stream, &name).await.is_empty());
    }
    begin.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_process_commits_is_told_by_another_long_before_it_looks_by_itself_on_postgres() {
    let Some(database) = crate::support::databases::postgres().await else { return };
    let (one, other) = two_processes(&database).await;
    let user = one.user().await;
    let project = user.project().await;
    let mut stream = follow(&there(&other, &user), "").await;
    // The first may come before the other process listens.
    rename(&user, &project, "First").await;
    told_until(&mut stream, "First").await;
    // Somebody who only looks needs ten times as long.
    let took = rounds(&user, &project, &mut stream).await;
    assert!(took < LOOK, "{took:?}");

    // An operator, or the network, cuts the connections on which they listen.
    let cut = "SELECT pg_terminate_backend(pid)::text AS cut FROM pg_stat_activity \
               WHERE datname = current_database() AND query ILIKE 'LISTEN%events%'";
    let mut raw = Raw::connect(&database).await;
    assert_eq!(raw.texts(cut, "cut").await, ["true"], "only who is followed listens");
    rename(&user, &project, "Cut").await;
    told_until(&mut stream, "Cut").await;
    let took = rounds(&user, &project, &mut stream).await;
    assert!(took < LOOK, "it listens no more: {took:?}");
    drop(raw);
    drop((stream, one, other));
    database.remove().await;
}

on_both_databases! {
    async fn a_client_goes_on_in_another_process_where_it_was(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        let user = one.user().await;
        let project = user.project().await;
        let begun = follow(&user, "").await.last_id;
        let (mut last_id, mut all) = (begun.clone(), Vec::new());
        for round in 0..6 {
            let (reader, writer) = if round % 2 == 0 { (&one, &other) } else { (&other, &one) };
            let name = format!("Round {round}");
            for name in ["a", "b", name.as_str()] {
                rename(&there(writer, &user), &project, name).await;
            }
            let mut stream = go_on(&there(reader, &user), "", &last_id).await;
            // One is left to the next process.
            for _ in 0..if round == 5 { 8 } else { 2 } {
                all.push(stream.event().await);
            }
            last_id = stream.last_id;
        }
        let expected: Vec<_> = feed(&user, &begun, "").await.into_iter().map(|(_, event)| event).collect();
        assert_eq!(all, expected);
    }

    async fn what_another_process_commits_is_found_without_being_told_too(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        let user = one.user().await;
        let project = user.project().await;
        let mut stream = there(&other, &user).call(Method::GET, STREAM).follow().await;
        rename(&user, &project, "Found").await;
        told_until(&mut stream, "Found").await;
    }
}
