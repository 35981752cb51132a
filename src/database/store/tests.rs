//! Tests of the guarantees of transactions on SQLite.

use sea_orm::ConnectionTrait as _;
use sqlx::{Connection as _, Row as _, SqliteConnection};
use tempfile::TempDir;

use super::*;
use crate::contract::Timestamp;
use crate::contract::event::EventType;
use crate::contract::ids::new_uuid;
use crate::contract::{EventId, ProjectId};
use crate::database::{SeaStore, Settings};
use crate::repositories::NewEvent;

async fn store() -> (SeaStore, SqliteConnection, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/test.db", folder.path().display());
    let settings = Settings {
        url: url.as_str().into(),
        max_connections: 2,
        migrate: true,
        statement_timeout: std::time::Duration::from_secs(30),
    };
    let store = SeaStore::open(&settings).await.unwrap();
    (store, SqliteConnection::connect(&url).await.unwrap(), folder)
}

fn event(length: usize) -> NewEvent {
    NewEvent {
        id: EventId(new_uuid()),
        kind: EventType::TaskUpdated,
        project_id: ProjectId::generate(),
        actor_id: None,
        occurred_at: Timestamp::now(),
        data: "x".repeat(length),
        previous: None,
        request_id: None,
    }
}

/// Three statements, each of which needs new pages, and the commit.
async fn write(store: &SeaStore) -> Result<Vec<EventId>, StoreError> {
    let transaction = store.begin().await?;
    let events: Vec<_> = (0..3).map(|_| event(9_000)).collect();
    for event in &events {
        transaction.events().append(std::slice::from_ref(event)).await?;
    }
    transaction.commit().await?;
    Ok(events.into_iter().map(|event| event.id).collect())
}

async fn stored(reader: &mut SqliteConnection) -> Vec<EventId> {
    let rows = sqlx::query("SELECT id FROM events ORDER BY sequence").fetch_all(reader).await.unwrap();
    rows.iter().map(|row| EventId(row.get("id"))).collect()
}

/// Limits the size of the file.
async fn limit_pages(store: &SeaStore, pages: i64) {
    let transaction = store.open_transaction().await.unwrap();
    transaction.execute_unprepared(&format!("PRAGMA max_page_count = {pages}")).await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_full_at_any_statement_loses_no_acknowledged_write() {
    let (store, mut reader, _folder) = store().await;
    let mut acknowledged = Vec::new();
    let mut failures = 0;
    for free_pages in 0..12 {
        let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut reader).await.unwrap();
        limit_pages(&store, pages + free_pages).await;
        match write(&store).await {
            Ok(events) => acknowledged.extend(events),
            Err(StoreError::Unavailable(_)) => failures += 1,
            Err(error) => panic!("{error:?}"),
        }
        assert_eq!(stored(&mut reader).await, acknowledged, "{free_pages} free pages");
        limit_pages(&store, 1_073_741_823).await;
        acknowledged.extend(write(&store).await.unwrap());
        assert_eq!(stored(&mut reader).await, acknowledged, "after {free_pages} free pages");
    }
    assert!((2..12).contains(&failures), "{failures}");
    store.close().await;
}

#[tokio::test]
async fn a_transaction_in_which_a_statement_failed_is_not_committed() {
    let (store, mut reader, _folder) = store().await;
    let transaction = store.begin().await.unwrap();
    let first = event(10);
    transaction.events().append(std::slice::from_ref(&first)).await.unwrap();
    transaction.events().append(&[first]).await.unwrap_err();
    // Neither later statements nor the commit happen, regardless of the driver.
    transaction.events().append(&[event(10)]).await.unwrap_err();
    assert!(matches!(transaction.commit().await, Err(StoreError::Unavailable(_))));
    assert_eq!(stored(&mut reader).await, []);
    let acknowledged = write(&store).await.unwrap();
    assert_eq!(stored(&mut reader).await, acknowledged);
    store.close().await;
}

#[tokio::test]
async fn a_transaction_that_sqlite_rolled_back_is_not_acknowledged() {
    let (store, mut reader, _folder) = store().await;
    let transaction = store.open_transaction().await.unwrap();
    transaction.execute_unprepared("ROLLBACK").await.unwrap();
    assert!(transaction.execute_unprepared("DELETE FROM events").await.is_err());
    assert!(transaction.commit().await.is_err());
    let transaction = store.open_transaction().await.unwrap();
    transaction.execute_unprepared("ROLLBACK").await.unwrap();
    transaction.execute_unprepared("BEGIN").await.unwrap_err();
    assert!(transaction.commit().await.is_err());
    let acknowledged = write(&store).await.unwrap();
    assert_eq!(stored(&mut reader).await, acknowledged);
    store.close().await;
}

