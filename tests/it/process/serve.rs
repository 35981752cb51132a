//! Starting servers: first start, restart and concurrent starts.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::json;

use super::http;
use super::program::{Program, Server};
use crate::support::databases::postgres_without_schema;

/// Creates a project with the token and reads it.
fn use_it(server: &Server, token: &str) {
    let name = json!({"name": "Kitchen"});
    let project = http::post(server.address, "/v1/projects", Some(token), &name).expect(201);
    let path = format!("/v1/projects/{}", project["id"].as_str().unwrap());
    assert_eq!(http::get(server.address, &path, Some(token)).expect(200), project);
}

/// Starts four processes on one database concurrently; each must see the changes of the others. Returns how many warn of
/// the others.
fn four_at_once(folder: &Path, variables: &[(&str, &str)]) -> usize {
    let starting = [(); 4].map(|()| Server::starting(folder, variables));
    let servers = starting.map(super::program::Starting::into_server);
    for (number, server) in servers.iter().enumerate() {
        let session = server.register(&format!("ada.{number}@example.com"));
        let token = session["access_token"].as_str().unwrap();
        for server in &servers {
            use_it(server, token);
        }
    }
    let warning = "another server uses this SQLite database; use PostgreSQL to run several servers";
    let is_warned = |server: Server| server.stop().log().iter().any(|entry| entry["message"] == warning);
    servers.into_iter().map(is_warned).filter(|is_warned| *is_warned).count()
}

#[test]
fn the_server_starts_in_an_empty_folder_without_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("deep/50% of what?/data");
    // The only setting is needed to find the port.
    let variables = [("DATA_DIR", data.to_str().unwrap()), ("PORT", "0"), ("LOG_FORMAT", "json")];
    let mut program = Program::start(folder.path(), &[], &variables);
    let entry = program.until("listening");
    let address = entry["server.address"].as_str().unwrap().parse().unwrap();
    let server = Server { program, address };
    assert!(server.address.ip().is_loopback());
    http::get(server.address, "/health/ready", None).expect(200);
    let session = server.register("ada@example.com");
    use_it(&server, session["access_token"].as_str().unwrap());
    server.stop();
    assert!(data.join("pocket-tasks.db").exists());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "all data is in DATA_DIR");
}

#[test]
fn only_the_owner_can_read_the_data() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mode = |name: &str| fs::metadata(data.join(name)).unwrap().permissions().mode() & 0o777;
    let all = ["pocket-tasks.db", "pocket-tasks.db-wal", "pocket-tasks.db-shm", "jwt-secret", "encryption-key"];
    let server = Server::start(folder.path(), &[]);
    assert_eq!(all.map(mode), [0o600; 5]);
    server.stop();
    // A file of an earlier version is restricted, and those that SQLite creates follow it.
    fs::set_permissions(data.join(all[0]), fs::Permissions::from_mode(0o644)).unwrap();
    let server = Server::start(folder.path(), &[]);
    assert_eq!(all.map(mode), [0o600; 5]);
    server.stop();
}

#[test]
fn secrets_are_generated_once_and_tokens_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let session = server.register("ada@example.com");
    server.stop();
    let secrets = ["jwt-secret", "encryption-key"].map(|name| folder.path().join("data").join(name));
    let before = secrets.each_ref().map(|path| fs::read(path).unwrap());
    assert_ne!(before[0], before[1]);
    for path in &secrets {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    }

    let server = Server::start(folder.path(), &[]);
    assert_eq!(secrets.each_ref().map(|path| fs::read(path).unwrap()), before);
    let me = http::get(server.address, "/v1/me", session["access_token"].as_str()).expect(200);
    assert_eq!(me, session["user"]);
    let refresh = json!({"refresh_token": session["refresh_token"]});
    http::post(server.address, "/v1/auth/refresh", None, &refresh).expect(200);
    server.stop();
}

#[test]
fn a_revoked_session_stays_revoked_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let session = server.register("ada@example.com");
    let token = session["access_token"].as_str().unwrap();
    http::send(server.address, &http::head("POST", "/v1/auth/logout", Some(token), "")).expect(204);
    server.stop();
    let server = Server::start(folder.path(), &[]);
    let refused = http::get(server.address, "/v1/me", Some(token)).expect(401);
    assert_eq!(refused["error"], "TOKEN_REVOKED");
    server.stop();
}

#[test]
fn four_concurrent_starts_on_a_new_file_all_serve_and_all_but_one_warn() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(four_at_once(folder.path(), &[]), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_concurrent_starts_on_a_new_database_all_serve_on_postgres() {
    let Some(database) = postgres_without_schema().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let few = [("DATABASE_URL", database.url.as_str()), ("DATABASE_MAX_CONNECTIONS", "3")];
    assert_eq!(tokio::task::block_in_place(|| four_at_once(folder.path(), &few)), 0);
    database.remove().await;
}

#[test]
fn without_auto_migrate_an_empty_database_is_rejected_with_instructions() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [("DATA_DIR", "data"), ("PORT", "0"), ("AUTO_MIGRATE", "false")];
    let ended = super::program::run(folder.path(), &[], &variables);
    assert_eq!(ended.status, Some(1), "{}", ended.errors);
    assert!(ended.errors.contains("pocket-tasks migrate"), "no instructions: {}", ended.errors);

    super::program::run(folder.path(), &["migrate"], &variables).succeeded();
    let server = Server::start(folder.path(), &[("AUTO_MIGRATE", "false")]);
    http::get(server.address, "/health/ready", None).expect(200);
    server.stop();
}
