//! Kills at random moments while jobs run: every job is completed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::crash::text;
use super::http::{self, Answer};
use super::program::{MAX_ROUNDS, Server, kill_moment, rounds};
use super::queue::{jobs, until_jobs};
use crate::support::databases::postgres_without_schema;
use crate::support::{Mail, Random};

const CLIENTS: usize = 4;
const PROJECTS: usize = 3;
/// Latest moment of the kill in a round.
const LATEST_KILL_MICROS: u64 = 120_000;
/// Jobs of a killed worker wait for the end of their leases, which last 30 s.
const TIMEOUT: Duration = Duration::from_secs(90);

/// Account with projects, on a server that is restarted repeatedly.
struct Fixture<'f> {
    folder: &'f Path,
    database: &'f [(&'f str, &'f str)],
    token: String,
    projects: Vec<String>,
}

impl Fixture<'_> {
    fn start(&self) -> Server {
        let limits = [("RATE_LIMIT_AUTH_PER_MINUTE", "0"), ("RATE_LIMIT_API_PER_MINUTE", "0"), ("JOB_WORKERS", "4")];
        Server::start(self.folder, &[&limits, self.database].concat())
    }

    fn attempt(&self, address: SocketAddr, method: &str, path: &str, body: &Value) -> Option<Answer> {
        let body = body.to_string();
        let head = http::head(method, path, Some(&self.token), &http::json_headers(&body));
        let answer = http::attempt(address, &(head + &body))?;
        assert!(matches!(answer.status, 200 | 201), "{method} {path}: {}\n{}", answer.head, answer.text);
        Some(answer)
    }

    /// Creates and changes tasks and registers users until the server is gone. Returns the acknowledged users.
    fn write_on(&self, address: SocketAddr, name: &str, users: &Sender<String>) -> Option<()> {
        for number in 0.. {
            let project = &self.projects[number % PROJECTS];
            let task = json!({"title": "Paint", "status": if number % 5 < 2 { "done" } else { "todo" }});
            let task = self.attempt(address, "POST", &format!("{project}/tasks"), &task)?.body;
            let path = format!("/v1/tasks/{}", text(&task, "id"));
            self.attempt(address, "PATCH", &path, &json!({"status": if number % 4 < 3 { "done" } else { "todo" }}))?;
            let email = format!("{name}.{number}@example.com");
            let user = json!({"email": email, "name": "Ada", "password": "correct horse"});
            self.attempt(address, "POST", "/v1/auth/register", &user)?;
            users.send(email).unwrap();
        }
        None
    }

    /// Writes until the server is killed, and returns the acknowledged users.
    fn write_until_killed(&self, server: Server, round: usize, moment: Duration) -> BTreeSet<String> {
        let (sender, receiver) = channel();
        let mut users = BTreeSet::new();
        thread::scope(|scope| {
            for client in 0..CLIENTS {
                let (address, sender) = (server.address, sender.clone());
                scope.spawn(move || self.write_on(address, &format!("round.{round}.client.{client}"), &sender));
            }
            drop(sender);
            let end = Instant::now() + moment;
            while let Ok(user) = receiver.recv_timeout(end.saturating_duration_since(Instant::now())) {
                users.insert(user);
            }
            server.program.signal("KILL");
            users.extend(receiver);
        });
        assert_eq!(server.program.ends().status, None, "the server was not killed");
        users
    }

    /// Asserts that the completion of the project is correct.
    #[track_caller]
    fn is_computed(&self, server: &Server, project: &str) {
        let count = |query: &str| {
            let path = format!("{project}/tasks?limit=1{query}");
            http::get(server.address, &path, Some(&self.token)).expect(200)["meta"]["total"].as_u64().unwrap()
        };
        let (done, total) = (count("&status=done"), count(""));
        let project = http::get(server.address, project, Some(&self.token)).expect(200);
        assert_eq!(project["task_counts"], json!({"total": total, "done": done}));
        assert_eq!(project["completion_percentage"], done * 100 / total.max(1), "{project}");
    }
}

/// Number of complete e-mails to each address.
#[track_caller]
fn welcomed(folder: &Path) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for file in fs::read_dir(folder.join("data/mail")).unwrap() {
        let path = file.unwrap().path();
        assert!(path.extension().is_some_and(|extension| extension == "eml"), "left behind: {}", path.display());
        let mail = Mail::read(&fs::read_to_string(&path).unwrap());
        assert!(mail.raw.ends_with("--\r\n"), "an incomplete e-mail: {}", mail.raw);
        assert_eq!(mail.subject, "Welcome to Pocket Tasks");
        let (_, address) = mail.to.split_once('<').unwrap();
        *counts.entry(address.trim_end_matches('>').to_owned()).or_default() += 1;
    }
    counts
}

fn every_job_is_done(folder: &Path, database: &[(&str, &str)]) {
    let mut fixture = Fixture { folder, database, token: String::new(), projects: Vec::new() };
    let mut server = fixture.start();
    fixture.token = text(&server.register("ada@example.com"), "access_token");
    for _ in 0..PROJECTS {
        let body = json!({"name": "Kitchen"});
        let project = http::post(server.address, "/v1/projects", Some(&fixture.token), &body).expect(201);
        fixture.projects.push(format!("/v1/projects/{}", text(&project, "id")));
    }

    let mut random = Random::new();
    let mut users = BTreeSet::from(["ada@example.com".to_owned()]);
    let mut interrupted = 0;
    for round in 0..MAX_ROUNDS {
        // Enough rounds to kill a worker during a job at least once.
        if round >= rounds() && interrupted > 0 {
            break;
        }
        let moment = kill_moment(&mut random, LATEST_KILL_MICROS, round);
        users.extend(fixture.write_until_killed(server, round, moment));
        interrupted += jobs(folder, database).iter().filter(|job| job["state"] == "running").count();
        server = fixture.start();
    }
    assert!(interrupted > 0, "never killed during a job");

    until_jobs(&mut server.program, folder, database, TIMEOUT, <[Value]>::is_empty);
    for project in &fixture.projects {
        fixture.is_computed(&server, project);
    }
    let welcomed = welcomed(folder);
    for user in &users {
        // Each attempt of a job writes the same file.
        assert_eq!(welcomed.get(user), Some(&1), "{user}");
    }
    server.stop();
}

#[test]
fn every_job_is_completed_despite_kills() {
    let folder = tempfile::tempdir().unwrap();
    every_job_is_done(folder.path(), &[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_job_is_completed_despite_kills_on_postgres() {
    let Some(database) = postgres_without_schema().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let variables = [("DATABASE_URL", database.url.as_str()), ("DATABASE_MAX_CONNECTIONS", "5")];
    tokio::task::block_in_place(|| every_job_is_done(folder.path(), &variables));
    database.remove().await;
}
