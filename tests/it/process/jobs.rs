//! `pocket-tasks jobs` and `pocket-tasks seed`.

use pocket_tasks::contract::ids::new_uuid;
use serde_json::{Value, json};

use super::http;
use super::program::{Server, run};
use super::queue::{jobs, until_all_is_done};

const DATA: [(&str, &str); 1] = [("DATA_DIR", "data")];

#[test]
fn unfinished_jobs_are_listed_as_text_and_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let list = || run(folder.path(), &["jobs", "list"], &DATA).succeeded().output;
    let list_fails = |reason: &str| {
        let early = run(folder.path(), &["jobs", "list"], &DATA);
        assert_eq!(early.status, Some(1));
        assert!(early.errors.contains(reason), "{}", early.errors);
    };
    list_fails("the database data/pocket-tasks.db does not exist");
    assert!(!folder.path().join("data").exists(), "nothing was created");
    std::fs::create_dir(folder.path().join("data")).unwrap();
    std::fs::write(folder.path().join("data/pocket-tasks.db"), "").unwrap();
    list_fails("run: pocket-tasks migrate");
    run(folder.path(), &["migrate"], &DATA).succeeded();
    assert_eq!(list(), ["No unfinished jobs."]);
    assert_eq!(jobs(folder.path(), &[]), Vec::<Value>::new());

    let server = Server::start(folder.path(), &[("JOB_WORKERS", "0")]);
    let user = server.register("ada@example.com")["user"]["id"].clone();
    server.stop();
    let found = jobs(folder.path(), &[]);
    assert_eq!(found.len(), 1);
    let job = found[0].as_object().unwrap();
    let fields: Vec<_> = job.keys().map(String::as_str).collect();
    assert_eq!(fields, ["id", "kind", "payload", "state", "attempts", "run_at", "created_at", "last_error"]);
    assert_eq!((&job["kind"], &job["payload"]), (&json!("welcome_email"), &json!({"user": user})));
    assert_eq!((&job["state"], &job["attempts"], &job["last_error"]), (&json!("pending"), &json!(0), &Value::Null));

    let table = list();
    assert_eq!(table.len(), 2, "{table:#?}");
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&table[0]), ["ID", "KIND", "STATE", "ATTEMPTS", "RUNS", "AT", "LAST", "ERROR"]);
    let [id, run_at] = ["id", "run_at"].map(|field| job[field].as_str().unwrap());
    assert_eq!(words(&table[1]), [id, "welcome_email", "pending", "0", run_at, "-"]);
}

#[test]
fn an_unknown_job_cannot_be_retried_but_others_are() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[("JOB_WORKERS", "0")]);
    server.register("ada@example.com");
    server.stop();
    let known = jobs(folder.path(), &[])[0]["id"].as_str().unwrap().to_owned();
    let unknown = new_uuid().to_string();
    for (ids, due) in [(&[unknown.as_str()][..], false), (&[&unknown, &known], true), (&[&known, &unknown], true)] {
        let ended = run(folder.path(), &[&["jobs", "retry"], ids].concat(), &DATA);
        assert_eq!(ended.status, Some(1), "{ids:?}");
        assert!(ended.errors.contains(&unknown) && !ended.errors.contains(&known), "{}", ended.errors);
        let said = if due { vec![format!("{known} is due now.")] } else { Vec::new() };
        assert_eq!(ended.output, said, "{ids:?}");
    }
    for wrong in [&["jobs", "retry"][..], &["jobs", "retry", "7"], &["jobs"], &["jobs", "forget"]] {
        assert_eq!(run(folder.path(), wrong, &DATA).status, Some(2), "{wrong:?}");
    }

    // A complete job cannot be retried.
    let mut server = Server::start(folder.path(), &[]);
    until_all_is_done(&mut server.program, folder.path(), &[]);
    assert_eq!(run(folder.path(), &["jobs", "retry", &known], &DATA).status, Some(1));
    server.stop();
}

#[test]
fn seed_creates_the_demo_data_once() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [DATA[0], ("BCRYPT_COST", "4")];
    for (prefix, suffix) in [("created ", " with the password sailing-kitchen-demo"), ("", " already exists")] {
        let ended = run(folder.path(), &["seed"], &variables).succeeded();
        assert_eq!(ended.output, ["ada", "grace"].map(|name| format!("{prefix}{name}@example.com{suffix}")));
    }
    // E-mails are left to the worker.
    let left: Vec<Value> = jobs(folder.path(), &[]).iter().map(|job| job["kind"].clone()).collect();
    assert_eq!(left, ["welcome_email", "welcome_email"]);
    let server = Server::start(folder.path(), &[]);
    for (email, projects) in [("ada@example.com", &[20, 50][..]), ("grace@example.com", &[50])] {
        let login = json!({"email": email, "password": "sailing-kitchen-demo"});
        let session = http::post(server.address, "/v1/auth/login", None, &login).expect(200);
        let list = http::get(server.address, "/v1/projects", session["access_token"].as_str()).expect(200);
        let list = list["data"].as_array().unwrap();
        let mut done: Vec<_> = list.iter().map(|project| project["completion_percentage"].as_u64().unwrap()).collect();
        done.sort_unstable();
        assert_eq!(done, projects, "{list:#?}");
    }
    server.stop();
}

#[test]
fn seed_refuses_to_run_in_production() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [
        ("APP_ENV", "production"),
        ("JWT_SECRET", "hunter2 hunter2 hunter2 hunter2 hunter2"),
        ("ENCRYPTION_KEY", "b25seSBmb3IgdGVzdHM6IDMyIGJ5dGVzIGV4YWN0bHk="),
        ("PUBLIC_URL", "https://tasks.example.com"),
        ("REQUIRE_EMAIL_VERIFICATION", "false"),
    ];
    let ended = run(folder.path(), &["seed"], &[&variables, &DATA[..]].concat());
    assert_eq!((ended.status, ended.output.len()), (Some(1), 0));
    assert!(ended.errors.contains("APP_ENV is production") && !ended.errors.contains("hunter"), "{}", ended.errors);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was created");
}
