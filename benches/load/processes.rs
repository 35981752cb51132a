//! Servers under load, each a separate process: the release build of the product, and this executable as the baseline.
//! Processes never outlive their value.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::client::{self, Connection};

/// The product, built in release mode.
const PROGRAM: &str = env!("CARGO_BIN_EXE_pocket-tasks");
/// Argument that makes this executable the baseline.
pub(crate) const BARE: &str = "bare";
/// Variable with the port of the baseline.
pub(crate) const PORT: &str = "PORT";
/// Variable with the database of the baseline.
pub(crate) const DATABASE_URL: &str = "DATABASE_URL";
/// Variable with the user of the baseline.
pub(crate) const USER: &str = "USER_ID";

/// Timeout of the start of a server.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Running server, killed when dropped.
pub(crate) struct Server {
    child: Child,
    /// Address of the server.
    pub(crate) address: SocketAddr,
    /// Time from the start of the process to its first response.
    pub(crate) start: Duration,
}

impl Server {
    /// Starts the product without the environment of the benchmark, and waits until it is ready.
    pub(crate) async fn product(database_url: &str, folder: &Path) -> Result<Self> {
        Self::start(&mut product(database_url, folder)).await.context("starting pocket-tasks")
    }

    /// Starts the baseline and waits until it is ready.
    pub(crate) async fn bare(database_url: &str, user: &str) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(BARE).env(DATABASE_URL, database_url).env(USER, user);
        Self::start(&mut command).await.context("starting the bare handler")
    }

    async fn start(command: &mut Command) -> Result<Self> {
        let address = free_address()?;
        command.env(PORT, address.port().to_string()).stdin(Stdio::null()).stdout(Stdio::null());
        let begin = Instant::now();
        let mut server = Self { child: command.spawn()?, address, start: Duration::ZERO };
        let request = client::get("/health/ready", "");
        while begin.elapsed() < TIMEOUT {
            if let Ok(mut connection) = Connection::open(address).await {
                connection.exchange(&request).await?;
                server.start = begin.elapsed();
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait()? {
                bail!("it ended with {status}");
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        bail!("it was not ready in {} s", TIMEOUT.as_secs())
    }

    /// Resident memory in MB, if the system reports it.
    pub(crate) fn resident_megabytes(&self) -> Option<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kibibytes: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kibibytes * 1_024.0 / 1_000_000.0)
    }

    /// CPU time of the process, if the system reports it. The resolution of 10 ms requires many requests.
    pub(crate) fn processor_time(&self) -> Option<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        // The name of the program, in parentheses, may contain anything.
        let (_, fields) = stat.rsplit_once(')')?;
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>().ok()?;
        Some(Duration::from_millis(ticks * 10))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if the process has ended already.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// Migrates a database by the command.
pub(crate) fn migrate(database_url: &str, folder: &Path) -> Result<()> {
    let status: ExitStatus = product(database_url, folder).arg("migrate").stdout(Stdio::null()).status()?;
    ensure!(status.success(), "pocket-tasks migrate ended with {status}");
    Ok(())
}

fn product(database_url: &str, folder: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    // Runs in the folder too, so that no `.env` of a developer is read.
    command.current_dir(folder).env_clear().env("DATA_DIR", folder).env(DATABASE_URL, database_url).envs([
        ("HOST", "127.0.0.1"),
        ("LOG_FORMAT", "json"),
        ("BCRYPT_COST", "4"),
        ("RATE_LIMIT_AUTH_PER_MINUTE", "0"),
        ("RATE_LIMIT_REFRESH_PER_MINUTE", "0"),
        ("RATE_LIMIT_API_PER_MINUTE", "0"),
    ]);
    command
}

/// Address with a free port. If another process takes it first, the server fails to start.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
