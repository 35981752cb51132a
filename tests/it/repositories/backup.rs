//! Backup and restore of the embedded database, and copies of its file.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pocket_tasks::database::{BackupError, SeaStore, Settings, back_up, restore};
use pocket_tasks::repositories::Store as _;
use tempfile::TempDir;
use uuid::Uuid;

use super::comments::{add_comments, new_comment};
use super::fixtures::{add_tasks, commit, new_task, project, user};
use super::raw::Raw;
use super::tasks::full_task;
use super::webhook_plans::new_webhook;
use crate::support::TestDatabase;
use crate::support::databases::sqlite;

fn path(database: &TestDatabase) -> PathBuf {
    database.url.trim_start_matches("sqlite://").into()
}

/// Opens the database in a file.
async fn open(file: &Path) -> SeaStore {
    let url = format!("sqlite://{}", file.display()).into();
    let settings = Settings { url, max_connections: 2, migrate: true, statement_timeout: Duration::from_secs(30) };
    SeaStore::open(&settings).await.unwrap()
}

/// All rows of all tables as text, without the epoch of the feed.
async fn rows(file: &Path) -> Vec<String> {
    let mut raw = Raw::open(file).await;
    let columns = "SELECT t.name || '.' || c.name AS name FROM sqlite_schema t JOIN pragma_table_info(t.name) c \
                   WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' ORDER BY t.name, c.cid";
    let mut all = Vec::new();
    for place in raw.texts(columns, "name").await {
        let (table, column) = place.split_once('.').unwrap();
        if ["event_sequence.epoch", "event_sequence.file_id"].contains(&&*place) {
            continue;
        }
        let values = format!("SELECT '{place}=' || quote(\"{column}\") AS line FROM \"{table}\" ORDER BY 1");
        all.extend(raw.texts(&values, "line").await);
    }
    all
}

async fn execute(file: &Path, sql: &str) {
    Raw::open(file).await.execute(sql).await;
}

async fn epoch(store: &SeaStore) -> Option<Uuid> {
    store.read().events().bounds().await.unwrap().epoch
}

/// Files in a folder.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Creates a database with rows in several tables.
async fn filled() -> (TestDatabase, Arc<SeaStore>) {
    let database = sqlite().await;
    let store = database.store().await;
    let (ada, bob) = (user(&store).await, user(&store).await);
    let project = project(&store, &ada).await;
    let task = full_task(&project, bob.id);
    add_tasks(&store, [&task]).await;
    add_comments(&store, &[new_comment(&task, &bob)]).await;
    commit(&store, async |transaction| transaction.webhooks().add(&new_webhook(&ada)).await).await.unwrap();
    (database, store)
}

/// A backup of a database, beside which other files can be created.
async fn new_backup() -> (TempDir, PathBuf) {
    let (database, store) = filled().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup.db");
    back_up(&path(&database), &file, false).await.unwrap();
    store.close().await;
    (folder, file)
}

