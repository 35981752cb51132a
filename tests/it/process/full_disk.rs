//! Disks that are full for a while: no acknowledged write is lost, and writes succeed again once there is space.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::park_timeout;
use std::time::Instant;

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, Row as _, SqliteConnection};
use tempfile::TempDir;

use super::crash::text;
use super::http::{self, Answer};
use super::program::{Server, TIMEOUT};
use crate::support::POLL_INTERVAL;

/// Free space in bytes when the disk fills up. The values fail at different pages of different statements; with a lot of
/// space, a batch exceeds the cache of SQLite and fails before its commit.
const SPACES: [u64; 9] = [0, 4_096, 9_000, 20_000, 0, 50_000, 150_000, 600_000, 2_500_000];

/// Disk that rejects writes.
enum Disk {
    /// Small file system of its own, filled by a file beside the database: SQLite finds the disk full.
    Small(TempDir),
    /// Limit on the size of files: SQLite's writes fail.
    LimitedFiles(TempDir),
}

impl Disk {
    /// Mounts a small file system; `None` if that is not permitted.
    fn small() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=32m", "tmpfs"]).arg(folder.path());
        let is_mounted = mount.output().is_ok_and(|output| output.status.success());
        is_mounted.then_some(Self::Small(folder))
    }

    fn limited_files() -> Self {
        Self::LimitedFiles(tempfile::tempdir().unwrap())
    }

    fn folder(&self) -> &Path {
        let (Self::Small(folder) | Self::LimitedFiles(folder)) = self;
        folder.path()
    }

    fn database(&self) -> PathBuf {
        self.folder().join("data/pocket-tasks.db")
    }

    fn ballast(&self) -> PathBuf {
        self.folder().join("ballast")
    }

    /// Fills the disk up to this many free bytes.
    fn fill(&self, server: &Server, space: u64) {
        match self {
            Self::Small(_) => {
                let mut ballast = File::create(self.ballast()).unwrap();
                let block = [0; 4_096];
                let mut size = 0;
                while ballast.write_all(&block).is_ok() {
                    size += 4_096;
                }
                ballast.set_len(u64::saturating_sub(size, space)).unwrap();
            }
            Self::LimitedFiles(_) => {
                let log = self.database().with_extension("db-wal");
                limit_file_size(server, fs::metadata(log).unwrap().len() + space);
            }
        }
    }

    /// Frees the space again.
    fn free(&self, server: &Server) {
        match self {
            Self::Small(_) => fs::remove_file(self.ballast()).unwrap(),
            Self::LimitedFiles(_) => limit_file_size(server, rlimit::INFINITY),
        }
    }

    fn start(&self) -> Server {
        let limits = ["AUTH", "REFRESH", "API"].map(|name| format!("RATE_LIMIT_{name}_PER_MINUTE"));
        let variables: Vec<_> = limits.iter().map(|name| (name.as_str(), "0")).collect();
        // Exceeding the limit kills a process unless it ignores the signal.
        Server::in_shell("trap '' XFSZ", self.folder(), &variables)
    }
}

/// Limits the size of the files that a server can write.
fn limit_file_size(server: &Server, size: u64) {
    let id = server.program.id().try_into().unwrap();
    let limits = (size, rlimit::INFINITY);
    rlimit::prlimit(id, rlimit::Resource::FSIZE, Some(limits), None).unwrap();
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Self::Small(folder) = self {
            let unmounted = Command::new("umount").arg("--lazy").arg(folder.path()).status();
            assert!(unmounted.is_ok_and(|status| status.success()), "the small file system stays mounted");
        }
    }
}

/// Account with a project, and the acknowledged tasks.
struct Fixture<'a> {
    disk: &'a Disk,
    server: Server,
    token: String,
    project: String,
    task: String,
    /// Titles of all tasks whose creation was acknowledged.
    acknowledged: BTreeSet<String>,
    /// Keys and bodies of failed writes.
    failed: Vec<(String, String)>,
    number: u64,
}

