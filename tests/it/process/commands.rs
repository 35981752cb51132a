//! Commands other than `serve` and `worker`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::thread;

use serde_json::{Value, json};

use super::http;
use super::program::{Server, run};

#[test]
fn migrate_shows_and_updates_the_schema() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [("DATA_DIR", "data")];
    let states = |arguments: &[&str]| {
        let ended = run(folder.path(), arguments, &variables).succeeded();
        let lines = ended.output.iter().map(|line| line.split_once("  ").unwrap_or_else(|| panic!("{line}")));
        lines.map(|(state, name)| (state.to_owned(), name.to_owned())).unzip::<_, _, Vec<_>, Vec<_>>()
    };
    let missing = run(folder.path(), &["migrate", "status"], &variables);
    assert!(missing.status == Some(1) && missing.errors.contains("does not exist"), "{}", missing.errors);
    assert!(!folder.path().join("data/pocket-tasks.db").exists());
    let (_, names) = states(&["migrate", "up"]);
    assert!(names.len() >= 3 && names[0].starts_with("m0001"), "{names:?}");
    for arguments in [&["migrate", "up"][..], &["migrate", "status"], &["migrate"]] {
        let (after, again) = states(arguments);
        assert!(after.iter().all(|state| state == "applied"), "{arguments:?}: {after:?}");
        assert_eq!(again, names);
    }
    let (after, _) = states(&["migrate", "down", "2"]);
    assert_eq!(after.iter().rev().take(3).collect::<Vec<_>>(), ["pending", "pending", "applied"]);
    let production = [
        ("DATA_DIR", "data"),
        ("APP_ENV", "production"),
        ("JWT_SECRET", "0123456789abcdef0123456789abcdef"),
        ("ENCRYPTION_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
        ("PUBLIC_URL", "https://a.example"),
        ("REQUIRE_EMAIL_VERIFICATION", "false"),
    ];
    let refused = run(folder.path(), &["migrate", "down"], &production);
    assert!(refused.status == Some(1) && refused.errors.contains("--force"), "{}", refused.errors);
}

#[test]
fn a_backup_of_a_running_server_is_restored_after_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [("DATA_DIR", "data")];
    let server = Server::start(folder.path(), &variables);
    server.register("ada@example.com");
    let written = run(folder.path(), &["backup", "backup.db"], &variables).succeeded().output;
    assert!(written.len() == 1 && written[0].starts_with("wrote backup.db ("), "{written:?}");
    server.register("grace@example.com");
    let refused = run(folder.path(), &["restore", "--force", "backup.db"], &variables);
    assert!(refused.status == Some(1) && refused.errors.contains("stop the server"), "{}", refused.errors);
    server.stop();
    run(folder.path(), &["restore", "--force", "backup.db"], &variables).succeeded();

    let server = Server::start(folder.path(), &variables);
    let log_in = |email: &str| {
        let body = json!({"email": email, "password": "correct horse"});
        http::post(server.address, "/v1/auth/login", None, &body)
    };
    log_in("ada@example.com").expect(200);
    log_in("grace@example.com").expect(401);
    server.stop();
    run(folder.path(), &["restore", "--renew-epoch"], &variables).succeeded();
    let refused = run(folder.path(), &["restore", "--renew-epoch"], &[("DATA_DIR", "other")]);
    assert!(refused.status == Some(1) && refused.errors.contains("does not exist"), "{}", refused.errors);
    assert!(!folder.path().join("other/pocket-tasks.db").exists());
}

#[test]
fn restore_removes_the_log_of_another_database_only_with_force() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [("DATA_DIR", "data")];
    let [database, log] = ["pocket-tasks.db", "pocket-tasks.db-wal"].map(|name| folder.path().join("data").join(name));
    run(folder.path(), &["migrate"], &variables).succeeded();
    run(folder.path(), &["backup", "backup.db"], &variables).succeeded();
    fs::remove_file(&database).unwrap();
    fs::write(&log, "log").unwrap();
    let refused = run(folder.path(), &["restore", "backup.db"], &variables);
    assert!(refused.status == Some(1) && refused.errors.contains("pocket-tasks.db-wal"), "{}", refused.errors);
    // A folder is no damaged database.
    fs::create_dir(&database).unwrap();
    assert_eq!(run(folder.path(), &["restore", "--force", "backup.db"], &variables).status, Some(1));
    assert_eq!(fs::read_to_string(&log).unwrap(), "log");
    fs::remove_dir(&database).unwrap();
    run(folder.path(), &["restore", "--force", "backup.db"], &variables).succeeded();
    assert!(database.is_file() && !log.exists());
}

#[test]
fn backups_of_postgres_are_left_to_its_own_tools() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, tool) in [(["backup", "backup.db"], "pg_dump"), (["restore", "backup.db"], "pg_restore")] {
        let refused = run(folder.path(), &arguments, &[("DATABASE_URL", "postgres://127.0.0.1:1/x")]);
        assert!(refused.status == Some(1) && refused.errors.contains(tool), "{}", refused.errors);
    }
}

