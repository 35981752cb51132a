//! Worker processes, and running jobs when a worker is stopped.

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

/// Runs a server without jobs, and a worker beside it.
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
    // Later jobs are run too.
    add("todo");
    until_all_is_done(&mut worker, folder, database);
    assert_eq!(completion(), json!(50));

    worker.signal("TERM");
    assert_eq!(worker.ends().succeeded().log().last().unwrap()["message"], "stopped");
    add("todo");
    server.stop();
    assert_eq!(jobs(folder, database).len(), 1, "the server ran a job");
}

#[test]
fn a_separate_worker_runs_the_jobs() {
    let folder = tempfile::tempdir().unwrap();
    the_worker_does_the_jobs(folder.path(), &[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_separate_worker_runs_the_jobs_on_postgres() {
    let Some(database) = postgres_without_schema().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let variables = [("DATABASE_URL", database.url.as_str()), ("DATABASE_MAX_CONNECTIONS", "5")];
    tokio::task::block_in_place(|| the_worker_does_the_jobs(folder.path(), &variables));
    database.remove().await;
}

#[test]
fn a_job_that_does_not_end_is_released_when_the_worker_stops() {
    let folder = tempfile::tempdir().unwrap();
    // Accepts connections without responding.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("smtp://{}", silent.local_addr().unwrap());
    let server = Server::start(folder.path(), &[("SMTP_URL", &url)]);
    server.register("ada@example.com");
    let held = [silent.accept().unwrap(), silent.accept().unwrap()];
    server.program.signal("TERM");
    assert_eq!(server.program.ends().succeeded().log().last().unwrap()["message"], "stopped");
    let left = jobs(folder.path(), &[]);
    assert_eq!(left.len(), 2, "{left:#?}");
    // The next worker claims the job immediately.
    assert!(left.iter().all(|job| job["state"] == "pending" && job["attempts"] == 0), "{left:#?}");
    drop(held);
}

#[test]
fn a_job_that_ends_in_time_is_completed_when_the_worker_stops() {
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
