//! The command line: one file per subcommand.

mod healthcheck;
mod jobs;
mod migrate;
mod openapi;
mod runtime;
mod seed;
mod serve;
mod worker;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Config;

/// A task and project API: one binary, SQLite or PostgreSQL.
///
/// Without a subcommand it serves. Settings are environment variables; README.md has the table of them.
#[derive(Parser)]
#[command(name = "pocket-tasks", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API (the default)
    Serve,
    /// Run jobs, and do not serve
    Worker,
    /// List the jobs that are not done, or try them again
    Jobs {
        #[command(subcommand)]
        action: jobs::Action,
    },
    /// Make demo users, projects and tasks; not in production
    Seed,
    /// Bring the schema of the database up to date, or show how it stands
    Migrate {
        #[command(subcommand)]
        action: Option<migrate::Action>,
    },
    /// Write the OpenAPI document to openapi/openapi.yaml, or check that it is current; needs no database
    Openapi(openapi::Arguments),
    /// Ask the server on this machine whether it is ready, for containers: exits with 0 or 1
    Healthcheck,
}

/// The exit status when the settings are wrong.
const EXIT_CONFIG: u8 = 2;

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(Command::Openapi(arguments)) = &arguments.command {
        return finish(openapi::run(arguments));
    }
    let config = match Config::from_env() {
        Ok(config) => config,
        Err(problems) => {
            print_error(&format!("The settings are not right:\n{problems}"));
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return finish(Err(error.into())),
    };
    let result = runtime.block_on(async {
        match arguments.command {
            None | Some(Command::Serve) => serve::run(config).await,
            Some(Command::Worker) => worker::run(config).await,
            Some(Command::Jobs { action }) => jobs::run(&config, action).await,
            Some(Command::Seed) => seed::run(config).await,
            Some(Command::Migrate { action }) => migrate::run(&config, action.unwrap_or_default()).await,
            Some(Command::Healthcheck) => healthcheck::run(&config).await,
            Some(Command::Openapi(arguments)) => openapi::run(&arguments),
        }
    });
    // Work on other threads, such as hashing a password, is not waited for.
    runtime.shutdown_background();
    finish(result)
}

fn finish(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(&format!("error: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "the command line speaks to a person")]
fn print_error(text: &str) {
    eprint!("{text}");
}

fn print_line(text: &str) {
    // Who reads may have seen enough, like `head`, which is no reason to panic as `println!` does.
    let _ = writeln!(std::io::stdout(), "{text}");
}
