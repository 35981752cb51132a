//! Real SMTP server: `tests/smtp/server.py`, run by the Python named in `TEST_SMTP_PYTHON`.
//!
//! Without that variable the tests are skipped with a message; with `REQUIRE_SMTP=1` they fail.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::Once;

use serde_json::Value;
use tempfile::TempDir;

use super::program::Program;
use crate::support::Mail;

/// Mail server of a single test, which ends with it.
pub(super) struct MailServer {
    pub(super) port: u16,
    program: Program,
    input: ChildStdin,
    folder: TempDir,
}

/// Accepted e-mail.
pub(super) struct Received {
    pub(super) mail: Mail,
    /// Further information from the server.
    pub(super) event: Value,
}

impl MailServer {
    /// Starts a server with these options; `None` if Python is not installed.
    #[track_caller]
    pub(super) fn start(options: &[&str]) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(python()?);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/smtp/server.py"));
        command.arg("--folder").arg(folder.path()).args(options).stdin(Stdio::piped());
        let mut program = Program::spawn(&mut command);
        let input = program.input().unwrap();
        let listening = program.until_some("listening", event("listening"));
        let port = listening["port"].as_u64().and_then(|port| port.try_into().ok()).unwrap();
        Some(Self { port, program, input, folder })
    }

    /// URL of the server, without credentials.
    pub(super) fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// Certificate of the authority that signed the server's certificate.
    pub(super) fn authority(&self) -> String {
        self.file("ca.pem").display().to_string()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Sets the behaviour for further e-mails, and skips earlier events.
    #[track_caller]
    pub(super) fn tell(&mut self, conduct: &str) {
        writeln!(self.input, "{conduct}").unwrap();
        self.until("changed");
    }

    /// Reads until an event with this name.
    #[track_caller]
    pub(super) fn until(&mut self, name: &str) -> Value {
        self.program.until_some(name, event(name))
    }

    /// Next accepted e-mail.
    #[track_caller]
    pub(super) fn next(&mut self) -> Received {
        let event = self.until("mail");
        Received { mail: Mail::read(event["content"].as_str().unwrap()), event }
    }

    /// Next e-mails of a registration: the welcome and the verification.
    #[track_caller]
    pub(super) fn welcome_and_verification(&mut self) -> [Received; 2] {
        let mut mails = [self.next(), self.next()];
        mails.sort_by(|one, other| other.mail.subject.cmp(&one.mail.subject));
        let subjects = mails.each_ref().map(|received| received.mail.subject.as_str());
        assert_eq!(subjects, ["Welcome to Pocket Tasks", "Confirm your e-mail address"]);
        mails
    }

    /// Stops the server and returns all events.
    #[track_caller]
    pub(super) fn stop(self) -> Vec<Value> {
        drop(self.input);
        self.program.ends().log()
    }
}

fn event(name: &str) -> impl Fn(&str) -> Option<Value> {
    move |line| serde_json::from_str(line).ok().filter(|event: &Value| event["event"] == name)
}

fn python() -> Option<String> {
    static SAID: Once = Once::new();
    let python = std::env::var("TEST_SMTP_PYTHON").ok().filter(|python| !python.is_empty());
    if python.is_none() {
        assert!(std::env::var_os("REQUIRE_SMTP").is_none(), "TEST_SMTP_PYTHON is not set, and it is required");
        // Bypasses the output capture of the test harness.
        SAID.call_once(|| {
            let _ = writeln!(
                std::io::stderr(),
                "\nSKIPPED: every test with a mail server, because TEST_SMTP_PYTHON is not set. \
                 With a mail server: .ci/with-mail-server make test"
            );
        });
    }
    python
}
