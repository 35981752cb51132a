//! Kills at random moments: a write with an idempotency key happens once and has one response.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::http::{self, Answer};
use super::program::{MAX_ROUNDS, Server, TIMEOUT, kill_moment, rounds};
use crate::support::Random;
use crate::support::databases::postgres_without_schema;

const CLIENTS: usize = 4;
/// Latest moment of the kill in a round, when each client has written a few times.
const LATEST_KILL_MICROS: u64 = 40_000;

/// Account with a project, on a server that is restarted repeatedly.
struct Fixture<'f> {
    folder: &'f Path,
    variables: Vec<(&'f str, &'f str)>,
    token: String,
    tasks: String,
}

impl Fixture<'_> {
    fn start(&self) -> Server {
        Server::start(self.folder, &self.variables)
    }

    /// Request that creates the task of a key, identical on every attempt.
    fn write(&self, round: usize, key: &str) -> String {
        let body = json!({"title": key, "labels": [format!("round {round}")]}).to_string();
        let extra = http::json_headers(&body) + &format!("Idempotency-Key: {key}\r\n");
        http::head("POST", &self.tasks, Some(&self.token), &extra) + &body
    }

    /// Writes with new keys until the server is gone.
    fn write_on(&self, address: SocketAddr, round: usize, client: usize, written: &Sender<(String, Option<Answer>)>) {
        for number in 0.. {
            let key = format!("round.{round}.client.{client}.write.{number}");
            let answer = http::attempt(address, &self.write(round, &key));
            if let Some(answer) = &answer {
                assert_eq!(answer.status, 201, "{key}: {}\n{}", answer.head, answer.text);
            }
            let gone = answer.is_none();
            written.send((key, answer)).unwrap();
            if gone {
                return;
            }
        }
    }

    /// Writes until the server is killed, and returns every key with its response.
    fn write_until_killed(&self, server: Server, round: usize, moment: Duration) -> Vec<(String, Option<Answer>)> {
        let (sender, receiver) = channel();
        let mut written = Vec::new();
        thread::scope(|scope| {
            for client in 0..CLIENTS {
                let (address, sender) = (server.address, sender.clone());
                scope.spawn(move || self.write_on(address, round, client, &sender));
            }
            drop(sender);
            let end = Instant::now() + moment;
            while let Ok(write) = receiver.recv_timeout(end.saturating_duration_since(Instant::now())) {
                written.push(write);
            }
            server.program.signal("KILL");
            written.extend(receiver);
        });
        assert_eq!(server.program.ends().status, None, "the server was not killed");
        written
    }

    /// Repeats a request until the task exists.
    fn retry(&self, server: &Server, round: usize, key: &str) -> Answer {
        let request = self.write(round, key);
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let answer = http::attempt(server.address, &request);
            match answer {
                Some(answer) if answer.status == 201 => return answer,
                // On PostgreSQL, work that started before the kill may still be running.
                Some(Answer { status: 409 | 503, .. }) | None if Instant::now() < deadline => {}
                Some(answer) => panic!("{key}: {}\n{}", answer.head, answer.text),
                None => panic!("{key}: no answer"),
            }
        }
    }

    /// Asserts that the tasks found by a query are exactly these, by title and id.
    #[track_caller]
    fn finds(&self, server: &Server, query: &str, expected: &BTreeSet<(String, String)>) {
        let mut found = BTreeSet::new();
        for page in 1.. {
            let path = format!("{}?limit=100&page={page}{query}", self.tasks);
            let list = http::get(server.address, &path, Some(&self.token)).expect(200);
            for task in list["data"].as_array().unwrap() {
                assert!(found.insert((text(task, "title"), text(task, "id"))), "listed twice: {task}");
            }
            if list["meta"]["has_more"] == false {
                break;
            }
        }
        let too_much: Vec<_> = found.difference(expected).collect();
        let missing: Vec<_> = expected.difference(&found).collect();
        assert!(found == *expected, "not one task for each key: unexpected {too_much:#?}, missing {missing:#?}");
    }
}

pub(super) fn text(resource: &Value, field: &str) -> String {
    resource[field].as_str().unwrap().to_owned()
}

fn replayed(answer: &Answer) -> bool {
    answer.header("idempotency-replayed") == Some("true")
}

fn a_write_happens_once(folder: &Path, database: &[(&str, &str)]) {
    let limits = ["AUTH", "REFRESH", "API"].map(|name| format!("RATE_LIMIT_{name}_PER_MINUTE"));
    let variables = limits.iter().map(|name| (name.as_str(), "0")).chain(database.iter().copied()).collect();
    let mut fixture = Fixture { folder, variables, token: String::new(), tasks: String::new() };
    let mut server = fixture.start();
    fixture.token = text(&server.register("ada@example.com"), "access_token");
    let name = json!({"name": "Kitchen"});
    let project = http::post(server.address, "/v1/projects", Some(&fixture.token), &name).expect(201);
    let project = format!("/v1/projects/{}", text(&project, "id"));
    fixture.tasks = format!("{project}/tasks");

    let mut random = Random::new();
    let mut all = BTreeSet::new();
    let (mut answered, mut lost, mut afresh) = (0, 0, 0);
    for round in 0..MAX_ROUNDS {
        if round >= rounds() && answered > 0 && lost + afresh > 0 {
            break;
        }
        let written = fixture.write_until_killed(server, round, kill_moment(&mut random, LATEST_KILL_MICROS, round));
        server = fixture.start();
        let retries: Vec<_> =
            written.into_iter().map(|(key, first)| (fixture.retry(&server, round, &key), first, key)).collect();

        let tasks = retries.iter().map(|(retry, _, key)| (key.clone(), text(&retry.body, "id"))).collect();
        fixture.finds(&server, &format!("&label=round%20{round}"), &tasks);
        all.extend(tasks);

        for (retry, first, key) in retries {
            match first {
                Some(first) => {
                    assert_eq!(retry.text, first.text, "{key}: different from the first response");
                    for name in ["location", "etag", "content-type"] {
                        assert_eq!(
                            retry.header(name),
                            first.header(name),
                            "{key}: {name} differs from the first response"
                        );
                    }
                    assert!(!replayed(&first) && replayed(&retry), "{key}: {}\n{}", first.head, retry.head);
                    answered += 1;
                }
                None if replayed(&retry) => lost += 1,
                None => afresh += 1,
            }
        }
    }

    fixture.finds(&server, "", &all);
    let counts = &http::get(server.address, &project, Some(&fixture.token)).expect(200)["task_counts"];
    assert_eq!(counts["total"], all.len(), "the counter differs from the number of tasks");
    assert!(answered > 0, "always killed before the first response");
    assert!(lost + afresh > 0, "never killed during a write");
    server.stop();
}

#[test]
fn a_write_with_a_key_happens_once_despite_kills() {
    let folder = tempfile::tempdir().unwrap();
    a_write_happens_once(folder.path(), &[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_with_a_key_happens_once_despite_kills_on_postgres() {
    let Some(database) = postgres_without_schema().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let variables = [("DATABASE_URL", database.url.as_str()), ("DATABASE_MAX_CONNECTIONS", "5")];
    tokio::task::block_in_place(|| a_write_happens_once(folder.path(), &variables));
    database.remove().await;
}
