//! Announcement of revoked credentials between processes.

use pocket_tasks::contract::SessionId;
use pocket_tasks::repositories::{Revocation, Store as _};

use super::fixtures::{at, commit, session, soon, user, waits};
use super::raw::Raw;
use crate::support::databases::{postgres, sqlite};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_is_announced_with_its_commit_on_postgres() {
    let Some(database) = postgres().await else { return };
    let (store, other) = (database.store().await, database.another_store().await);
    let ada = user(&store).await;
    let sessions = [session(&store, &ada).await.id, session(&store, &ada).await.id, session(&store, &ada).await.id];
    assert_eq!(soon(other.next_revocation()).await, Revocation::Missed, "those before it listened");

    let transaction = store.begin().await.unwrap();
    assert!(transaction.sessions().end(sessions[0], at(9)).await.unwrap());
    drop(transaction);
    let end = async |id: SessionId| {
        commit(&store, async |transaction| transaction.sessions().end(id, at(9)).await.unwrap()).await
    };
    assert!(end(sessions[1]).await);
    assert_eq!(soon(other.next_revocation()).await, Revocation::Sessions(vec![sessions[1]]), "only what was committed");
    // Ending it again is no revocation.
    assert!(!end(sessions[1]).await);
    let mut ended =
        commit(&store, async |transaction| transaction.sessions().end_all(ada.id, None, at(9)).await.unwrap()).await;
    ended.sort_unstable_by_key(|id| id.0);
    match soon(other.next_revocation()).await {
        Revocation::Sessions(mut announced) => {
            announced.sort_unstable_by_key(|id| id.0);
            assert_eq!(announced, ended);
        }
        announced => panic!("{announced:?}"),
    }

    let mut raw = Raw::connect(&database).await;
    let cut = "SELECT pg_terminate_backend(pid)::text AS cut FROM pg_stat_activity \
               WHERE datname = current_database() AND query ILIKE 'LISTEN%revocations%'";
    assert_eq!(raw.texts(cut, "cut").await, ["true"], "only the process that waits listens");
    assert_eq!(soon(other.next_revocation()).await, Revocation::Missed);
    let last = session(&store, &ada).await.id;
    assert!(end(last).await);
    assert_eq!(soon(other.next_revocation()).await, Revocation::Sessions(vec![last]));
    drop(raw);
    database.remove().await;
}

#[tokio::test]
async fn nothing_is_announced_on_sqlite() {
    let database = sqlite().await;
    let store = database.store().await;
    let ada = user(&store).await;
    let id = session(&store, &ada).await.id;
    let mut next = store.next_revocation();
    assert!(commit(&store, async |transaction| transaction.sessions().end(id, at(9)).await.unwrap()).await);
    waits(&mut next).await;
    drop(next);
    database.remove().await;
}