impl Fixture<'_> {
    fn send(&self, method: &str, path: &str, extra: &str, body: &Value) -> Answer {
        let body = body.to_string();
        let extra = http::json_headers(&body) + extra;
        let answer = http::send(self.server.address, &(http::head(method, path, Some(&self.token), &extra) + &body));
        if answer.status == 503 {
            assert_eq!(answer.body["error"], "UNAVAILABLE", "{}", answer.text);
            assert!(answer.header("retry-after").is_some(), "{}", answer.head);
        }
        answer
    }

    /// Creates tasks by one request, which may fail.
    fn create(&mut self, count: usize, length: usize) -> u16 {
        let key = format!("write.{}", self.number);
        self.number += 1;
        let task = |number| json!({"title": format!("{key}.{number}"), "description": "x".repeat(length)});
        let titles: Vec<_> = (0..count).map(|number| format!("{key}.{number}")).collect();
        let (path, body) = if let [_] = titles.as_slice() {
            (format!("{}/tasks", self.project), task(0))
        } else {
            let operations: Vec<_> = (0..count)
                .map(|number| {
                    let mut operation = task(number);
                    operation["op"] = json!("create");
                    operation
                })
                .collect();
            (format!("{}/tasks/batch", self.project), json!({"operations": operations}))
        };
        let answer = self.send("POST", &path, &format!("Idempotency-Key: {key}\r\n"), &body);
        match answer.status {
            200 | 201 => self.acknowledged.extend(titles),
            503 => self.failed.push((key, titles[0].clone())),
            _ => panic!("{}\n{}", answer.head, answer.text),
        }
        answer.status
    }

    /// Sends a write that starts a transaction and rolls it back.
    fn is_refused(&self) {
        let answer = self.send("PATCH", &self.task, "If-Match: \"stale\"\r\n", &json!({"title": "Lost"}));
        assert!(matches!(answer.status, 412 | 503), "{}\n{}", answer.head, answer.text);
    }

    fn is_ready(&self) -> bool {
        let answer = http::get(self.server.address, "/health/ready", None);
        assert!(matches!(answer.status, 200 | 503), "{}", answer.text);
        answer.status == 200
    }

    /// Writes until the disk has rejected a few writes.
    fn write_until_full(&mut self) {
        let deadline = Instant::now() + TIMEOUT;
        let mut refusals = 0;
        for (count, length) in [(1, 10), (1, 10_000), (90, 10_000), (1, 10)].into_iter().cycle() {
            refusals += u32::from(self.create(count, length) == 503);
            self.is_refused();
            if refusals > 3 {
                return;
            }
            assert!(Instant::now() < deadline, "the disk does not fill up");
        }
    }

    /// Waits until readiness reports the full disk, which requires that even small writes fail.
    fn is_reported(&mut self) {
        let deadline = Instant::now() + TIMEOUT;
        while self.is_ready() {
            assert!(Instant::now() < deadline, "a full disk is not reported");
            // Fills the space left for small writes.
            self.create(1, 10);
        }
    }

    /// Asserts that everything works again.
    fn recovers(&mut self) {
        let deadline = Instant::now() + TIMEOUT;
        while !self.is_ready() {
            assert!(Instant::now() < deadline, "the server does not recover");
            park_timeout(POLL_INTERVAL);
        }
        self.is_refused();
        assert_eq!(self.create(1, 10), 201);
        let (key, title) = self.failed.pop().unwrap();
        let tasks = format!("{}/tasks", self.project);
        let body = json!({"title": title});
        let answer = self.send("POST", &tasks, &format!("Idempotency-Key: {key}\r\n"), &body);
        // The key of a failed write can be used for any request.
        assert_eq!((answer.status, answer.header("idempotency-replayed")), (201, None), "{}", answer.text);
        self.acknowledged.insert(title);
        http::get(self.server.address, &format!("/v1/tasks/{}", text(&answer.body, "id")), Some(&self.token))
            .expect(200);
    }

    /// Compares the acknowledged tasks with the contents of the file, which must be writable for another process.
    async fn is_stored(&self) {
        let mut file = open_file(&self.disk.database()).await;
        let rows = file.fetch_all("SELECT title FROM tasks").await.unwrap();
        let stored: BTreeSet<String> = rows.iter().map(|row| row.get("title")).collect();
        assert_eq!(rows.len(), stored.len(), "a task is stored twice");
        let difference: Vec<_> = stored.symmetric_difference(&self.acknowledged).take(5).collect();
        assert!(difference.is_empty(), "acknowledged or stored, but not both: {difference:?}");
        file.execute("BEGIN IMMEDIATE").await.unwrap();
        file.execute("ROLLBACK").await.unwrap();
        file.close().await.unwrap();
    }
}

/// Opens the file of a database, like another process.
pub(super) async fn open_file(file: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(file).connect().await.unwrap()
}

async fn nothing_is_lost_on(disk: Disk) {
    let server = disk.start();
    let token = text(&server.register("ada@example.com"), "access_token");
    let project = http::post(server.address, "/v1/projects", Some(&token), &json!({"name": "Kitchen"})).expect(201);
    let project = format!("/v1/projects/{}", text(&project, "id"));
    let task = json!({"title": "First"});
    let task = http::post(server.address, &format!("{project}/tasks"), Some(&token), &task).expect(201);
    let task = format!("/v1/tasks/{}", text(&task, "id"));
    let acknowledged = BTreeSet::from(["First".to_owned()]);
    let mut fixture =
        Fixture { disk: &disk, server, token, project, task, acknowledged, failed: Vec::new(), number: 0 };
    for space in SPACES {
        fixture.disk.fill(&fixture.server, space);
        fixture.write_until_full();
        if space == 0 {
            fixture.is_reported();
        }
        fixture.is_stored().await;
        fixture.disk.free(&fixture.server);
        fixture.recovers();
        fixture.is_stored().await;
    }
    fixture.server.program.signal("KILL");
    let killed = std::mem::replace(&mut fixture.server, disk.start());
    assert_eq!(killed.program.ends().status, None, "the server was not killed");
    fixture.is_stored().await;
    assert_eq!(fixture.create(1, 10), 201);
    fixture.is_stored().await;
    fixture.server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_loses_no_acknowledged_write() {
    let Some(disk) = Disk::small() else {
        // Bypasses the output capture of the test harness.
        let _ = writeln!(std::io::stderr(), "\nSKIPPED: a full disk, because no file system can be mounted here");
        return;
    };
    nothing_is_lost_on(disk).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_disk_loses_no_acknowledged_write() {
    nothing_is_lost_on(Disk::limited_files()).await;
}
