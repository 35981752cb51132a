//! Metrics as Prometheus scrapes them. The tests of a process share them, so counts are lower bounds.

use std::net::SocketAddr;
use std::sync::Arc;

use pocket_tasks::metrics_server::MetricsListener;
use pocket_tasks::telemetry::metric_names;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::on_sqlite;
use crate::support::{Options, TestApp, TestClock, TestDatabase};

/// Sends a request, and returns the head and the body of the response.
async fn send(address: SocketAddr, method: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// Value of a series.
#[track_caller]
fn value(text: &str, series: &str) -> f64 {
    let mut lines = text.lines().filter_map(|line| line.rsplit_once(' '));
    let found = lines.find(|(name, _)| *name == series).unwrap_or_else(|| panic!("no {series}:\n{text}"));
    found.1.parse().unwrap()
}

on_sqlite! {
    async fn a_scrape_shows_requests_jobs_and_storage(database: TestDatabase) {
        let listener = MetricsListener::bind(Some("127.0.0.1:0".parse().unwrap())).await.unwrap().unwrap();
        let address = listener.local_addr().unwrap();
        let store = database.store().await;
        let clock = TestClock::default();
        let app = TestApp::over(Arc::clone(&store) as _, Options { auth_per_minute: 2, ..Options::default() }, clock);
        let server = listener.serve(store, app.clock.clock());
        app.user().await;
        app.user().await;
        app.anonymous().post("/v1/auth/register", json!({})).await.fails(429, "RATE_LIMITED");
        app.anonymous().get("/nothing/here").await.expect(404);
        app.anonymous().get("/docs").await.expect(200);
        let before = send(address, "GET", "/metrics").await.1;
        assert!(value(&before, r#"pocket_tasks_jobs{kind="welcome_email",state="pending"}"#) >= 2.0);
        assert!(value(&before, r#"pocket_tasks_jobs_oldest_due_seconds{queue="mail"}"#) >= 0.0);
        app.work().await;

        let (head, text) = send(address, "GET", "/metrics").await;
        assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("text/plain; version=0.0.4"), "{head}");
        for (series, at_least) in [
            (r#"http_server_request_duration_seconds_count{operation="register",http_response_status_code="201"}"#, 2.0),
            (r#"http_server_request_duration_seconds_count{operation="unknown",http_response_status_code="404"}"#, 1.0),
            (r#"http_server_request_duration_seconds_count{operation="asset",http_response_status_code="200"}"#, 1.0),
            (r#"pocket_tasks_job_duration_seconds_count{kind="welcome_email",outcome="completed"}"#, 2.0),
            (r#"db_client_connection_wait_time_seconds_count{db_client_connection_pool_name="read"}"#, 1.0),
            (r#"db_client_connection_use_time_seconds_count{db_client_connection_pool_name="write"}"#, 4.0),
            (r#"db_client_connection_max{db_client_connection_pool_name="write"}"#, 1.0),
            (r#"pocket_tasks_sqlite_file_size_bytes{file="database"}"#, 4_096.0),
            (r#"pocket_tasks_sqlite_file_size_bytes{file="wal"}"#, 1.0),
            ("pocket_tasks_password_queue_wait_seconds_count", 2.0),
            (r#"pocket_tasks_rate_limited_requests_total{limit="auth"}"#, 1.0),
            ("process_resident_memory_bytes", 1e6),
            ("process_cpu_seconds_total", 0.01),
            ("process_open_fds", 5.0),
        ] {
            assert!(value(&text, series) >= at_least, "{series}:\n{text}");
        }
        // Every family has a name of the table.
        let known = metric_names();
        let families: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
        let unknown: Vec<_> = families.iter().filter(|family| !known.iter().any(|known| known == *family)).collect();
        assert!(families.len() > 15 && unknown.is_empty(), "{unknown:?}");

        assert!(send(address, "GET", "/").await.0.starts_with("HTTP/1.1 404 "));
        assert!(send(address, "POST", "/metrics").await.0.starts_with("HTTP/1.1 405 "));
        server.stop().await;
    }
}
