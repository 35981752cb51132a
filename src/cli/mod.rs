//! Command line: one file per subcommand.

mod audit;
mod healthcheck;
mod jobs;
mod migrate;
mod openapi;
mod output;
mod runtime;
mod seed;
mod serve;
mod worker;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::output::print_error;
use crate::config::{Config, ConfigErrors};
use crate::server;

/// A task and project API: one binary, SQLite or PostgreSQL.
///
/// Serves the API if no subcommand is given. Configured by environment variables; see README.md.
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
    /// Run jobs without serving the API
    Worker,
    /// List unfinished jobs or retry them
    Jobs {
        #[command(subcommand)]
        action: jobs::Action,
    },
    /// List the audit log: logins, passwords, tokens, webhooks, roles and deletions
    Audit(audit::Arguments),
    /// Create demo users, projects and tasks (development only)
    Seed,
    /// Migrate the database schema or show its status
    Migrate {
        #[command(subcommand)]
        action: Option<migrate::Action>,
    },
    /// Write openapi/openapi.yaml, or check that it is up to date
    Openapi(openapi::Arguments),
    /// Check whether the local server is ready, for containers; exits with 0 or 1
    Healthcheck,
}

/// Exit status for invalid settings.
const EXIT_CONFIG: u8 = 2;

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    server::install_crypto_provider();
    if let Some(Command::Openapi(arguments)) = &arguments.command {
        return finish(openapi::run(arguments));
    }
    let config = match Config::from_env() {
        Ok(config) => config,
        Err(errors) => return finish(Err(errors.into())),
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
            Some(Command::Audit(arguments)) => audit::run(&config, arguments).await,
            Some(Command::Seed) => seed::run(config).await,
            Some(Command::Migrate { action }) => migrate::run(&config, action.unwrap_or_default()).await,
            Some(Command::Healthcheck) => healthcheck::run(&config).await,
            Some(Command::Openapi(arguments)) => openapi::run(&arguments),
        }
    });
    // Do not wait for blocking tasks, such as password hashing.
    runtime.shutdown_background();
    finish(result)
}

fn finish(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => match error.downcast::<ConfigErrors>() {
            Ok(errors) => {
                print_error(&format!("Invalid settings:\n{errors}"));
                ExitCode::from(EXIT_CONFIG)
            }
            Err(error) => {
                print_error(&format!("error: {error:#}\n"));
                ExitCode::FAILURE
            }
        },
    }
}
