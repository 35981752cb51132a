//! Migrations of a database that holds data.

use std::time::Duration;

use pocket_tasks::contract::task::Task;
use pocket_tasks::database::SeaStore;
use pocket_tasks::repositories::{PreviousSecret, Store as _};
use tokio::time::sleep;

use super::comments::{add_comments, new_comment};
use super::fixtures::{add_tasks, at, commit, project, soon, user};
use super::invitations::{add, new_invitation};
use super::raw::Raw;
use super::schema::{Empty, applied};
use super::tasks::full_task;
use super::webhook_plans::new_webhook;
use crate::on_both_databases;
use crate::support::TestDatabase;
use crate::support::databases::postgres;

/// The tables with an id, in the order of the migrations that create them.
const TABLES: [(&str, &[&str]); 13] = [
    ("m0001", &["users", "sessions", "api_tokens"]),
    ("m0002", &["projects", "invitations"]),
    ("m0003", &["tasks", "comments"]),
    ("m0004", &["event_sequence", "events"]),
    ("m0005", &["webhooks", "previous_secrets", "deliveries", "webhook_fan_out"]),
    ("m0006", &["jobs", "storage_probe"]),
    ("m0007", &["audit_entries"]),
    ("m0008", &[]),
    ("m0009", &[]),
    ("m0010", &[]),
    ("m0011", &[]),
    ("m0013", &[]),
    ("m0014", &[]),
];

/// The rows of a table, with the columns that are not null, as text: later migrations add nullable columns.
async fn rows(database: &TestDatabase, table: &str) -> Vec<String> {
    let mut raw = Raw::connect(database).await;
    let sql = if database.is_postgres() {
        format!("SELECT json_strip_nulls(row_to_json({table}))::text AS line FROM {table} ORDER BY id")
    } else {
        let names = format!("SELECT name FROM pragma_table_info('{table}')");
        let columns: Vec<String> = raw
            .texts(&names, "name")
            .await
            .iter()
            .map(|name| format!("coalesce('{name}=' || nullif(quote({name}), 'NULL') || ', ', '')"))
            .collect();
        format!("SELECT {} AS line FROM {table} ORDER BY id", columns.join(" || "))
    };
    raw.texts(&sql, "line").await
}

/// Number of migrations from one on.
async fn back_to(store: &SeaStore, first: &str) -> u32 {
    let later = store.migrations().await.unwrap().into_iter().filter(|migration| migration.name.as_str() >= first);
    u32::try_from(later.count()).unwrap()
}

/// The rows of the tables that the first migrations create.
async fn rows_of_first(database: &TestDatabase, migrations: usize) -> Vec<(&'static str, Vec<String>)> {
    let mut all = Vec::new();
    for table in TABLES[..migrations].iter().flat_map(|(_, tables)| *tables) {
        all.push((*table, rows(database, table).await));
    }
    all
}

