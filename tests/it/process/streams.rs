//! Event streams over a socket, followed by a third-party client while servers come and go.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::clients::EventClient;
use super::http;
use super::program::Server;
use crate::support::databases::postgres_without_schema;

const STREAM: &str = "/v1/events/stream";

/// No limits on the streams of a user and of an address.
const UNLIMITED: [(&str, &str); 2] = [("RATE_LIMIT_API_PER_MINUTE", "0"), ("MAX_CONNECTIONS_PER_ADDRESS", "0")];

/// Much shorter than the grace period of 20 s.
const PROMPTLY: Duration = Duration::from_secs(10);

/// Client that writes to one server or another.
struct Writer {
    token: String,
    project: String,
    count: usize,
}

impl Writer {
    fn at(server: &Server) -> Self {
        let token = server.register("ada@example.com")["access_token"].as_str().unwrap().to_owned();
        let project = http::post(server.address, "/v1/projects", Some(&token), &json!({"name": "Kitchen"})).expect(201);
        Self { token, project: project["id"].as_str().unwrap().to_owned(), count: 0 }
    }

    fn write(&mut self, server: &Server, count: usize) {
        for _ in 0..count {
            let path = format!("/v1/projects/{}/tasks", self.project);
            let title = self.count.to_string();
            http::post(server.address, &path, Some(&self.token), &json!({"title": title})).expect(201);
            self.count += 1;
        }
    }

    /// All events about tasks in the feed.
    fn feed(&self, server: &Server) -> Vec<Value> {
        let path = "/v1/events?limit=100&type=task.created";
        http::get(server.address, path, Some(&self.token)).expect(200)["data"].as_array().unwrap().clone()
    }
}

/// Next events that a client receives, despite interruptions of its connection.
fn received(client: &mut EventClient, count: usize) -> Vec<Value> {
    let mut events = Vec::new();
    while events.len() < count {
        let next = client.next();
        if let Some(data) = next["data"].as_str() {
            events.push(serde_json::from_str(data).unwrap());
        } else {
            assert!(next["error"].is_null(), "the client gave up: {next}");
        }
    }
    events
}

/// Stops a server with an open stream.
fn stop(server: Server) {
    let asked = Instant::now();
    server.stop();
    assert!(asked.elapsed() < PROMPTLY, "it took {:?}", asked.elapsed());
}

#[test]
fn a_client_resumes_after_a_restart_of_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &[]);
    let port = server.address.port().to_string();
    let mut writer = Writer::at(&server);
    let url = format!("http://{}{STREAM}", server.address);
    let Some(mut client) = EventClient::start(&url, &writer.token, None) else { return };
    assert_eq!(client.next(), json!({"open": 1}));
    let mut all = Vec::new();
    for _ in 0..3 {
        writer.write(&server, 4);
        all.extend(received(&mut client, 4));
        stop(server);
        server = Server::start(folder.path(), &[("PORT", &port)]);
        // Long before the client reconnects.
        writer.write(&server, 3);
        all.extend(received(&mut client, 3));
    }
    assert_eq!(all, writer.feed(&server));
    client.stop();
    stop(server);
}

/// Forwards connections to the current server.
fn proxy(target: Arc<Mutex<SocketAddr>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let pass = |mut from: TcpStream, mut to: TcpStream| {
        thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
        });
    };
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(server) = TcpStream::connect(*target.lock().unwrap()) else { continue };
            pass(client.try_clone().unwrap(), server.try_clone().unwrap());
            pass(server, client);
        }
    });
    address
}

fn moves_between_two(folder: &Path, database: &[(&str, &str)]) {
    let (one, other) = (Server::start(folder, database), Server::start(folder, database));
    let mut writer = Writer::at(&one);
    let target = Arc::new(Mutex::new(one.address));
    let url = format!("http://{}{STREAM}", proxy(Arc::clone(&target)));
    let Some(mut client) = EventClient::start(&url, &writer.token, None) else { return };
    assert_eq!(client.next(), json!({"open": 1}));
    // Commits of the other server reach this one.
    writer.write(&other, 3);
    writer.write(&one, 2);
    let mut all = received(&mut client, 5);
    *target.lock().unwrap() = other.address;
    stop(one);
    writer.write(&other, 3);
    all.extend(received(&mut client, 3));
    let third = Server::start(folder, database);
    writer.write(&third, 3);
    all.extend(received(&mut client, 3));
    assert_eq!(all, writer.feed(&third));
    client.stop();
    stop(other);
    stop(third);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_moves_between_servers_on_postgres() {
    let Some(database) = postgres_without_schema().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let variables = [("DATABASE_URL", database.url.as_str()), ("DATABASE_MAX_CONNECTIONS", "5")];
    tokio::task::block_in_place(|| moves_between_two(folder.path(), &variables));
    database.remove().await;
}

/// Open stream.
fn open(address: SocketAddr, token: &str) -> BufReader<TcpStream> {
    let mut stream = http::connect(address);
    stream.write_all(http::head("GET", STREAM, Some(token), "").as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while !line.starts_with("id: ") {
        line.clear();
        assert!(reader.read_line(&mut line).unwrap() > 0, "the stream did not start");
    }
    reader
}

#[test]
fn a_server_with_many_streams_stops_promptly_and_ends_each_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &UNLIMITED);
    let writer = Writer::at(&server);
    let mut streams: Vec<_> = (0..200).map(|_| open(server.address, &writer.token)).collect();
    stop(server);
    for stream in &mut streams {
        let mut rest = String::new();
        stream.read_to_string(&mut rest).unwrap();
        assert!(rest.ends_with("0\r\n\r\n"), "the stream was cut: {rest:?}");
    }
}

#[test]
fn streams_beyond_the_soft_file_limit_leave_room_for_requests() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_few_files(100, folder.path(), &UNLIMITED);
    let mut writer = Writer::at(&server);
    let streams: Vec<_> = (0..150).map(|_| open(server.address, &writer.token)).collect();
    writer.write(&server, 3);
    assert_eq!(writer.feed(&server).len(), 3);
    drop(streams);
    stop(server);
}

#[test]
fn the_log_has_a_line_for_the_end_of_a_stream() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &[]);
    let mut writer = Writer::at(&server);
    let mut stream = open(server.address, &writer.token);
    writer.write(&server, 1);
    let mut line = String::new();
    while !line.starts_with("data: ") {
        line.clear();
        assert!(stream.read_line(&mut line).unwrap() > 0, "the stream ended");
    }
    drop(stream);
    let ended = server.program.until("event stream ended");
    assert_eq!((&ended["http.path"], &ended["http.status"]), (&json!(STREAM), &json!(200)));
    assert!(ended["http.response_bytes"].as_u64().is_some_and(|bytes| bytes > line.len() as u64), "{ended}");
    assert!(ended["spans"][0]["user.id"].is_string() && ended["duration_ms"].is_f64(), "{ended}");
    stop(server);
}

#[test]
fn a_head_request_for_a_stream_ends_immediately() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let writer = Writer::at(&server);
    let answer = http::send(server.address, &http::head("HEAD", STREAM, Some(&writer.token), ""));
    assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    stop(server);
}
