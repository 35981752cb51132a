//! The accept loop: serves any poem endpoint over HTTP/1.1 and HTTP/2 without TLS (prior knowledge).
//!
//! It exists because `poem::Server` has neither a header timeout nor a connection cap, spins when `accept` fails, and
//! can wait for ever at shutdown. Guaranteed here: no client holds a connection without bound, whether it is silent,
//! drips its bytes or never reads; an overload waits instead of failing; and once `serve` has returned or was dropped,
//! no handler is running any more.
//!
//! It must not know what it serves: no route, no error envelope, no configuration. Hence a request that is not HTTP
//! gets hyper's own answer with an empty body and the connection closes: 400 when malformed, 431 when the head is too
//! large, 414 when the target is. There is no request yet at that point, so no envelope is possible. A head that does
//! not arrive in time gets no answer at all.

mod accept;
mod activity;
mod body;
mod connection;
mod event_stream;
mod handover;
mod limits;
mod tasks;

use std::{io, sync::Arc, time::Duration};

use poem::IntoEndpoint;
use tokio::{net::TcpListener, sync::Semaphore, time::timeout};
use tokio_util::sync::CancellationToken;

use self::{accept::Acceptor, connection::Connections, tasks::Tasks};

pub use self::limits::Limits;

/// A dropped task ends at its next await. One that computes without any is not waited for longer than this.
const CUT_PATIENCE: Duration = Duration::from_secs(1);

/// Serves `endpoint` on `listener` until `shutdown` is cancelled and the connections are closed.
///
/// At shutdown the listener closes at once, and so do idle connections; requests in flight may finish within
/// `limits.shutdown_grace`, after which they are dropped. Dropping the future drops all connections at once.
///
/// # Errors
///
/// Only when the listener has no local address. A failing `accept` is logged and tried again for as long as it takes.
pub async fn serve<E>(listener: TcpListener, endpoint: E, limits: Limits, shutdown: CancellationToken) -> io::Result<()>
where
    E: IntoEndpoint,
    E::Endpoint: 'static,
{
    let address = listener.local_addr()?;
    tracing::info!(server.address = %address, "listening");

    let tasks = Tasks::default();
    let _cut_when_dropped = tasks.cut_on_drop();
    let connections = Connections::new(endpoint.into_endpoint(), limits, shutdown.clone(), tasks.clone());

    shutdown.run_until_cancelled(accept_all(listener, connections, limits.max_connections)).await;
    tracing::info!(server.address = %address, "no longer listening, finishing the requests in flight");

    if timeout(limits.shutdown_grace, tasks.finished()).await.is_err() {
        tracing::warn!(server.address = %address, server.tasks = tasks.len(), "the grace is over, dropping what is in flight");
        tasks.cut();
        if timeout(CUT_PATIENCE, tasks.finished()).await.is_err() {
            tracing::error!(server.address = %address, server.tasks = tasks.len(), "requests cannot be dropped, leaving them");
        }
    }
    Ok(())
}

/// Never returns; dropping it closes the listener.
async fn accept_all<E: poem::Endpoint + 'static>(
    listener: TcpListener,
    connections: Connections<E>,
    max_connections: usize,
) {
    let slots = Arc::new(Semaphore::new(max_connections.clamp(1, Semaphore::MAX_PERMITS)));
    let mut acceptor = Acceptor::new(listener);
    // The slot is taken before the connection: what cannot be served stays in the backlog and costs no descriptor.
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        let (stream, peer) = acceptor.accept().await;
        connections.open(stream, peer, slot);
    }
}
