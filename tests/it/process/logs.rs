//! Logs: one line per request, no secrets, each failure once.

use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, SqliteConnection};

use super::http;
use super::program::{Program, Server};

/// Returns the span of the request that a log line belongs to.
fn request_span(entry: &Value) -> Option<&Value> {
    entry["spans"].as_array()?.iter().find(|span| span["name"] == "request")
}

/// Returns the log lines of a request.
fn about<'a>(log: &'a [Value], request_id: &str) -> Vec<&'a Value> {
    log.iter().filter(|entry| request_span(entry).is_some_and(|span| span["request.id"] == request_id)).collect()
}

#[test]
fn each_request_has_one_line_with_its_id_and_nothing_secret_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let session = server.register("ada@example.com");
    let token = session["access_token"].as_str();
    let get = |path: &str, id: &str| {
        let agent = format!("User-Agent: curl/8.0 \u{9b}31m{}\r\n", "x".repeat(1_000));
        let request = http::head("GET", path, token, &format!("X-Request-Id: {id}\r\n{agent}"));
        http::send(server.address, &request)
    };
    get("/v1/projects?q=hunter1&limit=5", "list").expect(200);
    get("/v1/projects?nonsense=hunter2", "invalid").expect(400);
    get("/nothing/here?token=hunter3", "nothing").expect(404);
    // Links of e-mails.
    let head = |path: &str| http::send(server.address, &http::head("HEAD", path, None, "")).expect(200);
    head("/verify-email?token=hunter6");
    head("/reset-password?token=hunter7");
    let refused = http::get(server.address, "/v1/me", Some("hunter4")).expect(401);
    let refresh = json!({"refresh_token": session["refresh_token"]});
    let refreshed = http::post(server.address, "/v1/auth/refresh", None, &refresh).expect(200);
    let login = json!({"email": "ada@example.com", "password": "hunter5 hunter5"});
    http::post(server.address, "/v1/auth/login", None, &login).expect(401);

    let ended = server.stop();
    let log = ended.log();
    let unauthenticated = refused["request_id"].as_str().unwrap();
    for (id, method, path, status, operation) in [
        ("list", "GET", "/v1/projects", 200, json!("listProjects")),
        ("invalid", "GET", "/v1/projects", 400, json!("listProjects")),
        ("nothing", "GET", "/nothing/here", 404, Value::Null),
        (unauthenticated, "GET", "/v1/me", 401, json!("getMe")),
    ] {
        let lines = about(&log, id);
        assert_eq!(lines.len(), 1, "{lines:?}");
        let line = lines[0];
        assert_eq!(line["message"], "request completed");
        assert_eq!((&line["http.method"], &line["http.path"]), (&json!(method), &json!(path)));
        assert_eq!(line["http.status"], status);
        let (span, is_known) = (request_span(line).unwrap(), ["list", "invalid"].contains(&id));
        assert_eq!(span["api.operation"], operation);
        assert_eq!(span["user.id"], if is_known { session["user"]["id"].clone() } else { Value::Null });
        assert_eq!((&line["level"], &line["client.address"]), (&json!("INFO"), &json!("127.0.0.1")));
        let bytes = line["http.response_bytes"].as_u64();
        assert!(bytes.is_some_and(|bytes| (20..1_000).contains(&bytes)), "{line}");
        let agent = (id != unauthenticated).then(|| format!("curl/8.0 \\u{{9b}}31m{}", "x".repeat(238)));
        assert_eq!(line["http.user_agent"].as_str(), agent.as_deref());
        assert!(line["duration_ms"].as_f64().is_some_and(|duration| duration > 0.0), "{line}");
    }
    assert_eq!(log.iter().filter(|entry| entry["message"] == "request completed").count(), 9);
    let text = ended.output.join("\n");
    let secrets = [
        token,
        session["refresh_token"].as_str(),
        refreshed["access_token"].as_str(),
        refreshed["refresh_token"].as_str(),
        Some("hunter"),
        Some("correct horse"),
        Some("ada@example.com"),
    ];
    for secret in secrets {
        assert!(!text.contains(secret.unwrap()), "{secret:?} in {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cause_of_a_failure_is_logged_once_and_not_returned() {
    let folder = tempfile::tempdir().unwrap();
    // Jobs would fail for lack of the table too.
    let server = Server::start(folder.path(), &[("JOB_WORKERS", "0")]);
    let session = server.register("ada@example.com");
    let url = format!("sqlite://{}/data/pocket-tasks.db", folder.path().display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    connection.execute("DROP TABLE tasks").await.unwrap();
    connection.close().await.unwrap();

    let request = http::head(
        "GET",
        "/v1/tasks/01936f52-9d40-7f6d-a240-5e9f4081bd04",
        session["access_token"].as_str(),
        "X-Request-Id: broken\r\n",
    );
    let answer = http::send(server.address, &request);
    let body = answer.expect(500);
    assert_eq!((&body["error"], &body["request_id"]), (&json!("INTERNAL"), &json!("broken")));
    assert!(!body.to_string().contains("tasks"), "{body}");

    let ended = server.stop();
    let log = ended.log();
    let lines = about(&log, "broken");
    let messages: Vec<_> = lines.iter().map(|line| (&line["level"], &line["message"])).collect();
    assert_eq!(messages, [(&json!("ERROR"), &json!("request failed")), (&json!("INFO"), &json!("request completed"))]);
    assert_eq!(lines[0]["error.code"], "INTERNAL");
    let cause = lines[0]["error"].as_str().unwrap();
    assert_eq!(cause.matches("no such table").count(), 1, "{cause}");
    assert_eq!(ended.output.join("\n").matches("no such table").count(), 1, "{:#?}", ended.output);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_line_of_a_service_carries_the_request_id() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[("JOB_WORKERS", "0")]);
    let session = server.register("ada@example.com");
    let new = json!({"name": "Backup", "scopes": ["read"]});
    let token = http::post(server.address, "/v1/me/api-tokens", session["access_token"].as_str(), &new).expect(201);
    let url = format!("sqlite://{}/data/pocket-tasks.db", folder.path().display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let trigger = "CREATE TRIGGER reject BEFORE UPDATE ON api_tokens BEGIN SELECT RAISE(ABORT, 'rejected'); END";
    connection.execute(trigger).await.unwrap();
    connection.close().await.unwrap();
    let request = http::head("GET", "/v1/projects", token["token"].as_str(), "X-Request-Id: recorded\r\n");
    http::send(server.address, &request).expect(200);

    let log = server.stop().log();
    let messages: Vec<_> = about(&log, "recorded").into_iter().map(|line| &line["message"]).collect();
    assert_eq!(messages, ["failed to record the use of an API token", "request completed"]);
}

#[test]
fn only_the_program_logs_and_every_line_is_json() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    server.register("ada@example.com");
    let ended = server.stop();
    for entry in ended.log() {
        let target = entry["target"].as_str().unwrap();
        assert!(target.starts_with("pocket_tasks"), "{target} speaks: {entry}");
    }
}

#[test]
fn text_logs_have_colours_only_on_terminals() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::start(folder.path(), &[], &[("DATA_DIR", "data"), ("PORT", "0")]);
    program.until_text("listening");
    program.signal("TERM");
    let ended = program.ends().succeeded();
    assert!(!ended.output.join("\n").contains('\u{1b}'), "{:#?}", ended.output);
}

