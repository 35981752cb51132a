//! The program as a child process, which is killed at the end of its test.
//!
//! Nothing here sleeps: threads read the output, and every wait has a deadline.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::http;
use crate::support::Random;

/// Timeout, generous for slow machines.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

/// Maximum number of rounds of a test that kills the program, should chance not show what the test is about.
pub(super) const MAX_ROUNDS: usize = 100;

/// Returns a random moment to kill the program, at most `latest` after its first request.
///
/// Additional rounds kill later and later, so that a slow program gets as far as the test needs.
pub(super) fn kill_moment(random: &mut Random, latest_micros: u64, round: usize) -> Duration {
    let factor = 1 + round.saturating_sub(rounds()) as u64;
    Duration::from_micros(random.next() % (latest_micros * factor))
}

/// Returns the number of rounds of a test that kills the program: a few, or `CHAOS_ROUNDS` (see `make chaos`).
pub(super) fn rounds() -> usize {
    std::env::var("CHAOS_ROUNDS").map_or(4, |rounds| rounds.parse().expect("CHAOS_ROUNDS is a number"))
}

/// Running program.
pub(super) struct Program {
    child: Child,
    output: Receiver<String>,
    read: Vec<String>,
    errors: Option<JoinHandle<String>>,
}

/// Output of a program that has ended.
pub(super) struct Ended {
    /// Exit status; `None` if a signal ended it.
    pub(super) status: Option<i32>,
    pub(super) output: Vec<String>,
    pub(super) errors: String,
}

impl Program {
    /// Starts the program in a folder with exactly these environment variables.
    pub(super) fn start(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pocket-tasks"));
        command.args(arguments).env_clear().envs(variables.iter().copied());
        Self::spawn(command.current_dir(folder).stdin(Stdio::null()))
    }

    /// Starts an arbitrary program.
    pub(super) fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (lines, output) = channel();
        thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| lines.send(line))
        });
        let errors = thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        Self { child, output, read: Vec::new(), errors: Some(errors) }
    }

    /// Reads until the log has this message, and returns its line.
    #[track_caller]
    pub(super) fn until(&mut self, message: &str) -> Value {
        self.until_some(message, |line| {
            serde_json::from_str(line).ok().filter(|entry: &Value| entry["message"] == message)
        })
    }

    /// Reads until a line contains this text.
    #[track_caller]
    pub(super) fn until_text(&mut self, text: &str) {
        self.until_some(text, |line| line.contains(text).then_some(()));
    }

    /// Standard input, if it is a pipe.
    pub(super) fn input(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Waits for more output, or for a short time.
    pub(super) fn says_something(&mut self) {
        self.read.extend(self.output.recv_timeout(Duration::from_millis(200)).ok());
    }

    #[track_caller]
    pub(super) fn until_some<T>(&mut self, what: &str, pick: impl Fn(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            match self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    let picked = pick(&line);
                    self.read.push(line);
                    if let Some(picked) = picked {
                        return picked;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("{what:?} is not logged: {:#?}", self.read),
                Err(RecvTimeoutError::Disconnected) => {
                    let errors = self.errors.take().unwrap().join().unwrap();
                    panic!("the program ended before {what:?}: {errors}\n{:#?}", self.read)
                }
            }
        }
    }

    /// Process id.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success(), "{kill}");
    }

    /// Waits until the program ends by itself.
    #[track_caller]
    pub(super) fn ends(mut self) -> Ended {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            match self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.read.push(line),
                // The end of the process closes the output.
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("the program does not end: {:#?}", self.read),
            }
        }
        let status = self.child.wait().unwrap().code();
        let errors = self.errors.take().unwrap().join().unwrap();
        Ended { status, output: std::mem::take(&mut self.read), errors }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Fails if the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// The log, with one JSON object per line.
    #[track_caller]
    pub(super) fn log(&self) -> Vec<Value> {
        let parse = |line: &String| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        self.output.iter().map(parse).collect()
    }

    #[track_caller]
    pub(super) fn succeeded(self) -> Self {
        assert_eq!((self.status, self.errors.as_str()), (Some(0), ""), "{:#?}", self.output);
        self
    }
}

/// Runs the program to its end.
#[track_caller]
pub(super) fn run(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    Program::start(folder, arguments, variables).ends()
}

/// Program that serves the API.
pub(super) struct Server {
    pub(super) program: Program,
    pub(super) address: SocketAddr,
}

impl Server {
    /// Starts a server on a free port with its data in the folder.
    #[track_caller]
    pub(super) fn start(folder: &Path, variables: &[(&str, &str)]) -> Self {
        Self::starting(folder, variables).into_server()
    }

    /// Starts a server that also serves metrics, and returns their address too.
    #[track_caller]
    pub(super) fn with_metrics(folder: &Path, variables: &[(&str, &str)]) -> (Self, SocketAddr) {
        let variables = [variables, &[("METRICS_ADDR", "127.0.0.1:0")]].concat();
        let Starting(mut program) = Self::starting(folder, &variables);
        // In any order.
        let [first, second] = [listening_address(&mut program), listening_address(&mut program)];
        let is_first = http::get(first, "/metrics", None).status == 200;
        let (address, metrics) = if is_first { (second, first) } else { (first, second) };
        (Self { program, address }, metrics)
    }

    /// Starts a server in a shell with a soft limit on open files.
    #[track_caller]
    pub(super) fn with_few_files(count: u32, folder: &Path, variables: &[(&str, &str)]) -> Self {
        Self::in_shell(&format!("ulimit -Sn {count}"), folder, variables)
    }

    /// Starts a server in a shell after a command that changes the inherited environment.
    #[track_caller]
    pub(super) fn in_shell(before: &str, folder: &Path, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new("sh");
        let script = format!("{before} && exec \"$0\"");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_pocket-tasks")]).env_clear().envs(with_defaults(variables));
        Starting(Program::spawn(command.current_dir(folder).stdin(Stdio::null()))).into_server()
    }

    /// Starts a server without waiting for it to listen.
    pub(super) fn starting(folder: &Path, variables: &[(&str, &str)]) -> Starting {
        Starting(Program::start(folder, &[], &with_defaults(variables)))
    }

    /// Registers an account and returns the response.
    #[track_caller]
    pub(super) fn register(&self, email: &str) -> Value {
        let body = json!({"email": email, "name": "Ada", "password": "correct horse"});
        http::post(self.address, "/v1/auth/register", None, &body).expect(201)
    }

    #[track_caller]
    pub(super) fn stop(self) -> Ended {
        self.program.signal("TERM");
        self.program.ends().succeeded()
    }
}

/// These variables and the default ones.
fn with_defaults<'a>(variables: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let defaults = [
        ("DATA_DIR", "data"),
        ("PORT", "0"),
        ("LOG_FORMAT", "json"),
        ("BCRYPT_COST", "4"),
        ("MAIL_PER_RECIPIENT_PER_HOUR", "0"),
        ("MAIL_PER_RECIPIENT_PER_DAY", "0"),
    ];
    defaults.iter().chain(variables).copied().collect()
}

/// Server that has not started to listen.
pub(super) struct Starting(Program);

impl Starting {
    #[track_caller]
    pub(super) fn into_server(mut self) -> Server {
        let address = listening_address(&mut self.0);
        Server { program: self.0, address }
    }
}

/// Returns the next address on which a program listens.
#[track_caller]
fn listening_address(program: &mut Program) -> SocketAddr {
    program.until("listening")["server.address"].as_str().unwrap().parse().unwrap()
}