#[test]
fn openapi_writes_and_compares_the_document() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("openapi/openapi.yaml");
    // Invalid settings are irrelevant for this command.
    let openapi = |arguments: &[&str]| run(folder.path(), &[&["openapi"], arguments].concat(), &[("PORT", "none")]);

    let missing = openapi(&["--check"]);
    assert_eq!(missing.status, Some(1));
    assert!(missing.errors.contains("openapi/openapi.yaml"), "{}", missing.errors);
    openapi(&[]).succeeded();
    openapi(&["--check"]).succeeded();

    let written = fs::read_to_string(&path).unwrap();
    fs::write(&path, written.replacen("Pocket Tasks", "Other Tasks", 1)).unwrap();
    let differs = openapi(&["--check"]);
    assert_eq!(differs.status, Some(1));
    let line = written.lines().position(|line| line.contains("Pocket Tasks")).unwrap() + 1;
    assert!(differs.errors.contains(&format!("line {line} ")), "{}", differs.errors);
    fs::write(&path, written.trim_end().rsplit_once('\n').unwrap().0).unwrap();
    assert_eq!(openapi(&["--check"]).status, Some(1), "the last line is missing");
}

#[test]
fn openapi_prints_only_the_document_in_both_formats() {
    let folder = tempfile::tempdir().unwrap();
    let print = |format| run(folder.path(), &["openapi", "--format", format], &[]).succeeded().output.join("\n");
    let json: Value = serde_json::from_str(&print("json")).unwrap();
    let yaml: Value = serde_saphyr::from_str(&print("yaml")).unwrap();
    assert_eq!(json["openapi"], "3.1.0");
    assert_eq!(json, yaml);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was written");
}

#[test]
fn audit_lists_the_log_of_all_accounts_or_of_one() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [("DATA_DIR", "data")];
    let server = Server::start(folder.path(), &variables);
    let session = server.register("ada@example.com");
    server.register("grace@example.com");
    let guess = json!({"email": "ada@example.com", "password": "hunter2"});
    for _ in 0..2 {
        http::post(server.address, "/v1/auth/login", None, &guess).expect(401);
    }
    server.stop();
    let audit = |arguments: &[&str]| run(folder.path(), &[&["audit"], arguments].concat(), &variables);
    let entries = |arguments: &[&str]| -> Vec<Value> {
        let printed = audit(&[&["--json"], arguments].concat()).succeeded().output.join("\n");
        assert!(!printed.contains("hunter2") && !printed.contains("example.com"), "{printed}");
        serde_json::from_str(&printed).unwrap()
    };
    let types = |arguments: &[&str]| -> Vec<String> {
        entries(arguments).iter().map(|entry| entry["type"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(types(&[]), ["login.failed", "account.registered", "account.registered"]);
    let id = session["user"]["id"].as_str().unwrap();
    for user in ["ada@example.com", "ADA@example.com", id] {
        assert_eq!(types(&["--user", user]), ["login.failed", "account.registered"]);
    }
    let failed = &entries(&["--type", "login.failed"])[0];
    let address = &failed["client_address"];
    assert_eq!((&failed["user_id"], &failed["count"], address), (&json!(id), &json!(2), &json!("127.0.0.1")));
    assert_eq!(types(&["--since", "2000-01-01", "--limit", "1"]), ["login.failed"]);
    assert!(entries(&["--since", "9999-01-01T00:00:00Z"]).is_empty());

    let table = audit(&["--user", id]).succeeded().output;
    assert!(table.len() == 3 && table[0].starts_with("AT ") && table[1].contains("login.failed"), "{table:?}");
    assert!(table[1].contains("127.0.0.1") && table[1].contains(id), "{table:?}");
    for (arguments, status) in
        [(["--user", "nobody@example.com"], 1), (["--type", "login"], 2), (["--since", "soon"], 2)]
    {
        assert_eq!(audit(&arguments).status, Some(status), "{arguments:?}");
    }
}

#[test]
fn a_closed_output_pipe_causes_no_panic() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_pocket-tasks"))
        .args(["openapi", "--format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    child.wait().unwrap();
    assert!(!errors.contains("panicked"), "{errors}");
}

#[test]
fn healthcheck_reports_a_ready_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let port = server.address.port().to_string();
    // In a container the server listens on all addresses.
    for host in ["127.0.0.1", "0.0.0.0"] {
        let ended = run(folder.path(), &["healthcheck"], &[("PORT", &port), ("HOST", host)]).succeeded();
        assert_eq!(ended.output, [""; 0]);
    }
    server.stop();
}

#[test]
fn healthcheck_fails_for_a_server_that_is_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let length = stream.read(&mut request).unwrap();
        stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    let variables = [("PORT", port.as_str())];
    let ended = run(folder.path(), &["healthcheck"], &variables);
    assert_eq!(ended.status, Some(1));
    assert!(ended.errors.contains("503"), "{}", ended.errors);
    assert!(server.join().unwrap().starts_with("GET /health/ready HTTP/1.1\r\n"));
    // The listener is closed by now.
    assert_eq!(run(folder.path(), &["healthcheck"], &variables).status, Some(1));
}

#[test]
fn healthcheck_fails_for_a_silent_server() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let ended = run(folder.path(), &["healthcheck"], &[("PORT", &port)]);
    assert_eq!(ended.status, Some(1), "{}", ended.errors);
}

#[test]
fn version_and_help_are_printed() {
    let folder = tempfile::tempdir().unwrap();
    // Neither command needs settings.
    let print = |argument| run(folder.path(), &[argument], &[("PORT", "none")]).succeeded().output.join("\n");
    assert_eq!(print("--version"), format!("pocket-tasks {}", env!("CARGO_PKG_VERSION")));
    let help = print("--help");
    let commands = [
        "serve",
        "migrate",
        "backup",
        "restore",
        "openapi",
        "audit",
        "users",
        "webhooks",
        "tokens",
        "doctor",
        "healthcheck",
    ];
    for command in commands {
        assert!(help.lines().any(|line| line.trim_start().starts_with(command)), "{help}");
    }
    assert_eq!(run(folder.path(), &["nonsense"], &[]).status, Some(2));
}
