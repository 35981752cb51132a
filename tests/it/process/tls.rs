//! HTTPS by the program: its certificate, the signal to reload it, and its health check.

use std::fs;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::http;
use super::program::{Program, Server, run};
use crate::support::tls::{certificate, connect, write_identity};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_a_certificate_speaks_https_and_reloads_it_at_a_hangup() {
    let folder = tempfile::tempdir().unwrap();
    let files = write_identity(folder.path());
    let variables = [("TLS_CERT_PATH", "site.crt"), ("TLS_KEY_PATH", "site.key")];
    let mut server = Server::start(folder.path(), &variables);
    let before = certificate(&files);
    let request = http::head("GET", "/health/live", None, "");
    let mut stream = connect(server.address, &before, &["http/1.1"]).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\r\nstrict-transport-security: "), "{answer}");

    fs::write(&files.key, "no key").unwrap();
    server.program.signal("HUP");
    server.program.until("failed to reload the TLS certificate; the previous one stays in use");
    connect(server.address, &before, &[]).await.unwrap();
    write_identity(folder.path());
    server.program.signal("HUP");
    server.program.until("TLS certificate reloaded");
    connect(server.address, &before, &[]).await.unwrap_err();
    connect(server.address, &certificate(&files), &[]).await.unwrap();

    let port = server.address.port().to_string();
    // The certificate is for another name.
    run(folder.path(), &["healthcheck"], &[&variables[..], &[("PORT", port.as_str())]].concat()).succeeded();
    let log = server.stop().log();
    let ready = log.iter().find(|entry| entry["message"] == "API ready; documentation at this URL").unwrap();
    assert!(ready["url"].as_str().unwrap().starts_with("https://127.0.0.1:"), "{ready}");
}

#[test]
fn hangups_end_neither_a_server_nor_a_worker() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &[("JOB_WORKERS", "0")]);
    server.program.signal("HUP");
    server.program.until("SIGHUP ignored: there is no certificate to reload");
    let variables = [("DATA_DIR", "data"), ("LOG_FORMAT", "json")];
    let mut worker = Program::start(folder.path(), &["worker"], &variables);
    worker.until("running jobs");
    worker.signal("HUP");
    worker.until("SIGHUP ignored: a worker reloads nothing");
    worker.signal("TERM");
    worker.ends().succeeded();
    server.stop();
}
