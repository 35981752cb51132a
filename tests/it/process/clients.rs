//! Third-party clients of the API: the official webhook verifiers, an event stream client, and the published recipes.
//!
//! `.ci/with-clients` installs them and names them in `TEST_NODE_CLIENTS` and `TEST_PYTHON_CLIENTS`. Without these
//! variables the tests are skipped with a message; with `REQUIRE_CLIENTS=1` they fail.

use std::io::Write as _;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::Once;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use super::program::Program;

#[expect(unreachable_pub, reason = "its readers take it as it is")]
#[path = "../../../openapi/recipes/verify_webhook.rs"]
mod verify_webhook;

const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients");
const RECIPES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/recipes");

/// Language of a verifier.
#[derive(Debug, Clone, Copy)]
pub(super) enum Language {
    JavaScript,
    Python,
    /// Only the recipe, which is compiled into the tests.
    Rust,
}

impl Language {
    pub(super) const ALL: [Self; 3] = [Self::JavaScript, Self::Python, Self::Rust];
}

/// Results of verifying a delivery.
#[derive(Debug)]
pub(super) struct Verdict {
    /// Error of the official library, if any; of the recipe for a language without a library.
    pub(super) official: Result<(), String>,
    /// Event returned by the recipe, or its error.
    pub(super) recipe: Result<Value, String>,
}

/// Official library of a language, together with the recipe in it.
pub(super) enum Verifier {
    Program(Program, ChildStdin),
    Rust,
}

impl Verifier {
    /// Starts a verifier; `None` if the language is not installed.
    pub(super) fn start(language: Language) -> Option<Self> {
        let mut command = match language {
            Language::JavaScript => javascript("verify.mjs")?,
            Language::Python => {
                let mut command = Command::new(variable("TEST_PYTHON_CLIENTS")?);
                command.args(["-X", "utf8", &format!("{PROGRAMS}/verify.py")]);
                command
            }
            Language::Rust => return Some(Self::Rust),
        };
        let mut program = Program::spawn(command.stdin(Stdio::piped()));
        let input = program.input().unwrap();
        Some(Self::Program(program, input))
    }

    /// Verifies a delivery at the current time.
    #[track_caller]
    pub(super) fn verify(&mut self, secret: &str, headers: &[(&str, &str)], body: &str) -> Verdict {
        self.verify_at(None, secret, headers, body)
    }

    /// Verifies a delivery at this time, in seconds. Header names are in lower case.
    #[track_caller]
    pub(super) fn verify_at(
        &mut self,
        now: Option<u64>,
        secret: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Verdict {
        let Self::Program(program, input) = self else { return recipe_in_rust(now, secret, headers, body) };
        let names: Map<_, _> = headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let delivery = json!({"secret": secret, "headers": names, "body": body, "now": now});
        writeln!(input, "{delivery}").unwrap();
        let verdict = program.until_some("a verdict", |line| serde_json::from_str::<Value>(line).ok());
        let said = |by: &str| match &verdict[by] {
            Value::Bool(true) => Ok(()),
            why => Err(why.as_str().unwrap().to_owned()),
        };
        Verdict { official: said("official"), recipe: said("recipe").map(|()| verdict["event"].clone()) }
    }
}

fn recipe_in_rust(now: Option<u64>, secret: &str, headers: &[(&str, &str)], body: &str) -> Verdict {
    let header =
        |(name, value): &(&str, &str)| -> (HeaderName, HeaderValue) { (name.parse().unwrap(), value.parse().unwrap()) };
    let headers: HeaderMap = headers.iter().map(header).collect();
    let now = now.map_or_else(SystemTime::now, |now| UNIX_EPOCH + Duration::from_secs(now));
    let recipe = verify_webhook::verify(secret, &headers, body.as_bytes(), now).map_err(|error| error.to_string());
    Verdict { official: recipe.as_ref().map(|_| ()).map_err(Clone::clone), recipe }
}

/// Result of compiling the TypeScript recipe in strict mode; `None` if it is not installed.
pub(super) fn check_types() -> Option<Program> {
    let packages = format!("{}/node_modules", variable("TEST_NODE_CLIENTS")?);
    let mut command = Command::new("node");
    command.arg(format!("{packages}/typescript/bin/tsc"));
    command.args(["--noEmit", "--strict", "--noUncheckedIndexedAccess", "--exactOptionalPropertyTypes"]);
    command.args(["--noUnusedLocals", "--noUnusedParameters", "--skipLibCheck", "--target", "es2022"]);
    command.args(["--module", "nodenext", "--types", "node", "--typeRoots", &format!("{packages}/@types")]);
    Some(Program::spawn(command.arg(format!("{RECIPES}/verify_webhook.ts")).stdin(Stdio::null())))
}

/// Client that stays connected to an event stream until the test ends.
pub(super) struct EventClient {
    program: Program,
    input: ChildStdin,
}

impl EventClient {
    /// Connects a client, optionally after an event; `None` if it is not installed.
    pub(super) fn start(url: &str, token: &str, last_event_id: Option<&str>) -> Option<Self> {
        Some(Self::spawn(javascript("events.mjs")?.arg(url).args(last_event_id).env("TOKEN", token)))
    }