/// The fields of a span of a log line.
fn span<'a>(entry: &'a Value, name: &str) -> &'a Value {
    let spans = entry["spans"].as_array().map(Vec::as_slice).unwrap_or_default();
    spans.iter().find(|span| span["name"] == name).unwrap_or_else(|| panic!("no span {name}: {entry}"))
}

#[test]
fn lines_about_jobs_and_deliveries_carry_their_ids_in_spans() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [
        ("RUST_LOG", "pocket_tasks=debug"),
        ("WEBHOOK_ALLOW_CIDRS", "127.0.0.0/8"),
        ("WEBHOOK_ALLOW_HTTP", "true"),
        ("WEBHOOK_ALLOW_PORTS", "9"),
        // Nothing listens there.
        ("SMTP_URL", "smtp://127.0.0.1:9"),
        ("REQUIRE_EMAIL_VERIFICATION", "false"),
    ];
    let mut server = Server::start(folder.path(), &variables);
    let token = server.register("ada@example.com")["access_token"].as_str().unwrap().to_owned();
    let failed = server.program.until("job failed, retrying later");
    let job = span(&failed, "job");
    assert!(job["job.kind"].as_str().is_some_and(|kind| kind.ends_with("_email")), "{failed}");
    assert_eq!((&job["job.attempt"], job["job.id"].as_str().unwrap().len()), (&json!(1), 36), "{failed}");

    let new = json!({"url": "http://127.0.0.1:9/", "events": ["*"]});
    let webhook = http::post(server.address, "/v1/webhooks", Some(&token), &new).expect(201);
    let path = format!("/v1/webhooks/{}/test", webhook["id"].as_str().unwrap());
    http::post(server.address, &path, Some(&token), &json!({})).expect(202);
    let attempted = server.program.until("delivery attempted");
    assert_eq!(span(&attempted, "job")["job.kind"], "deliver_webhook");
    let delivery = span(&attempted, "delivery");
    assert_eq!(delivery["webhook.id"], webhook["id"]);
    assert_eq!(delivery["delivery.id"].as_str().unwrap().len(), 36, "{attempted}");
    assert_eq!(attempted["error"], "The connection was refused.");
    server.stop();
}

#[test]
fn a_start_that_fails_writes_one_line_of_json() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [("METRICS_ADDR", "127.0.0.1:0"), ("LOG_FORMAT", "json"), ("PORT", "0"), ("DATA_DIR", "data")];
    let mut program = Program::start(folder.path(), &["worker"], &variables);
    let metrics = program.until("listening")["server.address"].as_str().unwrap().to_owned();
    let scraped = http::send(metrics.parse().unwrap(), &http::head("GET", "/metrics", None, ""));
    assert!(scraped.text.contains("\npocket_tasks_build_info{version="), "{}", scraped.text);

    // The address is in use.
    let mut taken = variables;
    taken[0].1 = &metrics;
    let ended = super::program::run(folder.path(), &[], &taken);
    assert_eq!((ended.status, ended.errors.lines().count()), (Some(1), 1), "{}", ended.errors);
    let line: Value = serde_json::from_str(&ended.errors).unwrap();
    assert_eq!((&line["level"], &line["message"]), (&json!("ERROR"), &json!("the program failed")));
    assert!(line["timestamp"].is_string() && line["error"].as_str().unwrap().contains(&metrics), "{line}");
    program.signal("TERM");
    program.ends().succeeded();
}
