//! Tests of the guarantees of transactions on SQLite.

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

#[tokio::test]
async fn a_file_that_is_full_at_any_statement_loses_no_acknowledged_write() {
    let (store, mut reader, _folder) = store().await;
    let mut acknowledged = Vec::new();
    let mut failures = 0;
    for free_pages in 0..12 {
        let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut reader).await.unwrap();
        let limit = format!("PRAGMA max_page_count = {}", pages + free_pages);
        store.writer.execute_unprepared(&limit).await.unwrap();
        match write(&store).await {
            Ok(events) => acknowledged.extend(events),
            Err(StoreError::Unavailable(_)) => failures += 1,
            Err(error) => panic!("{error:?}"),
        }
        assert_eq!(stored(&mut reader).await, acknowledged, "{free_pages} free pages");
        store.writer.execute_unprepared("PRAGMA max_page_count = 1073741823").await.unwrap();
        drop(store.begin().await.unwrap());
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
async fn a_commit_that_ends_no_transaction_is_no_success_and_its_connection_is_replaced() {
    let (store, mut reader, _folder) = store().await;
    let transaction = store.open_transaction().await.unwrap();
    transaction.execute_unprepared("ROLLBACK").await.unwrap();
    transaction.execute_unprepared("BEGIN").await.unwrap();
    assert!(transaction.commit().await.is_err());
    assert!(store.writer_state.as_ref().unwrap().is_condemned());
    let acknowledged = write(&store).await.unwrap();
    assert!(!store.writer_state.as_ref().unwrap().is_condemned(), "another connection was opened");
    assert_eq!(stored(&mut reader).await, acknowledged);
    store.close().await;
}

#[tokio::test]
async fn a_connection_that_is_in_a_transaction_already_is_replaced() {
    let (store, mut reader, _folder) = store().await;
    store.writer.execute_unprepared("BEGIN").await.unwrap();
    assert!(matches!(write(&store).await, Err(StoreError::Unavailable(_))));
    let acknowledged = write(&store).await.unwrap();
    assert_eq!(stored(&mut reader).await, acknowledged);
    store.close().await;
}

#[tokio::test]
async fn a_statement_that_is_abandoned_stops_and_the_next_transaction_writes() {
    const ENDLESS: &str = "CREATE TABLE endless AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) \
                           SELECT count(*) FROM c";
    let (store, mut reader, _folder) = store().await;
    for _ in 0..3 {
        let transaction = store.open_transaction().await.unwrap();
        let endless = transaction.execute_unprepared(ENDLESS);
        tokio::time::timeout(std::time::Duration::from_millis(50), endless).await.unwrap_err();
        drop(transaction);
    }
    let acknowledged = write(&store).await.unwrap();
    assert_eq!(stored(&mut reader).await, acknowledged);
    store.close().await;
}
