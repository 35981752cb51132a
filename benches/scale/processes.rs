//! The server under load: the release build, in a process that ends with its handle.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::client::{self, Connection};

/// Environment variable with the path of a server to measure, instead of the one beside this program.
const VARIABLE: &str = "POCKET_TASKS_BIN";
const STARTUP_TIMEOUT: Duration = Duration::from_secs(20);

/// A running server; dropping the handle ends it.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts the server, without the environment of the benchmark, and waits until it is ready.
    pub(crate) async fn start(database_url: &str, folder: &Path) -> Result<Self> {
        Self::start_with(database_url, folder, &[]).await
    }

    /// Starts the server with further settings.
    pub(crate) async fn start_with(database_url: &str, folder: &Path, settings: &[(&str, &str)]) -> Result<Self> {
        let mut program = program(database_url, folder)?;
        Self::spawn(program.envs(settings.iter().copied())).await.context("starting pocket-tasks")
    }

    async fn spawn(command: &mut Command) -> Result<Self> {
        let address = free_address()?;
        command.env("PORT", address.port().to_string()).stdin(Stdio::null()).stdout(Stdio::null());
        let begin = Instant::now();
        let mut server = Self { child: command.spawn()?, address };
        let request = client::get("/health/ready", "");
        while begin.elapsed() < STARTUP_TIMEOUT {
            if let Ok(mut connection) = Connection::open(address).await {
                connection.exchange(&request).await?;
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait()? {
                bail!("the server ended with {status}");
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        bail!("the server was not ready within {} s", STARTUP_TIMEOUT.as_secs())
    }

    /// Returns the resident memory in megabytes, or `None` without `/proc`.
    pub(crate) fn resident_megabytes(&self) -> Option<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kibibytes: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kibibytes * 1_024.0 / 1_000_000.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if the server has ended already.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// Migrates a database by the command that operators use.
pub(crate) fn migrate(database_url: &str, folder: &Path) -> Result<()> {
    let status: ExitStatus = program(database_url, folder)?.arg("migrate").stdout(Stdio::null()).status()?;
    ensure!(status.success(), "pocket-tasks migrate ended with {status}");
    Ok(())
}

fn program(database_url: &str, folder: &Path) -> Result<Command> {
    let path = match std::env::var_os(VARIABLE) {
        Some(path) => PathBuf::from(path),
        None => std::env::current_exe()?.with_file_name("pocket-tasks"),
    };
    let path = path.canonicalize().with_context(|| format!("{} is missing", path.display()))?;
    let mut command = Command::new(path);
    // The working directory must not contain a developer's `.env`.
    command.current_dir(folder).env_clear().env("DATA_DIR", folder).env("DATABASE_URL", database_url).envs([
        ("HOST", "127.0.0.1"),
        ("LOG_FORMAT", "json"),
        ("BCRYPT_COST", "4"),
        ("RATE_LIMIT_AUTH_PER_MINUTE", "0"),
        ("RATE_LIMIT_REFRESH_PER_MINUTE", "0"),
        ("RATE_LIMIT_API_PER_MINUTE", "0"),
        ("MAX_CONNECTIONS_PER_ADDRESS", "0"),
        ("MAIL_PER_RECIPIENT_PER_HOUR", "0"),
        ("MAIL_PER_RECIPIENT_PER_DAY", "0"),
        ("INVITATIONS_PER_USER_PER_DAY", "0"),
        ("LOGIN_FAILURES_PER_MINUTE", "0"),
        ("LOGIN_FAILURES_PER_HOUR", "0"),
    ]);
    Ok(command)
}

/// Returns an address whose port is free. If another process takes it first, the server ends with an error.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
