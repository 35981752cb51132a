//! Readiness: whether the database is the one that was opened, undamaged, and accepts writes.

use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pocket_tasks::contract::page::{Direction, Paging, Sort};
use pocket_tasks::contract::task::query::TaskSort;
use pocket_tasks::database::SeaStore;
use pocket_tasks::repositories::{Store as _, StoreError, TaskFilter};

use super::fixtures::{TIMEOUT, add_tasks, commit, new_task, new_user, project, soon, user};
use super::raw::Raw;
use crate::on_both_databases;
use crate::support::{POLL_INTERVAL, TestDatabase};

/// Waits until the store reports this readiness.
async fn becomes(store: &SeaStore, ready: bool) {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let check = soon(store.check()).await;
        if check.is_ok() == ready {
            return;
        }
        assert!(Instant::now() < deadline, "{check:?}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Makes the write of the readiness probe fail like on PostgreSQL.
fn failing_probe(code: &str) -> [String; 2] {
    let body = format!("BEGIN RAISE EXCEPTION 'for the test' USING ERRCODE = '{code}'; END");
    [
        format!("CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$"),
        "CREATE OR REPLACE TRIGGER fails BEFORE UPDATE ON storage_probe EXECUTE FUNCTION fail()".to_owned(),
    ]
}

on_both_databases! {
    async fn a_database_that_accepts_writes_is_ready(database: TestDatabase) {
        let store = database.store().await;
        for _ in 0..3 {
            store.check().await.unwrap();
        }
        let written = "SELECT CASE WHEN checked_at > 0 THEN 'written' ELSE 'never' END AS line FROM storage_probe";
        assert_eq!(Raw::connect(&database).await.texts(written, "line").await, ["written"]);
    }

    async fn a_database_in_which_nothing_can_be_written_is_not_ready(database: TestDatabase) {
        let store = database.store().await;
        let mut raw = Raw::connect(&database).await;
        if database.is_postgres() {
            for code in ["53100", "25006", "58030"] {
                for statement in failing_probe(code) {
                    raw.execute(&statement).await;
                }
                becomes(&store, false).await;
                raw.execute("DROP TRIGGER fails ON storage_probe").await;
                becomes(&store, true).await;
            }
        } else {
            raw.execute("BEGIN IMMEDIATE").await;
            becomes(&store, false).await;
            raw.execute("ROLLBACK").await;
            becomes(&store, true).await;
        }
    }
}

fn file_of(database: &TestDatabase) -> PathBuf {
    PathBuf::from(database.url.strip_prefix("sqlite://").unwrap())
}

async fn is_refused(store: &Arc<SeaStore>) {
    for failed in [store.check().await, store.begin().await.map(drop)] {
        assert!(matches!(failed, Err(StoreError::Unavailable(_))), "{failed:?}");
    }
}

#[tokio::test]
async fn a_file_that_was_moved_or_replaced_takes_no_writes_on_sqlite() {
    let database = crate::support::databases::sqlite().await;
    let store = database.store().await;
    let ada = user(&store).await;
    let (file, moved) = (file_of(&database), file_of(&database).with_extension("moved"));
    fs::rename(&file, &moved).unwrap();
    is_refused(&store).await;
    fs::copy(&moved, &file).unwrap();
    is_refused(&store).await;
    // Stored data can still be read.
    assert_eq!(store.read().users().find(ada.id).await.unwrap(), Some(ada.clone()));
    // A newly opened reader does not open the other file.
    let sort = Sort { field: TaskSort::CreatedAt, direction: Direction::Desc };
    let paging = Paging { limit: 20, page: None, offset: None };
    let visible = store.read_unindexed().task_lists().list_visible(ada.id, &TaskFilter::default(), sort, paging).await;
    assert!(matches!(visible, Err(StoreError::Unavailable(_))), "{:?}", visible.map(drop));
    fs::rename(&moved, &file).unwrap();
    store.check().await.unwrap();
    store.read_unindexed().task_lists().list_visible(ada.id, &TaskFilter::default(), sort, paging).await.unwrap();
    let log = file.with_extension("db-wal");
    fs::rename(&log, &moved).unwrap();
    is_refused(&store).await;
    fs::write(&log, "").unwrap();
    is_refused(&store).await;
    fs::rename(&moved, &log).unwrap();
    store.check().await.unwrap();
    let bob = new_user();
    assert!(commit(&store, async |transaction| transaction.users().add(&bob, "a hash").await).await.unwrap());
    database.remove().await;
}

#[tokio::test]
async fn a_damaged_page_is_detected_and_makes_the_store_not_ready_on_sqlite() {
    let database = crate::support::databases::sqlite().await;
    let (ada, project, root) = {
        let store = database.another_store().await;
        let ada = user(&store).await;
        let project = project(&store, &ada).await;
        add_tasks(&store, [&new_task(&project)]).await;
        let root = "SELECT CAST(rootpage AS TEXT) AS page FROM sqlite_master WHERE name = 'tasks'";
        let mut raw = Raw::connect(&database).await;
        let root: u64 = raw.texts(root, "page").await[0].parse().unwrap();
        store.close().await;
        // Otherwise the last connection to close writes the log to the file, possibly over the damage.
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").await;
        (ada, project, root)
    };
    let mut file = fs::OpenOptions::new().write(true).open(file_of(&database)).unwrap();
    file.seek(SeekFrom::Start((root - 1) * 4_096)).unwrap();
    file.write_all(&[0xaa; 4_096]).unwrap();
    drop(file);

    let store = database.another_store().await;
    store.check().await.unwrap();
    let sort = Sort { field: TaskSort::CreatedAt, direction: Direction::Desc };
    let paging = Paging { limit: 20, page: None, offset: None };
    for reader in [store.read(), store.read_unindexed()] {
        let found = reader.task_lists().list_in_project(project.id, ada.id, &TaskFilter::default(), sort, paging).await;
        assert!(matches!(found, Err(StoreError::Damaged(_))), "{:?}", found.map(drop));
    }
    assert!(matches!(store.check().await, Err(StoreError::Damaged(_))));
    // Undamaged data can be read. New writes could be lost with the file.
    assert_eq!(store.read().users().find(ada.id).await.unwrap(), Some(ada));
    assert!(matches!(store.begin().await.map(drop), Err(StoreError::Damaged(_))));
    database.remove().await;
}

#[tokio::test]
async fn a_full_server_is_unavailable_on_postgres() {
    let Some(database) = crate::support::databases::postgres().await else { return };
    let store = database.store().await;
    let owner = user(&store).await;
    let project = project(&store, &owner).await;
    let mut raw = Raw::connect(&database).await;
    for code in ["53100", "53200", "53300", "58030", "25006"] {
        let [function, _] = failing_probe(code);
        raw.execute(&function).await;
        for when in [
            "BEFORE INSERT ON tasks EXECUTE",
            "AFTER INSERT ON tasks DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE",
        ] {
            let kind = if when.starts_with("AFTER") { "CONSTRAINT TRIGGER" } else { "TRIGGER" };
            raw.execute(&format!("CREATE {kind} fails {when} FUNCTION fail()")).await;
            let task = new_task(&project);
            let transaction = store.begin().await.unwrap();
            let failed = match transaction.tasks().add(std::slice::from_ref(&task)).await {
                Ok(()) => transaction.commit().await,
                failed => failed,
            };
            assert!(matches!(failed, Err(StoreError::Unavailable(_))), "{code} {when}: {failed:?}");
            raw.execute("DROP TRIGGER fails ON tasks").await;
            assert!(store.read().tasks().find(task.id, owner.id).await.unwrap().is_none(), "{code} {when}");
            add_tasks(&store, [&task]).await;
            assert!(store.read().tasks().find(task.id, owner.id).await.unwrap().is_some(), "{code} {when}");
        }
    }
    drop(raw);
    database.remove().await;
}

#[tokio::test]
async fn a_transaction_in_which_a_statement_failed_is_not_committed_on_postgres() {
    let Some(database) = crate::support::databases::postgres().await else { return };
    let store = database.store().await;
    let ada = user(&store).await;
    let bob = new_user();
    let transaction = store.begin().await.unwrap();
    assert!(transaction.users().add(&bob, "a hash").await.unwrap());
    let project = super::fixtures::new_project(&ada);
    transaction.projects().add(&project).await.unwrap();
    transaction.projects().add(&project).await.unwrap_err();
    // PostgreSQL itself reports success for this COMMIT.
    let committed = tokio::time::timeout(Duration::from_secs(20), transaction.commit()).await.unwrap();
    assert!(matches!(committed, Err(StoreError::Unavailable(_))), "{committed:?}");
    assert_eq!(store.read().users().find(bob.id).await.unwrap(), None);
    database.remove().await;
}
