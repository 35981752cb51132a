//! A real SMTP server: `tests/smtp/server.py`, run by the Python that `TEST_SMTP_PYTHON` names.
//!
//! Without that variable the tests that need it are skipped, and the run says so; with `REQUIRE_SMTP=1` they fail
//! instead.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::Once;

use serde_json::Value;
use tempfile::TempDir;

use super::program::Program;
use crate::support::Mail;

/// A mail server of a test's own, which ends with it.
pub(super) struct MailServer {
    pub(super) port: u16,
    program: Program,
    input: ChildStdin,
    folder: TempDir,
}

/// A mail that the server took.
pub(super) struct Received {
    pub(super) mail: Mail,
    /// What else the server knows of it.
    pub(super) event: Value,
}

impl MailServer {
    /// Starts one with these options; `None` where there is no Python for it.
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

    /// Its URL, without user and password.
    pub(super) fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// The certificate of the authority that signed its own.
    pub(super) fn authority(&self) -> String {
        self.file("ca.pem").display().to_string()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Says what is to be done with mails from now on, and passes over what happened before.
    #[track_caller]
    pub(super) fn tell(&mut self, conduct: &str) {
        writeln!(self.input, "{conduct}").unwrap();
        self.until("changed");
    }

    /// Reads on until this happens.
    #[track_caller]
    pub(super) fn until(&mut self, name: &str) -> Value {
        self.program.until_some(name, event(name))
    }

    /// The next mail that it takes.
    #[track_caller]
    pub(super) fn next(&mut self) -> Received {
        let event = self.until("mail");
        Received { mail: Mail::read(event["content"].as_str().unwrap()), event }
    }

    /// The next mails of a registration: the one that welcomes, and the one that wants a proof of the address.
    #[track_caller]
    pub(super) fn welcome_and_verification(&mut self) -> [Received; 2] {
        let mut mails = [self.next(), self.next()];
        mails.sort_by(|one, other| other.mail.subject.cmp(&one.mail.subject));
        let subjects = mails.each_ref().map(|received| received.mail.subject.as_str());
        assert_eq!(subjects, ["Welcome to Pocket Tasks", "Confirm your e-mail address"]);
        mails
    }

    /// Stops it, and gives all that happened.
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
        // Past the capture of the test harness, which keeps quiet about tests that pass.
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
