//! Stopping the server: running requests are finished, and the exit status is 0.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::json;

use super::http;
use super::program::{Server, TIMEOUT};

/// Stops a server by a signal during a request, which it must still complete.
fn finishes_running_requests(signal: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &[]);
    let token = server.register("ada@example.com")["access_token"].as_str().unwrap().to_owned();
    let body = json!({"name": "In flight"}).to_string();
    let mut stream = http::connect(server.address);
    let extra = http::json_headers(&body) + "Expect: 100-continue\r\n";
    stream.write_all(http::head("POST", "/v1/projects", Some(&token), &extra).as_bytes()).unwrap();
    // The handler asks for the body, so the request is in flight.
    let interim = "HTTP/1.1 100 Continue\r\n\r\n";
    let mut received = vec![0; interim.len()];
    stream.read_exact(&mut received).unwrap();
    assert_eq!(String::from_utf8(received).unwrap(), interim);

    server.program.signal(signal);
    server.program.until("stopped listening, finishing requests in flight");
    let refused = TcpStream::connect_timeout(&server.address, TIMEOUT).expect_err("it still listens");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);

    stream.write_all(body.as_bytes()).unwrap();
    let project = http::read(&mut stream).expect(201);
    let ended = server.program.ends().succeeded();
    assert_eq!(ended.log().last().unwrap()["message"], "stopped");

    let server = Server::start(folder.path(), &[]);
    let path = format!("/v1/projects/{}", project["id"].as_str().unwrap());
    assert_eq!(http::get(server.address, &path, Some(&token)).expect(200), project, "the acknowledged task is stored");
    server.stop();
}

#[test]
fn sigterm_lets_running_requests_finish() {
    finishes_running_requests("TERM");
}

#[test]
fn sigint_lets_running_requests_finish() {
    finishes_running_requests("INT");
}

#[test]
fn a_server_serves_on_until_its_shutdown_delay_or_a_second_signal() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &[("SHUTDOWN_DELAY_SECONDS", "300")]);
    let token = server.register("ada@example.com")["access_token"].as_str().unwrap().to_owned();
    let mut events = http::connect(server.address);
    events.write_all(http::head("GET", "/v1/events/stream", Some(&token), "").as_bytes()).unwrap();
    let mut status = [0; 12];
    events.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    let mut kept_alive = http::connect(server.address);

    server.program.signal("TERM");
    server.program.until("not ready; serving until load balancers have noticed");
    http::get(server.address, "/health/ready", None).expect(503);
    http::post(server.address, "/v1/projects", Some(&token), &json!({"name": "Late"})).expect(201);
    kept_alive.write_all(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let answer = http::read(&mut kept_alive);
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));

    // The stream goes on during the delay.
    let mut received = String::new();
    while !received.contains("\"type\":\"project.created\"") {
        let mut bytes = [0; 1024];
        let length = events.read(&mut bytes).unwrap();
        assert!(length > 0, "the stream has ended: {received}");
        received.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
    }

    server.program.signal("TERM");
    events.read_to_end(&mut Vec::new()).unwrap();
    server.program.ends().succeeded();
}

#[test]
fn idle_connections_do_not_delay_the_stop() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let silent = http::connect(server.address);
    let mut kept_alive = http::connect(server.address);
    kept_alive.write_all(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut first = [0; 12];
    kept_alive.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    let asked = std::time::Instant::now();
    server.stop();
    // Much shorter than the grace period of 20 s.
    assert!(asked.elapsed().as_secs() < 10, "it took {:?}", asked.elapsed());
    drop((silent, kept_alive));
}

#[test]
fn no_acknowledged_write_is_lost_when_the_server_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let session = server.register("ada@example.com");
    let token = session["access_token"].as_str();
    let project = http::post(server.address, "/v1/projects", token, &json!({"name": "Kitchen"})).expect(201);
    server.program.signal("KILL");
    assert_eq!(server.program.ends().status, None);
    let server = Server::start(folder.path(), &[]);
    let path = format!("/v1/projects/{}", project["id"].as_str().unwrap());
    assert_eq!(http::get(server.address, &path, token).expect(200), project);
    server.stop();
}