on_both_databases! {
    async fn rolling_back_a_migration_keeps_the_data_of_earlier_ones(database: TestDatabase) {
        let store = database.store().await;
        let (ada, bob) = (user(&store).await, user(&store).await);
        let project = project(&store, &ada).await;
        let task = full_task(&project, bob.id);
        add_tasks(&store, [&task]).await;
        let (comment, invitation) = (new_comment(&task, &bob), new_invitation(&project, &ada, "grace@example.com"));
        add_comments(&store, std::slice::from_ref(&comment)).await;
        assert!(add(&store, &invitation).await);
        let webhook = new_webhook(&ada);
        let secret = PreviousSecret { secret: b"one".to_vec(), until: at(500) };
        commit(&store, async |transaction| {
            transaction.webhooks().add(&webhook).await.unwrap();
            transaction.webhooks().replace_secret(webhook.webhook.id, b"two", Some(&secret), at(9)).await.unwrap();
        })
        .await;
        let names = store.migrations().await.unwrap();
        for (migration, (name, _)) in names.iter().zip(TABLES) {
            assert!(migration.name.starts_with(name), "{migration:?}");
        }
        assert_eq!(names.len(), TABLES.len());
        let before = rows_of_first(&database, TABLES.len()).await;
        let schema = Empty(database.clone()).schema().await;

        for left in (0..TABLES.len()).rev() {
            store.roll_back(Some(1)).await.unwrap();
            let kept = rows_of_first(&database, left).await;
            assert_eq!(kept, before[..kept.len()], "{left} migrations are left");
            let schema = Empty(database.clone()).schema().await;
            for table in TABLES[left..].iter().flat_map(|(_, tables)| *tables) {
                let starts = [format!("CREATE TABLE \"{table}\""), format!("{table} ")];
                assert!(!schema.iter().any(|line| starts.iter().any(|start| line.starts_with(start))), "{table} is left");
            }
        }

        store.migrate().await.unwrap();
        assert_eq!(Empty(database.clone()).schema().await, schema);
    }

    async fn text_stored_by_earlier_versions_is_folded(database: TestDatabase) {
        let store = database.store().await;
        let (ada, bob) = (user(&store).await, user(&store).await);
        let project = project(&store, &ada).await;
        let task = full_task(&project, bob.id);
        add_tasks(&store, [&task]).await;
        store.roll_back(Some(back_to(&store, "m0008").await)).await.unwrap();
        let mut raw = Raw::connect(&database).await;
        raw.execute("UPDATE tasks SET title = 'Straße', title_key = 'straße', search_text = 'straße', \
                     description = NULL, labels = ',cafe\u{301},caf\u{e9},tea,'").await;
        raw.execute("UPDATE projects SET name = 'İstanbul', name_key = 'i\u{307}stanbul', search_text = 'i\u{307}stanbul'").await;
        store.migrate().await.unwrap();
        for (sql, expected) in [
            ("SELECT title_key AS text FROM tasks", "strasse"),
            ("SELECT search_text AS text FROM tasks", "strasse"),
            ("SELECT labels AS text FROM tasks", ",caf\u{e9},tea,"),
            ("SELECT name_key AS text FROM projects", "istanbul"),
        ] {
            assert_eq!(raw.texts(sql, "text").await, [expected], "{sql}");
        }
        assert!(raw.texts("SELECT search_text AS text FROM projects", "text").await[0].starts_with("istanbul"));
    }

    async fn reapplied_migrations_accept_the_data_that_was_rolled_back(database: TestDatabase) {
        let store = database.store().await;
        let (ada, bob) = (user(&store).await, user(&store).await);
        let project = project(&store, &ada).await;
        let task = Task { created_by: Some(bob.id), ..full_task(&project, bob.id) };
        store.roll_back(Some(back_to(&store, "m0003").await)).await.unwrap();
        store.migrate().await.unwrap();

        add_tasks(&store, [&task]).await;
        let comment = new_comment(&task, &bob);
        add_comments(&store, std::slice::from_ref(&comment)).await;
        let found = store.read().comments().find(comment.id, ada.id).await.unwrap().unwrap();
        assert_eq!(found.comment, comment);
        commit(&store, async |transaction| transaction.maintenance().purge_user(bob.id).await).await.unwrap();
        let left = store.read().tasks().find(task.id, ada.id).await.unwrap().unwrap().task;
        assert_eq!((left.created_by, left.assignee_id), (None, None));
        commit(&store, async |transaction| transaction.maintenance().purge_project(project.id).await).await.unwrap();
        assert_eq!(rows(&database, "tasks").await, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_yields_to_a_request_that_holds_locks_on_postgres() {
    let Some(database) = postgres().await else { return };
    let store = database.store().await;
    user(&store).await;
    store.roll_back(Some(back_to(&store, "m0010").await)).await.unwrap();
    let mut request = Raw::connect(&database).await;
    request.execute("BEGIN").await;
    request.execute("SELECT id FROM users FOR NO KEY UPDATE").await;
    let finish = async {
        // In the meantime, the migration locks the feed and waits for the accounts.
        sleep(Duration::from_millis(100)).await;
        request.execute("UPDATE event_sequence SET sequence = sequence + 1").await;
        request.execute("COMMIT").await;
    };
    let (migrated, ()) = soon(async { tokio::join!(store.migrate(), finish) }).await;
    migrated.unwrap();
    assert!(applied(&store).await.iter().all(|is_applied| *is_applied));
    database.remove().await;
}