    /// Follows the feed from a cursor by the published recipe; `None` if it is not installed.
    pub(super) fn follow(api: &str, cursor: &str) -> Option<Self> {
        Some(Self::spawn(javascript("follow.mjs")?.args([api, cursor])))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut program = Program::spawn(command.stdin(Stdio::piped()));
        let input = program.input().unwrap();
        Self { program, input }
    }

    /// Next message: `{"type", "lastEventId", "data"}`, `{"open": n}`, or `{"error": code or null}`.
    #[track_caller]
    pub(super) fn next(&mut self) -> Value {
        self.program.until_some("an event", |line| serde_json::from_str(line).ok())
    }

    /// Stops the client and returns all messages.
    #[track_caller]
    pub(super) fn stop(self) -> Vec<Value> {
        drop(self.input);
        self.program.ends().succeeded().log()
    }
}

/// Client that sends bodies that the server does not read; `None` if it is not installed.
pub(super) fn unread_bodies(language: &str, port: u16, rounds: usize) -> Option<Program> {
    let mut command = match language {
        "JavaScript" => javascript("unread_bodies.mjs")?,
        "JavaScript over HTTP/2" => {
            let mut command = javascript("unread_bodies.mjs")?;
            command.args([port.to_string(), rounds.to_string()]).arg("http2");
            return Some(Program::spawn(command.stdin(Stdio::null())));
        }
        _ => {
            let mut command = Command::new(variable("TEST_PYTHON_CLIENTS")?);
            command.arg(format!("{PROGRAMS}/unread_bodies.py"));
            command
        }
    };
    Some(Program::spawn(command.args([port.to_string(), rounds.to_string()]).stdin(Stdio::null())))
}

/// nginx with a configuration; `None` if it is not installed.
pub(super) fn nginx(folder: &Path, configuration: &Path) -> Option<Program> {
    let mut command = Command::new(variable("TEST_NGINX")?);
    command.arg("-p").arg(folder).arg("-c").arg(configuration).args(["-e", "stderr"]);
    Some(Program::spawn(command.stdin(Stdio::null())))
}

fn javascript(program: &str) -> Option<Command> {
    // The program reads the variable too.
    variable("TEST_NODE_CLIENTS")?;
    let mut command = Command::new("node");
    command.arg(format!("{PROGRAMS}/{program}"));
    Some(command)
}

fn variable(name: &str) -> Option<String> {
    static SAID: Once = Once::new();
    let value = std::env::var(name).ok().filter(|value| !value.is_empty());
    if value.is_none() {
        assert!(std::env::var_os("REQUIRE_CLIENTS").is_none(), "{name} is not set, and it is required");
        // Bypasses the output capture of the test harness.
        SAID.call_once(|| {
            let _ = writeln!(
                std::io::stderr(),
                "\nSKIPPED: every test with clients of others, because {name} is not set. \
                 With them: .ci/with-clients make test"
            );
        });
    }
    value
}