#[tokio::test]
async fn a_restored_backup_has_all_rows_and_another_epoch() {
    let (database, store) = filled().await;
    let (live, folder) = (path(&database), tempfile::tempdir().unwrap());
    let backup = folder.path().join("backup.db");
    let bytes = back_up(&live, &backup, false).await.unwrap();
    let metadata = fs::metadata(&backup).unwrap();
    assert_eq!((metadata.len(), metadata.permissions().mode() & 0o777), (bytes, 0o600));
    let saved = rows(&live).await;
    assert!(saved.len() > 100 && saved.iter().any(|row| row.starts_with("comments.body=")), "{saved:#?}");
    assert_eq!(rows(&backup).await, saved);
    assert_eq!(names(folder.path()), ["backup.db"]);
    assert!(matches!(back_up(&live, &backup, false).await, Err(BackupError::Exists(_))));
    back_up(&live, &backup, true).await.unwrap();

    user(&store).await;
    assert_ne!(rows(&live).await, saved);
    assert!(matches!(restore(&live, &backup, true).await, Err(BackupError::InUse(_))), "a server is running");
    let before = epoch(&store).await;
    store.close().await;
    assert!(matches!(restore(&live, &backup, false).await, Err(BackupError::Exists(_))));
    restore(&live, &backup, true).await.unwrap();
    assert_eq!(names(live.parent().unwrap()), ["test.db", "test.db.lock"]);
    assert_eq!(fs::metadata(&live).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(rows(&live).await, saved);

    let store = open(&live).await;
    let renewed = epoch(&store).await;
    assert!(before.is_none() && renewed.is_some());
    store.renew_feed_epoch_of_copy().await.unwrap();
    assert_eq!(epoch(&store).await, renewed, "the epoch is renewed once");
    user(&store).await;
    store.close().await;
    restore(&live, &backup, true).await.unwrap();
    let store = open(&live).await;
    assert_ne!(epoch(&store).await, renewed, "each restore has an epoch of its own");
    store.close().await;
}

#[tokio::test]
async fn a_backup_is_consistent_while_others_write() {
    let (database, store) = filled().await;
    let ada = user(&store).await;
    let project = project(&store, &ada).await;
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("backup.db");
    let is_done = Cell::new(false);
    let writing = async {
        let mut count = 0;
        // Each transaction adds a task and counts it.
        while count == 0 || !is_done.get() {
            add_tasks(&store, [&new_task(&project)]).await;
            count += 1;
        }
    };
    let backing_up = async {
        back_up(&path(&database), &backup, false).await.unwrap();
        is_done.set(true);
    };
    tokio::join!(writing, backing_up);
    let mut raw = Raw::open(&backup).await;
    let counts = "SELECT 'one' AS line FROM projects WHERE task_total <> \
                  (SELECT count(*) FROM tasks WHERE tasks.project_id = projects.id AND deleted_at IS NULL)";
    assert_eq!(raw.texts(counts, "line").await, [""; 0], "projects with a wrong count");
    store.close().await;
}

#[tokio::test]
async fn restore_refuses_files_that_are_no_intact_backup() {
    let (folder, backup) = new_backup().await;
    let target = folder.path().join("new/pocket-tasks.db");
    let other = folder.path().join("other.db");
    fs::create_dir(target.parent().unwrap()).unwrap();
    let refused = async |file: &Path, reason: &str| {
        let error = restore(&target, file, false).await.unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        let left = names(target.parent().unwrap());
        assert!(left.iter().all(|name| Path::new(name).extension() == Some("lock".as_ref())), "{left:?}");
    };
    refused(&other, "does not exist").await;
    fs::write(&other, "CREATE TABLE tasks;\n".repeat(1_000)).unwrap();
    refused(&other, "not a Pocket Tasks database").await;
    fs::write(&other, "").unwrap();
    refused(&other, "not a Pocket Tasks database").await;
    execute(&other, "CREATE TABLE tasks (id)").await;
    refused(&other, "not a Pocket Tasks database").await;
    let intact = fs::read(&backup).unwrap();
    fs::write(&other, &intact[..intact.len() / 2]).unwrap();
    refused(&other, "not a Pocket Tasks database").await;
    fs::write(&other, &intact).unwrap();
    execute(&other, "INSERT INTO seaql_migrations VALUES ('m9999_future', 0)").await;
    refused(&other, "m9999_future").await;
    refused(&target, "does not exist").await;
    restore(&target, &backup, false).await.unwrap();
    assert_eq!(rows(&target).await, rows(&backup).await);
    assert!(matches!(restore(&target, &target, true).await, Err(BackupError::InUse(_))));
}

#[tokio::test]
async fn the_log_of_a_replaced_database_is_not_applied_to_the_new_one() {
    let (_folder, backup) = new_backup().await;
    let (database, store) = filled().await;
    for _ in 0..20 {
        user(&store).await;
    }
    // The files as a crash leaves them.
    let crashed = tempfile::tempdir().unwrap();
    let target = crashed.path().join("pocket-tasks.db");
    for suffix in ["", "-wal"] {
        fs::copy(format!("{}{suffix}", path(&database).display()), format!("{}{suffix}", target.display())).unwrap();
    }
    store.close().await;
    assert!(fs::metadata(crashed.path().join("pocket-tasks.db-wal")).unwrap().len() > 0);
    restore(&target, &backup, true).await.unwrap();
    assert_eq!(rows(&target).await, rows(&backup).await);
    // A damaged database is replaced, too.
    fs::write(&target, "no database").unwrap();
    fs::write(crashed.path().join("pocket-tasks.db-wal"), "no log").unwrap();
    restore(&target, &backup, true).await.unwrap();
    assert_eq!(names(crashed.path()), ["pocket-tasks.db", "pocket-tasks.db.lock"]);
    assert_eq!(rows(&target).await, rows(&backup).await);
}

#[tokio::test]
async fn a_backup_of_an_earlier_schema_is_migrated() {
    let (folder, backup) = new_backup().await;
    let store = open(&backup).await;
    store.roll_back(Some(4)).await.unwrap();
    store.close().await;
    let columns = "SELECT name FROM pragma_table_info('event_sequence') ORDER BY cid";
    let columns = Raw::open(&backup).await.texts(columns, "name").await;
    assert_eq!(columns, ["id", "sequence", "pruned_through"], "the schema has no epoch");
    // The file is a backup itself.
    execute(&backup, "PRAGMA user_version = 0").await;
    let (again, target) = (folder.path().join("again.db"), folder.path().join("target.db"));
    back_up(&backup, &again, false).await.unwrap();
    restore(&target, &again, false).await.unwrap();
    let store = open(&target).await;
    store.check().await.unwrap();
    assert!(epoch(&store).await.is_some());
    store.close().await;
    // Copied by hand, the backup is known as a copy, too.
    let store = open(&again).await;
    store.renew_feed_epoch_of_copy().await.unwrap();
    assert!(epoch(&store).await.is_some());
    store.close().await;
}

#[tokio::test]
async fn the_first_start_on_a_copy_renews_the_epoch() {
    let (database, store) = filled().await;
    let live = path(&database);
    for _ in 0..2 {
        store.renew_feed_epoch_of_copy().await.unwrap();
        assert_eq!(epoch(&store).await, None, "it is no copy");
    }
    let folder = tempfile::tempdir_in(live.parent().unwrap()).unwrap();
    let (moved, copied) = (folder.path().join("moved.db"), folder.path().join("copied.db"));
    back_up(&live, &copied, false).await.unwrap();
    store.close().await;
    let served = async |file: &Path| {
        let store = open(file).await;
        store.renew_feed_epoch_of_copy().await.unwrap();
        let epoch = epoch(&store).await;
        store.close().await;
        epoch
    };
    fs::rename(&live, &moved).unwrap();
    assert_eq!(served(&moved).await, None, "a file that was moved is no copy");
    fs::copy(&moved, &live).unwrap();
    let of_copy = served(&live).await;
    assert!(of_copy.is_some());
    assert_eq!(served(&live).await, of_copy, "the epoch is renewed once");
    // A backup is known as a copy even where it overwrites the file, whose inode stays the same.
    let bytes = fs::read(&copied).unwrap();
    fs::write(&live, &bytes).unwrap();
    let of_backup = served(&live).await;
    assert!(of_backup.is_some() && of_backup != of_copy);
    fs::write(&live, &bytes).unwrap();
    assert_ne!(served(&live).await, of_backup);
}

#[tokio::test]
async fn the_space_of_removed_rows_is_released() {
    let database = sqlite().await;
    let store = database.store().await;
    let filler = path(&database);
    execute(&filler, "CREATE TABLE filler (content)").await;
    let insert = "INSERT INTO filler SELECT zeroblob(4000) FROM generate";
    let numbers = "WITH RECURSIVE generate(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM generate WHERE x < 3000)";
    execute(&filler, &format!("{numbers} {insert}")).await;
    let count_pages = async || {
        let mut raw = Raw::open(&filler).await;
        let count = "SELECT page_count || '' AS line FROM pragma_page_count";
        raw.texts(count, "line").await[0].parse::<i64>().unwrap()
    };
    let full = count_pages().await;
    assert!(!store.release_free_pages().await.unwrap());
    execute(&filler, "DELETE FROM filler").await;
    let mut portions = 1;
    while store.release_free_pages().await.unwrap() {
        portions += 1;
    }
    let left = count_pages().await;
    assert!((4..20).contains(&portions) && left < full / 4, "{full} pages, {left} after {portions} portions");
    user(&store).await;
    store.close().await;
}
