//! HTTP server for any poem endpoint: HTTP/1.1 and HTTP/2, with TLS (chosen by ALPN) or without (prior knowledge).
//!
//! `poem::Server` has neither a header timeout nor a connection limit, spins when `accept` fails, and can wait for ever
//! at shutdown. This server bounds the time for which any client holds a connection, makes excess connections wait, and
//! runs no handler after `serve` has returned or was dropped. Connections share a limited number of slots (see `slots`).
//!
//! It knows nothing about the API. A malformed request is rejected with a response that its user formats: 400, 431 for a
//! large head, or 414 for a long target. A head that does not arrive in time gets no response.

mod accept;
mod activity;
mod address;
mod body;
mod client_io;
mod connection;
mod limits;
mod local_client;
mod protocol;
mod shutdown;
mod slots;
mod socket;
mod task_group;
mod tls;

use std::{io, sync::Arc, time::Duration};

use poem::IntoEndpoint;
use tokio::{net::TcpListener, time::timeout};

use self::{accept::Acceptor, connection::ConnectionHandler, slots::Slots, task_group::TaskGroup};

pub use self::{
    address::reachable,
    client_io::Rejection,
    connection::Reserved,
    limits::Limits,
    local_client::connect_unverified,
    shutdown::Shutdown,
    tls::{Tls, TlsError, TlsFiles, install_crypto_provider},
};

/// Time limit for aborted tasks, which end at their next await.
const ABORT_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves an endpoint until `shutdown` is closing and all connections are closed, by HTTPS if there is `tls`. Each of its
/// responses must have an `x-request-id`.
///
/// When `shutdown` is closing, the listener and idle connections close at once. Requests in flight may finish within
/// `limits.shutdown_grace` and are then dropped. Dropping the future drops all connections.
///
/// # Errors
///
/// Returns an error if the listener has no local address. Failed accepts are logged and retried.
pub async fn serve<E>(
    listener: TcpListener,
    endpoint: E,
    rejection: Rejection,
    limits: Limits,
    tls: Option<Tls>,
    shutdown: Shutdown,
) -> io::Result<()>
where
    E: IntoEndpoint,
    E::Endpoint: 'static,
{
    let address = listener.local_addr()?;
    tracing::info!(server.address = %address, "listening");

    let tasks = TaskGroup::default();
    let _abort_when_dropped = tasks.abort_on_drop();
    let slots = Slots::new(&limits);
    let connections =
        ConnectionHandler::new(endpoint.into_endpoint(), rejection, limits, tls, shutdown.clone(), tasks.clone());

    shutdown.closing.run_until_cancelled(accept_all(listener, connections, slots)).await;
    tracing::info!(server.address = %address, "stopped listening, finishing requests in flight");

    if timeout(limits.shutdown_grace, tasks.wait()).await.is_err() {
        tracing::warn!(server.address = %address, server.tasks = tasks.len(), "grace period is over, dropping requests in flight");
        tasks.abort();
        if timeout(ABORT_TIMEOUT, tasks.wait()).await.is_err() {
            tracing::error!(server.address = %address, server.tasks = tasks.len(), "failed to drop requests in flight");
        }
    }
    Ok(())
}

/// Accepts connections for ever. Dropping the future closes the listener.
async fn accept_all<E: poem::Endpoint + 'static>(
    listener: TcpListener,
    connections: ConnectionHandler<E>,
    slots: Arc<Slots>,
) {
    let mut acceptor = Acceptor::new(listener);
    loop {
        let (stream, peer) = acceptor.accept().await;
        // While this waits, further connections stay in the backlog and take no descriptor.
        if let Some(slot) = slots.admit(peer.ip()).await {
            connections.open(stream, peer, slot);
        }
    }
}
