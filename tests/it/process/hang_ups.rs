//! Clients that disconnect during a request.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Instant;

use serde_json::{Value, json};
use sqlx::Executor as _;

use super::crash::text;
use super::full_disk::open_file;
use super::http;
use super::program::{Server, TIMEOUT};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_stops_when_its_client_disconnects() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, metrics) = Server::with_metrics(folder.path(), &[("DATABASE_MAX_CONNECTIONS", "2")]);
    let token = text(&server.register("ada@example.com"), "access_token");
    let project = http::post(server.address, "/v1/projects", Some(&token), &json!({"name": "Kitchen"})).expect(201);
    let path = format!("/v1/projects/{}/tasks", text(&project, "id"));
    http::post(server.address, &path, Some(&token), &json!({"title": "Soup"})).expect(201);
    let search = format!("{path}?q=soup");

    let mut file = open_file(&folder.path().join("data/pocket-tasks.db")).await;
    let endless = "(WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT 1 FROM c) SELECT count(*) FROM c) > 0";
    let view = format!("CREATE VIEW tasks AS SELECT * FROM stored_tasks WHERE {endless}");
    file.execute("ALTER TABLE tasks RENAME TO stored_tasks").await.unwrap();
    file.execute(sqlx::AssertSqlSafe(view)).await.unwrap();
    for _ in 0..3 {
        until_active(metrics, 0);
        let mut client = http::connect(server.address);
        client.write_all(http::head("GET", &search, Some(&token), "").as_bytes()).unwrap();
        // A request whose client disconnects earlier is not even begun.
        until_active(metrics, 1);
        drop(client);
        let line = server.program.until("request aborted");
        assert_eq!((&line["http.path"], &line["http.status"]), (&json!(path), &Value::Null));
        assert!(line["duration_ms"].is_f64(), "{line}");
    }
    file.execute("DROP VIEW tasks").await.unwrap();
    file.execute("ALTER TABLE stored_tasks RENAME TO tasks").await.unwrap();
    let found = http::get(server.address, &search, Some(&token)).expect(200);
    assert_eq!(found["meta"]["total"], 1);
    server.stop();
}

/// Waits until this number of requests is in flight.
#[track_caller]
fn until_active(metrics: SocketAddr, requests: usize) {
    let deadline = Instant::now() + TIMEOUT;
    let line = format!("\nhttp_server_active_requests {requests}\n");
    while !http::get(metrics, "/metrics", None).text.contains(&line) {
        assert!(Instant::now() < deadline, "there are never {requests} requests in flight");
    }
}
