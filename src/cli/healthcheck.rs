//! `pocket-tasks healthcheck`: checks whether the local server is ready.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::config::Config;
use crate::server;

/// Time limit of the check. A server that does not respond is unhealthy.
const TIMEOUT: Duration = Duration::from_secs(3);

pub(super) async fn run(config: &Config) -> anyhow::Result<()> {
    let host = match config.host {
        IpAddr::V4(any) if any.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(any) if any.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        host => host,
    };
    let is_tls = config.tls.is_some();
    let status = tokio::time::timeout(TIMEOUT, fetch_status(host, config.port, is_tls))
        .await
        .context("no response in time")??;
    if status.contains(" 200 ") { Ok(()) } else { bail!("not ready: {status}") }
}

/// Returns the status line of the readiness check.
async fn fetch_status(host: IpAddr, port: u16, is_tls: bool) -> anyhow::Result<String> {
    let stream = TcpStream::connect((host, port)).await.with_context(|| format!("connecting to {host}:{port}"))?;
    if is_tls {
        // Certificates are issued for the public name, not for this address.
        request_status(server::connect_unverified(stream, host).await.context("TLS handshake")?).await
    } else {
        request_status(stream).await
    }
}

async fn request_status(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> anyhow::Result<String> {
    stream.write_all(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut response = Vec::new();
    stream.take(4_096).read_to_end(&mut response).await?;
    let response = String::from_utf8_lossy(&response);
    Ok(response.lines().next().unwrap_or_default().to_owned())
}
