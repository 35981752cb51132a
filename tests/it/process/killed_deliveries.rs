//! Kills at random moments between a change and its delivery: every event is delivered, always with the same id.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::clients::{Language, Verifier};
use super::crash::text;
use super::http;
use super::program::{MAX_ROUNDS, Server, kill_moment, rounds};
use super::queue::{jobs, until_jobs};
use crate::support::databases::postgres_without_schema;
use crate::support::receiver::Message;
use crate::support::{Random, Receiver};

const CLIENTS: usize = 3;
/// Latest moment of the kill in a round.
const LATEST_KILL_MICROS: u64 = 150_000;
/// Jobs of a killed worker wait for the end of their leases, which last 30 s.
const TIMEOUT: Duration = Duration::from_secs(90);

/// Account with a project and a webhook, on a server that is restarted repeatedly.
struct Fixture<'f> {
    folder: &'f Path,
    variables: Vec<(&'f str, &'f str)>,
    token: String,
    tasks: String,
    secret: String,
}

impl Fixture<'_> {
    fn start(&self) -> Server {
        Server::start(self.folder, &self.variables)
    }

    /// Creates and changes tasks until the server is gone.
    fn write_on(&self, address: SocketAddr) -> Option<()> {
        loop {
            let attempt = |method: &str, path: &str, body: &Value| {
                let body = body.to_string();
                let head = http::head(method, path, Some(&self.token), &http::json_headers(&body));
                http::attempt(address, &(head + &body))
            };
            let task = attempt("POST", &self.tasks, &json!({"title": "Paint"}))?;
            assert_eq!(task.status, 201, "{}", task.text);
            let path = format!("/v1/tasks/{}", text(&task.body, "id"));
            attempt("PATCH", &path, &json!({"status": "done"}))?;
        }
    }

    fn write_until_killed(&self, server: Server, moment: Duration) {
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                let address = server.address;
                scope.spawn(move || self.write_on(address));
            }
            let end = Instant::now() + moment;
            while Instant::now() < end {
                thread::park_timeout(end.saturating_duration_since(Instant::now()));
            }
            server.program.signal("KILL");
        });
        assert_eq!(server.program.ends().status, None, "the server was not killed");
    }

    /// All events of the feed by id.
    fn feed(&self, server: &Server) -> BTreeMap<String, Value> {
        let mut events = BTreeMap::new();
        let mut path = "/v1/events?limit=100".to_owned();
        loop {
            let page = http::get(server.address, &path, Some(&self.token)).expect(200);
            events.extend(page["data"].as_array().unwrap().iter().map(|event| (text(event, "id"), event.clone())));
            if page["meta"]["has_more"] == false {
                return events;
            }
            path = format!("/v1/events?limit=100&cursor={}", page["meta"]["next_cursor"].as_str().unwrap());
        }
    }
}

fn every_event_is_delivered(folder: &Path, database: &[(&str, &str)]) {
    let defaults = [
        ("RATE_LIMIT_AUTH_PER_MINUTE", "0"),
        ("RATE_LIMIT_API_PER_MINUTE", "0"),
        ("WEBHOOK_ALLOW_HTTP", "true"),
        ("WEBHOOK_ALLOW_CIDRS", "127.0.0.1"),
        ("WEBHOOK_ALLOW_PORTS", "*"),
        ("WEBHOOK_DELIVERIES_PER_HOST_PER_SECOND", "0"),
        ("WEBHOOK_DELIVERIES_PER_USER_PER_MINUTE", "0"),
    ];
    let variables = [&defaults, database].concat();
    let mut fixture = Fixture { folder, variables, token: String::new(), tasks: String::new(), secret: String::new() };
    let receiver = Receiver::new("200 OK");
    let mut server = fixture.start();
    fixture.token = text(&server.register("ada@example.com"), "access_token");
    let webhook = json!({"url": receiver.url, "events": ["*"]});
    let webhook = http::post(server.address, "/v1/webhooks", Some(&fixture.token), &webhook).expect(201);
    fixture.secret = text(&webhook, "secret");
    let project =
        http::post(server.address, "/v1/projects", Some(&fixture.token), &json!({"name": "Kitchen"})).expect(201);
    fixture.tasks = format!("/v1/projects/{}/tasks", text(&project, "id"));

    let mut random = Random::new();
    let mut interrupted = 0;
    for round in 0..MAX_ROUNDS {
        // Enough rounds to kill the worker during a delivery at least once.
        if round >= rounds() && interrupted > 0 {
            break;
        }
        fixture.write_until_killed(server, kill_moment(&mut random, LATEST_KILL_MICROS, round));
        let is_running = |job: &&Value| job["state"] == "running" && job["kind"] == "deliver_webhook";
        interrupted += jobs(folder, database).iter().filter(is_running).count();
        server = fixture.start();
    }
    assert!(interrupted > 0, "never killed during a delivery");

    until_jobs(&mut server.program, folder, database, TIMEOUT, <[Value]>::is_empty);
    let feed = fixture.feed(&server);
    let mut arrived: BTreeMap<String, Vec<Message>> = BTreeMap::new();
    while let Some(post) = receiver.next(Duration::ZERO) {
        arrived.entry(post.header("webhook-id").to_owned()).or_default().push(post);
    }
    for (id, event) in &feed {
        assert!(arrived.contains_key(id), "not delivered: {event}");
    }
    let mut recipe = Verifier::start(Language::Rust).unwrap();
    for (id, posts) in &arrived {
        let event = feed.get(id).unwrap_or_else(|| panic!("unknown events were delivered: {posts:?}"));
        for post in posts {
            let headers: Vec<_> = post.headers().collect();
            assert_eq!(recipe.verify(&fixture.secret, &headers, &post.text).recipe.as_ref(), Ok(event));
        }
    }
    server.stop();
}

#[test]
fn every_event_is_delivered_despite_kills() {
    let folder = tempfile::tempdir().unwrap();
    every_event_is_delivered(folder.path(), &[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_is_delivered_despite_kills_on_postgres() {
    let Some(database) = postgres_without_schema().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let variables = [("DATABASE_URL", database.url.as_str()), ("DATABASE_MAX_CONNECTIONS", "5")];
    tokio::task::block_in_place(|| every_event_is_delivered(folder.path(), &variables));
    database.remove().await;
}
