//! Answers that are given before the body was read, behind a real proxy and to real clients with pooled connections.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Instant;

use serde_json::json;

use super::clients;
use super::http;
use super::program::{Program, Server, TIMEOUT};

/// Requests of each kind.
const ROUNDS: usize = 200;

/// Starts nginx as it is by default, but for the paths of its files and the limit of bodies, which would hide ours.
fn start_nginx(folder: &Path, upstream: SocketAddr) -> Option<(Program, SocketAddr)> {
    // The port is free until another process takes it, so it is released as late as possible.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let configuration = format!(
        "daemon off; user root; pid {folder}/nginx.pid; worker_processes 1;
         events {{}}
         http {{
             access_log off;
             client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
             uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
             client_max_body_size 10m;
             server {{ listen {address}; location / {{ proxy_pass http://{upstream}; }} }}
         }}",
        folder = folder.display()
    );
    let path = folder.join("nginx.conf");
    fs::write(&path, configuration).unwrap();
    drop(listener);
    let nginx = clients::nginx(folder, &path)?;
    let begun = Instant::now();
    while std::net::TcpStream::connect(address).is_err() {
        assert!(begun.elapsed() < TIMEOUT, "nginx does not listen");
        std::thread::yield_now();
    }
    Some((nginx, address))
}

#[test]
fn a_proxy_passes_on_every_answer_to_a_body_that_was_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[("RATE_LIMIT_API_PER_MINUTE", "0")]);
    let token = server.register("ada@example.com")["access_token"].as_str().unwrap().to_owned();
    let Some((nginx, proxy)) = start_nginx(folder.path(), server.address) else { return };
    for (path, token, length, status) in [
        ("/v1/projects", Some(&*token), 2_000_000, 413),
        ("/v1/projects", Some("expired"), 20_000, 401),
        ("/v1/projects", Some("expired"), 900_000, 401),
        ("/nothing", None, 300_000, 404),
        ("/v1/auth/logout", Some("expired"), 300_000, 401),
    ] {
        let body = format!("{{\"name\": \"{}\"}}", "x".repeat(length));
        let request = http::head("POST", path, token, &http::json_headers(&body)) + &body;
        let lost = (0..ROUNDS).filter(|_| http::attempt(proxy, &request).is_none_or(|answer| answer.status != status));
        assert_eq!(lost.count(), 0, "answers to {length} bytes for {path} with {status} were lost");
    }
    nginx.signal("QUIT");
    nginx.ends();
    server.stop();
}

#[test]
fn clients_with_pooled_connections_lose_neither_the_answer_nor_the_next_request() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[("RATE_LIMIT_API_PER_MINUTE", "0")]);
    for language in ["JavaScript", "JavaScript over HTTP/2", "Python"] {
        let Some(client) = clients::unread_bodies(language, server.address.port(), ROUNDS) else { return };
        assert_eq!(client.ends().succeeded().log(), [json!({"answers": 0, "next": 0})], "{language}");
    }
    server.stop();
}
