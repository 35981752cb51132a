//! Operator commands beside a running server.

use serde_json::{Value, json};

use super::http;
use super::program::{Ended, Server, run};

const DATA: [(&str, &str); 2] = [("DATA_DIR", "data"), ("BCRYPT_COST", "4")];

#[test]
fn accounts_are_administered_while_the_server_runs() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let session = server.register("ada@example.com");
    let log_in = |password: &str| {
        let login = json!({"email": "ada@example.com", "password": password});
        http::post(server.address, "/v1/auth/login", None, &login)
    };
    let pocket_tasks = |arguments: &[&str]| -> Ended {
        let ended = run(folder.path(), arguments, &DATA);
        assert_eq!(ended.status, Some(0), "{arguments:?}: {}", ended.errors);
        ended
    };
    let json_of =
        |arguments: &[&str]| -> Value { serde_json::from_str(&pocket_tasks(arguments).output.join("\n")).unwrap() };

    let disabled = pocket_tasks(&["users", "disable", "Ada@example.com"]);
    assert!(disabled.output[0].starts_with("Disabled ada@example.com."), "{:?}", disabled.output);
    // The log says who did it.
    assert!(
        disabled.errors.contains("account disabled") && disabled.errors.contains("operator="),
        "{}",
        disabled.errors
    );
    log_in("correct horse").expect(403);
    let shown = json_of(&["users", "show", session["user"]["id"].as_str().unwrap(), "--json"]);
    assert_eq!((&shown["state"], &shown["sessions"]), (&json!("disabled"), &json!(0)));
    pocket_tasks(&["users", "enable", "ada@example.com"]);
    let list = pocket_tasks(&["users", "list"]).output;
    assert!(list.len() == 2 && list[1].contains("active") && list[1].contains("ada@example.com"), "{list:?}");

    let reset = pocket_tasks(&["users", "reset-password", "ada@example.com"]);
    let (_, token) = reset.output.last().unwrap().split_once("/reset-password#token=").unwrap();
    assert!(!reset.errors.contains(token), "the log has no token: {}", reset.errors);
    log_in("correct horse").expect(401);
    let body = json!({"token": token, "password": "battery staple"});
    http::post(server.address, "/v1/auth/reset-password", None, &body).expect(204);
    log_in("battery staple").expect(200);

    let entries = json_of(&["audit", "--json"]);
    let by_operator: Vec<_> =
        entries.as_array().unwrap().iter().filter(|entry| entry["operator"].is_string()).collect();
    let types: Vec<_> = by_operator.iter().map(|entry| entry["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["password.reset", "account.enabled", "account.disabled"]);

    let checks = json_of(&["doctor", "--json"]);
    let names: Vec<_> = checks.as_array().unwrap().iter().map(|check| check["check"].as_str().unwrap()).collect();
    assert_eq!(names, ["settings", "database", "integrity", "schema", "writes", "jobs", "encryption", "counters"]);
    assert!(checks.as_array().unwrap().iter().all(|check| check["state"] == "ok"), "{checks:#}");
    server.stop();
}

#[test]
fn doctor_reports_what_is_wrong_and_fails() {
    let folder = tempfile::tempdir().unwrap();
    let missing = run(folder.path(), &["doctor"], &[DATA[0], ("RETENTION_DAY", "7")]);
    assert_eq!(missing.status, Some(1));
    assert!(
        missing.output[0].starts_with("warning ") && missing.output[0].contains("RETENTION_DAYS"),
        "{:?}",
        missing.output
    );
    assert!(
        missing.output[1].starts_with("failed ") && missing.output[1].contains("data/pocket-tasks.db"),
        "{:?}",
        missing.output
    );
    assert_eq!((missing.output.len(), missing.errors.as_str()), (2, "error: 1 failure\n"));
    assert!(!folder.path().join("data").exists(), "nothing was created");

    let variables = [DATA[0], ("PORT", "0"), ("LOG_FORMAT", "json"), ("RETENTION_DAY", "7")];
    let log = Server::start(folder.path(), &variables).stop().log();
    let warning = log.iter().find(|entry| entry["variable"] == "RETENTION_DAY").unwrap();
    assert_eq!((&warning["level"], &warning["setting"]), (&json!("WARN"), &json!("RETENTION_DAYS")));
    // Another key than the one of the secrets, and a damaged file.
    let key = ("ENCRYPTION_KEY", "MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA=");
    let healthy = run(folder.path(), &["doctor"], &[DATA[0], key]);
    assert_eq!(healthy.status, Some(0), "{:?}", healthy.output);
    let database = folder.path().join("data/pocket-tasks.db");
    let mut bytes = std::fs::read(&database).unwrap();
    let (page, from) = (4_096, bytes.len() / 4_096 / 2);
    bytes[from * page..(from + 4) * page].fill(0xff);
    std::fs::write(&database, bytes).unwrap();
    let damaged = run(folder.path(), &["doctor"], &DATA[..1]);
    assert_eq!(damaged.status, Some(1));
    assert!(damaged.output.iter().any(|line| line.starts_with("failed ")), "{:?}", damaged.output);
}
