//! Opening a new database concurrently with other processes.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use pocket_tasks::database::{SeaStore, Settings, wait_for_server};
use secrecy::SecretString;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, SqliteConnection};
use tokio::net::{TcpListener, TcpStream};

use super::fixtures::{soon, user, waits};
use super::raw::Raw;
use super::schema::{Empty, applied};
use crate::on_both_databases;
use crate::support::databases::{postgres_without_schema, sqlite_without_schema};

/// Opens or creates the file of a SQLite database, like a process that has not configured it yet.
async fn fresh_file(url: &str) -> SqliteConnection {
    let options: SqliteConnectOptions = url.parse().unwrap();
    fs::create_dir_all(options.get_filename().parent().unwrap()).unwrap();
    options.create_if_missing(true).connect().await.unwrap()
}

on_both_databases! {
    async fn six_concurrent_starts_on_an_empty_database_all_succeed(empty: Empty) {
        let empty = Arc::new(empty);
        let opening: Vec<_> = (0..6)
            .map(|_| {
                let empty = Arc::clone(&empty);
                tokio::spawn(async move { empty.open(true).await })
            })
            .collect();
        let mut stores = Vec::new();
        for store in opening {
            stores.push(soon(store).await.unwrap().unwrap());
        }
        for store in &stores {
            assert!(applied(store).await.iter().all(|applied| *applied));
            user(store).await;
        }
        let mut raw = Raw::connect(&empty.0).await;
        let versions = raw.texts("SELECT version FROM seaql_migrations", "version").await;
        assert_eq!(versions.len(), applied(&stores[0]).await.len(), "{versions:?}");
        drop(raw);
        for store in stores {
            store.close().await;
        }
        empty.0.clone().remove().await;
    }
}

#[tokio::test]
async fn a_migration_may_take_longer_than_a_request_on_postgres() {
    let Some(database) = postgres_without_schema().await else { return };
    let mut other = Raw::connect(&database).await;
    // Simulates a migrating process.
    other.execute("SELECT pg_advisory_lock(8101803567577592939)").await;
    let hasty = Duration::from_millis(50);
    let url = database.url.as_str().into();
    let settings = Settings { url, max_connections: 2, migrate: true, statement_timeout: hasty };
    let mut opening = Box::pin(SeaStore::open(&settings));
    waits(&mut opening).await;
    other.execute("SELECT pg_advisory_unlock_all()").await;
    let store = soon(opening).await.unwrap();
    assert!(applied(&store).await.iter().all(|applied| *applied));
    store.close().await;
    drop(other);
    database.remove().await;
}

/// URL of the same database through another address, or of another database.
fn url_with(url: &str, address: Option<&str>, name: Option<&str>) -> SecretString {
    let (server, old_name) = url.rsplit_once('/').unwrap();
    let (user, old_address) = server.rsplit_once('@').unwrap();
    format!("{user}@{}/{}", address.unwrap_or(old_address), name.unwrap_or(old_name)).into()
}

#[tokio::test]
async fn a_start_waits_for_postgres_and_names_the_cause_when_it_ends() {
    let Some(database) = postgres_without_schema().await else { return };
    // A port at which the server will be found later.
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = port.local_addr().unwrap().to_string();
    drop(port);
    let away = url_with(&database.url, Some(&address), None);
    let error = wait_for_server(&away, Duration::ZERO).await.unwrap_err();
    let error = std::error::Error::source(&error).unwrap().to_string();
    assert!(error.contains("within 0 s") && error.contains("Connection refused"), "{error}");

    let limit = Duration::from_mins(1);
    let mut waiting = Box::pin(wait_for_server(&away, limit));
    waits(&mut waiting).await;
    let port = TcpListener::bind(&address).await.unwrap();
    let server = database.url.split(['@', '/']).nth(3).unwrap().to_owned();
    let forwarding = tokio::spawn(async move {
        loop {
            let (mut client, _) = port.accept().await.unwrap();
            let mut server = TcpStream::connect(&server).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        }
    });
    soon(waiting).await.unwrap();
    forwarding.abort();

    // Waiting would not help.
    let missing = url_with(&database.url, None, Some("missing"));
    let error = soon(wait_for_server(&missing, limit)).await.unwrap_err();
    let error = std::error::Error::source(&error).unwrap().to_string();
    assert!(error.contains("refused") && error.contains("does not exist"), "{error}");
    database.remove().await;
}

#[tokio::test]
async fn the_folder_of_a_new_file_is_created_where_the_database_expects_it() {
    let home = tempfile::tempdir().unwrap();
    for (written, meant) in [("of%20data", "of data"), ("50%25", "50%"), ("what%3F", "what?"), ("#1", "#1")] {
        let url = format!("sqlite://{}/{written}/x.db", home.path().display());
        let settings =
            Settings { url: url.into(), max_connections: 2, migrate: true, statement_timeout: Duration::from_secs(30) };
        let store = SeaStore::open(&settings).await.unwrap();
        store.close().await;
        assert!(home.path().join(meant).join("x.db").exists(), "{written}");
    }
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 4);
}

#[tokio::test]
async fn opening_waits_for_a_process_that_writes_to_a_new_file() {
    let empty = Empty(sqlite_without_schema());
    let mut other = Raw::Sqlite(fresh_file(&empty.0.url).await);
    other.execute("BEGIN IMMEDIATE").await;
    let mut opening = Box::pin(empty.open(true));
    waits(&mut opening).await;
    other.execute("COMMIT").await;
    let store = soon(opening).await.unwrap();
    user(&store).await;
    let mode = other.texts("PRAGMA journal_mode", "journal_mode").await;
    assert_eq!(mode, ["wal"], "readers wait for writers");
    store.close().await;
}
