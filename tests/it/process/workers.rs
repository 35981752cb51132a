//! Who does the jobs, and what becomes of one that runs when its worker is told to stop.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use serde_json::json;

use super::http;
use super::program::{Program, Server};
use super::queue::{jobs, until_all_is_done};
use super::smtp::MailServer;
use crate::support::databases::postgres_without_schema;

fn mails(folder: &Path) -> usize {
    fs::read_dir(folder.join("data/mail")).map_or(0, Iterator::count)
}

/// A server that runs no jobs, and a worker beside it that does.
fn the_worker_does_the_jobs(folder: &Path, database: &[(&str, &str)]) {
    let server = Server::start(folder, &[&[("JOB_WORKERS", "0")], database].concat());
    let session = server.register("ada@example.com");
    let token = session["access_token"].as_str();
    let project = http::post(server.address, "/v1/projects", token, &json!({"name": "Kitchen"})).expect(201);
    let project = format!("/v1/projects/{}", project["id"].as_str().unwrap());
    let add = |status| {
        let task = json!({"title": "Paint", "status": status});
        http::post(server.address, &format!("{project}/tasks"), token, &task).expect(201);
    };
    let completion = || http::get(server.address, &project, token).expect(200)["completion_percentage"].clone();
    add("done");
    let waiting = jobs(folder, database);
    let mut kinds: Vec<_> = waiting.iter().map(|job| job["kind"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["recalculate_completion", "welcome_email"]);
    assert!(waiting.iter().all(|job| job["state"] == "pending" && job["attempts"] == 0), "{waiting:#?}");
    assert_eq!((completion(), mails(folder)), (json!(0), 0));

    let variables = [&[("DATA_DIR", "data"), ("LOG_FORMAT", "json"), ("JOB_WORKERS", "0")], database].concat();
    let mut worker = Program::start(folder, &["worker"], &variables);
    worker.until("running jobs");
    until_all_is_done(&mut worker, folder, database);
    assert_eq!((completion(), mails(folder)), (json!(100), 1));
    // What comes later is seen too.
    add("todo");
    until_all_is_done(&mut worker, folder, database);
    assert_eq!(completion(), json!(50));

    worker.signal("TERM");
    assert_eq!(worker.ends().succeeded().log().last().unwrap()["message"], "stopped");
    add("todo");
    server.stop();
    assert_eq!(jobs(folder, database).len(), 1, "the server did what it was told not to do");
}

#[test]
fn a_worker_beside_the_server_does_the_jobs() {
    let folder = tempfile::tempdir().unwrap();
    the_worker_does_the_jobs(folder.path(), &[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_beside_the_server_does_the_jobs_on_postgres() {
    let Some(database) = postgres_without_schema().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let variables = [("DATABASE_URL", database.url.as_str()), ("DATABASE_MAX_CONNECTIONS", "5")];
    tokio::task::block_in_place(|| the_worker_does_the_jobs(folder.path(), &variables));
    database.remove().await;
}

#[test]
fn a_job_that_does_not_end_is_handed_back_by_who_is_told_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    // It takes connections, and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("smtp://{}", silent.local_addr().unwrap());
    let server = Server::start(folder.path(), &[("SMTP_URL", &url)]);
    server.register("ada@example.com");
    let held = [silent.accept().unwrap(), silent.accept().unwrap()];
    server.program.signal("TERM");
    assert_eq!(server.program.ends().succeeded().log().last().unwrap()["message"], "stopped");
    let left = jobs(folder.path(), &[]);
    assert_eq!(left.len(), 2, "{left:#?}");
    // As if it had never begun, so that the next worker begins it at once.
    assert!(left.iter().all(|job| job["state"] == "pending" && job["attempts"] == 0), "{left:#?}");
    drop(held);
}

#[test]
fn a_job_that_ends_in_time_is_finished_by_who_is_told_to_stop() {
    let Some(mut mails) = MailServer::start(&[]) else { return };
    let folder = tempfile::tempdir().unwrap();
    mails.tell("hold");
    let mut server = Server::start(folder.path(), &[("SMTP_URL", &mails.url())]);
    server.register("ada@example.com");
    mails.until("held");
    mails.until("held");
    server.program.signal("TERM");
    server.program.until("shutdown requested");
    mails.tell("accept");
    mails.welcome_and_verification();
    server.program.ends().succeeded();
    assert_eq!(jobs(folder.path(), &[]), Vec::<serde_json::Value>::new());
}
