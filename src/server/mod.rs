//! HTTP server for any poem endpoint: HTTP/1.1 and HTTP/2 without TLS (prior knowledge).
//!
//! `poem::Server` has neither a header timeout nor a connection limit, spins when `accept` fails, and can wait for ever
//! at shutdown. This server bounds the time for which any client holds a connection, makes excess connections wait, and
//! runs no handler after `serve` has returned or was dropped.
//!
//! It knows nothing about the API. A malformed request is answered by hyper with an empty body: 400, 431 for a large
//! head, or 414 for a long target. A head that does not arrive in time gets no response.

mod accept;
mod activity;
mod address;
mod body;
mod connection;
mod limits;
mod task_group;

use std::{io, sync::Arc, time::Duration};

use poem::IntoEndpoint;
use tokio::{net::TcpListener, sync::Semaphore, time::timeout};
use tokio_util::sync::CancellationToken;

use self::{accept::Acceptor, connection::ConnectionHandler, task_group::TaskGroup};

pub use self::{address::reachable, limits::Limits};

/// Time limit for aborted tasks, which end at their next await.
const ABORT_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves an endpoint until `shutdown` is cancelled and all connections are closed.
///
/// At shutdown the listener and idle connections close at once. Requests in flight may finish within
/// `limits.shutdown_grace` and are then dropped. Dropping the future drops all connections.
///
/// # Errors
///
/// Returns an error if the listener has no local address. Failed accepts are logged and retried.
pub async fn serve<E>(listener: TcpListener, endpoint: E, limits: Limits, shutdown: CancellationToken) -> io::Result<()>
where
    E: IntoEndpoint,
    E::Endpoint: 'static,
{
    let address = listener.local_addr()?;
    tracing::info!(server.address = %address, "listening");

    let tasks = TaskGroup::default();
    let _abort_when_dropped = tasks.abort_on_drop();
    let connections = ConnectionHandler::new(endpoint.into_endpoint(), limits, shutdown.clone(), tasks.clone());

    shutdown.run_until_cancelled(accept_all(listener, connections, limits.max_connections)).await;
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
    max_connections: usize,
) {
    let slots = Arc::new(Semaphore::new(max_connections.clamp(1, Semaphore::MAX_PERMITS)));
    let mut acceptor = Acceptor::new(listener);
    // The slot is acquired first: a connection that cannot be served stays in the backlog and takes no descriptor.
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        let (stream, peer) = acceptor.accept().await;
        connections.open(stream, peer, slot);
    }
}
