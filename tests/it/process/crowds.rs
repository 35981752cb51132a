//! Floods of one address and of many accounts: connections, event streams and lines of the log.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};
use tokio::net::TcpSocket;

use super::crash::text;
use super::http::{self, Answer};
use super::program::{Server, TIMEOUT};

const STREAM: &str = "/v1/events/stream";

/// Connects from another address of this machine.
fn connect_from(address: &str, server: SocketAddr) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stream = runtime.block_on(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{address}:0").parse().unwrap()).unwrap();
        socket.connect(server).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.set_write_timeout(Some(TIMEOUT)).unwrap();
    stream
}

fn get_from(address: &str, server: SocketAddr, path: &str) -> Answer {
    let mut stream = connect_from(address, server);
    stream.write_all(http::head("GET", path, None, "").as_bytes()).unwrap();
    http::read(&mut stream)
}

fn messages<'a>(log: &'a [Value], message: &str) -> Vec<&'a Value> {
    log.iter().filter(|entry| entry["message"] == message).collect()
}

#[test]
fn an_address_that_never_reads_keeps_no_other_address_out() {
    let folder = tempfile::tempdir().unwrap();
    let limits = [("MAX_CONNECTIONS", "64"), ("MAX_CONNECTIONS_PER_ADDRESS", "32")];
    let server = Server::start(folder.path(), &limits);
    let request = "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut greedy = Vec::new();
    for _ in 0..150 {
        let mut stream = connect_from("127.0.0.2", server.address);
        // The server may have closed it already.
        let _ = stream.write_all(request.as_bytes());
        greedy.push(stream);
    }
    for address in ["127.0.0.1", "127.0.0.3"] {
        get_from(address, server.address, "/health/live").expect(200);
        get_from(address, server.address, "/v1/me").expect(401);
    }
    drop(greedy);
    let log = server.stop().log();
    let warnings = messages(&log, "a client address has its share of connections; is it a proxy?");
    assert_eq!(warnings.len(), 1, "once a minute");
    assert_eq!((&warnings[0]["level"], &warnings[0]["client.address"]), (&json!("WARN"), &json!("127.0.0.2")));
}

/// Opens a stream and returns the status of its response.
fn open(server: SocketAddr, token: &str) -> (u16, TcpStream) {
    let mut stream = http::connect(server);
    stream.write_all(http::head("GET", STREAM, Some(token), "").as_bytes()).unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).unwrap();
    (std::str::from_utf8(&status[9..]).unwrap().parse().unwrap(), stream)
}

#[test]
fn streams_of_many_accounts_leave_half_of_the_connections() {
    let folder = tempfile::tempdir().unwrap();
    let limits = [("MAX_CONNECTIONS", "16"), ("MAX_CONNECTIONS_PER_ADDRESS", "0"), ("RATE_LIMIT_AUTH_PER_MINUTE", "0")];
    let server = Server::start(folder.path(), &limits);
    let tokens: Vec<_> = (0..6).map(|n| text(&server.register(&format!("u{n}@example.com")), "access_token")).collect();
    let mut streams: Vec<_> = tokens.iter().cycle().take(30).map(|token| open(server.address, token)).collect();
    let statuses: Vec<_> = streams.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses[..8], [200; 8]);
    assert_eq!(statuses[8..], [503; 22]);
    let mut rejected = String::new();
    streams[8].1.read_to_string(&mut rejected).unwrap();
    assert!(rejected.contains("retry-after: 30\r\n") && rejected.contains("\"error\":\"UNAVAILABLE\""), "{rejected}");
    streams.truncate(8);
    // All other slots are idle, and give way.
    let idle: Vec<_> = (0..8).map(|_| http::connect(server.address)).collect();
    http::get(server.address, "/health/live", None).expect(200);
    http::get(server.address, "/v1/projects", Some(&tokens[0])).expect(200);
    drop(idle);
    // All other slots have a request whose body does not come.
    let extra = "Content-Type: application/json\r\nContent-Length: 9\r\nExpect: 100-continue\r\n";
    let waiting = http::head("POST", "/v1/projects", Some(&tokens[0]), extra);
    let busy: Vec<_> = (0..8)
        .map(|_| {
            let mut stream = http::connect(server.address);
            stream.write_all(waiting.as_bytes()).unwrap();
            // The server asks for the body.
            stream.read_exact(&mut [0; "HTTP/1.1 100 Continue\r\n\r\n".len()]).unwrap();
            stream
        })
        .collect();
    let rejected = http::get(server.address, "/v1/projects", Some(&tokens[0]));
    assert_eq!(rejected.header("retry-after"), Some("1"));
    assert_eq!(rejected.expect(503)["error"], "UNAVAILABLE");
    for path in ["/health/live", "/health/ready"] {
        http::get(server.address, path, None).expect(200);
    }
    drop((streams, busy));
    let log = server.stop().log();
    assert_eq!(messages(&log, "all connection slots are taken; idle connections are closed for new ones").len(), 1);
    assert!(messages(&log, "request failed").is_empty(), "rejections are no failures");
}

#[test]
fn a_flood_of_long_unknown_paths_writes_few_short_lines() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[("RATE_LIMIT_API_PER_MINUTE", "100")]);
    let request = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(14_000));
    let (mut statuses, count) = ([0; 2], 500);
    let mut stream = http::connect(server.address);
    for _ in 0..count {
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            let mut bytes = [0; 4096];
            let read = stream.read(&mut bytes).unwrap();
            assert!(read > 0, "the connection was closed");
            answer.extend_from_slice(&bytes[..read]);
        }
        match &answer[9..12] {
            b"404" => statuses[0] += 1,
            b"429" => statuses[1] += 1,
            other => panic!("{other:?}"),
        }
    }
    drop(stream);
    // Some are replenished during the test.
    assert!(statuses[0] >= 100 && statuses[1] > 0, "{statuses:?}");
    let ended = server.stop();
    let log = ended.log();
    let lines = messages(&log, "request completed");
    assert!(lines.iter().all(|line| line["http.path"] == format!("/{}", "x".repeat(255))));
    assert!(ended.output.iter().all(|line| line.len() < 1_200), "{:#?}", ended.output);
    let left_out: u64 = messages(&log, "more requests with this status completed")
        .iter()
        .map(|line| line["count"].as_u64().unwrap())
        .sum();
    assert_eq!(lines.len() as u64 + left_out, count, "each request is written or counted");
    assert!(lines.len() < 300, "{} lines", lines.len());
}
