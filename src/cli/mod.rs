//! Command line: one file per subcommand.

mod audit;
mod backup;
mod database;
mod doctor;
mod failure;
mod healthcheck;
mod jobs;
mod migrate;
mod openapi;
mod operator;
mod output;
mod restore;
mod runtime;
mod seed;
mod serve;
mod tokens;
mod users;
mod webhooks;
mod worker;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::config::{Config, ConfigErrors};
use crate::server;
use crate::telemetry::{self, LogFormat};

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
    /// List, disable, enable and delete accounts, and reset passwords
    Users {
        #[command(subcommand)]
        action: users::Action,
    },
    /// List and disable webhooks
    Webhooks {
        #[command(subcommand)]
        action: webhooks::Action,
    },
    /// Revoke API tokens
    Tokens {
        #[command(subcommand)]
        action: tokens::Action,
    },
    /// Check settings, schema, integrity, keys, jobs and counters; exits with 0 or 1
    Doctor(doctor::Arguments),
    /// Create demo users, projects and tasks (development only)
    Seed,
    /// Migrate the database schema, show its status, or roll it back
    Migrate {
        #[command(subcommand)]
        action: Option<migrate::Action>,
    },
    /// Write a consistent copy of the embedded database, also while it is in use
    Backup(backup::Arguments),
    /// Replace the embedded database by a backup; or renew the cursors after another restore
    Restore(restore::Arguments),
    /// Write openapi/openapi.yaml, or check that it is up to date
    Openapi(openapi::Arguments),
    /// Check whether the local server is ready, for containers; exits with 0 or 1
    Healthcheck,
}

/// Exit status for invalid settings.
const EXIT_CONFIG: u8 = 2;

/// Time after which an idle thread for blocking work ends. The allocator returns memory to the system when a thread ends,
/// if it has been free for a second.
const THREAD_KEEP_ALIVE: Duration = Duration::from_secs(2);

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    server::install_crypto_provider();
    if let Some(Command::Openapi(arguments)) = &arguments.command {
        return finish(openapi::run(arguments), LogFormat::Pretty);
    }
    let config = Config::from_env();
    // After a `.env` file was read.
    let format = failure::format(matches!(arguments.command, None | Some(Command::Serve | Command::Worker)));
    let config = match config {
        Ok(config) => config,
        Err(errors) => return finish(Err(errors.into()), format),
    };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = match runtime.enable_all().thread_keep_alive(THREAD_KEEP_ALIVE).build() {
        Ok(runtime) => runtime,
        Err(error) => return finish(Err(error.into()), format),
    };
    let result = runtime.block_on(async {
        let result = match arguments.command {
            None | Some(Command::Serve) => serve::run(config).await,
            Some(Command::Worker) => worker::run(config).await,
            Some(Command::Jobs { action }) => jobs::run(&config, action).await,
            Some(Command::Audit(arguments)) => audit::run(&config, arguments).await,
            Some(Command::Users { action }) => users::run(config, action).await,
            Some(Command::Webhooks { action }) => webhooks::run(config, action).await,
            Some(Command::Tokens { action }) => tokens::run(config, action).await,
            Some(Command::Doctor(arguments)) => doctor::run(config, &arguments).await,
            Some(Command::Seed) => seed::run(config).await,
            Some(Command::Migrate { action }) => migrate::run(&config, action.unwrap_or_default()).await,
            Some(Command::Backup(arguments)) => backup::run(&config, arguments).await,
            Some(Command::Restore(arguments)) => restore::run(&config, arguments).await,
            Some(Command::Healthcheck) => healthcheck::run(&config).await,
            Some(Command::Openapi(arguments)) => openapi::run(&arguments),
        };
        telemetry::shutdown_traces().await;
        result
    });
    // Do not wait for blocking tasks, such as password hashing.
    runtime.shutdown_background();
    finish(result, format)
}

fn finish(result: anyhow::Result<()>, format: LogFormat) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => match error.downcast::<ConfigErrors>() {
            Ok(errors) => {
                failure::report_settings(format, &errors);
                ExitCode::from(EXIT_CONFIG)
            }
            Err(error) => {
                failure::report(format, &error);
                ExitCode::FAILURE
            }
        },
    }
}