/// Inserts a number into the table `numbers`.
async fn insert(transaction: &GuardedTransaction, number: i64) {
    transaction.execute_unprepared(&format!("INSERT INTO numbers VALUES ({number})")).await.unwrap();
}

async fn numbers(reader: &mut SqliteConnection) -> Vec<i64> {
    sqlx::query_scalar("SELECT number FROM numbers ORDER BY number").fetch_all(reader).await.unwrap()
}

#[tokio::test]
async fn transactions_that_wait_are_committed_together_and_each_is_rolled_back_alone() {
    let (store, mut reader, _folder) = store().await;
    let first = store.open_transaction().await.unwrap();
    first.execute_unprepared("CREATE TABLE numbers (number INTEGER)").await.unwrap();
    first.commit().await.unwrap();

    let first = store.open_transaction().await.unwrap();
    insert(&first, 1).await;
    let mut waiting = [(); 3].map(|()| Box::pin(store.open_transaction()));
    for transaction in &mut waiting {
        assert!(futures_util::poll!(transaction).is_pending());
    }
    let [second, third, fourth] = waiting;
    let mut first = Box::pin(first.commit());
    assert!(futures_util::poll!(&mut first).is_pending());

    let second = second.await.unwrap();
    insert(&second, 2).await;
    let mut second = Box::pin(second.commit());
    assert!(futures_util::poll!(&mut second).is_pending());
    let third = third.await.unwrap();
    insert(&third, 3).await;
    drop(third);
    let fourth = fourth.await.unwrap();
    insert(&fourth, 4).await;
    assert_eq!(numbers(&mut reader).await, [0; 0], "not all of the group have ended");
    fourth.commit().await.unwrap();
    assert_eq!(numbers(&mut reader).await, [1, 2, 4]);
    first.await.unwrap();
    second.await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_group_that_sqlite_rolled_back_is_not_acknowledged() {
    let (store, mut reader, _folder) = store().await;
    let first = store.open_transaction().await.unwrap();
    first.execute_unprepared("CREATE TABLE numbers (number INTEGER)").await.unwrap();
    let mut second = Box::pin(store.open_transaction());
    assert!(futures_util::poll!(&mut second).is_pending());
    let mut first = Box::pin(first.commit());
    assert!(futures_util::poll!(&mut first).is_pending());
    let second = second.await.unwrap();
    // As SQLite does by itself when the disk is full.
    second.execute_unprepared("ROLLBACK").await.unwrap();
    for committed in [second.commit().await, first.await] {
        let error = StoreError::from(committed.unwrap_err());
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    }
    let acknowledged = write(&store).await.unwrap();
    assert_eq!(stored(&mut reader).await, acknowledged);
    store.close().await;
}

#[tokio::test]
async fn a_transaction_that_changes_nothing_ends_after_the_commit_of_what_it_has_read() {
    let (store, mut reader, _folder) = store().await;
    let first = store.open_transaction().await.unwrap();
    first.execute_unprepared("CREATE TABLE numbers (number INTEGER)").await.unwrap();
    insert(&first, 1).await;
    let mut second = Box::pin(store.open_transaction());
    assert!(futures_util::poll!(&mut second).is_pending());
    let mut first = Box::pin(first.commit());
    assert!(futures_util::poll!(&mut first).is_pending());
    second.await.unwrap().discard().await.unwrap();
    assert_eq!(numbers(&mut reader).await, [1]);
    first.await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_transaction_whose_caller_left_while_it_waited_is_rolled_back() {
    let (store, mut other, _folder) = store().await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let mut waiting = Box::pin(store.open_transaction());
    assert!(futures_util::poll!(&mut waiting).is_pending());
    drop(waiting);
    sqlx::query("COMMIT").execute(&mut other).await.unwrap();
    // It may get the lock first, and then must give it back.
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    sqlx::query("COMMIT").execute(&mut other).await.unwrap();
    let acknowledged = write(&store).await.unwrap();
    assert_eq!(stored(&mut other).await, acknowledged);
    store.close().await;
}

#[tokio::test]
async fn a_file_that_another_process_writes_to_is_waited_for() {
    let (store, mut other, _folder) = store().await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let mut waiting = Box::pin(write(&store));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    sqlx::query("COMMIT").execute(&mut other).await.unwrap();
    let acknowledged = waiting.await.unwrap();
    assert_eq!(stored(&mut other).await, acknowledged);
    store.close().await;
}
