//! The socket of a connection: TCP, with TLS if the listener has a certificate.

use std::{net::SocketAddr, pin::Pin, time::Duration};

use tokio::{net::TcpStream, time::timeout};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::server::TlsStream;
use tokio_util::{either::Either, sync::CancellationToken};

use super::{slots::Slot, tls::Tls};

type TcpSocket = Pin<Box<TimeoutStream<TcpStream>>>;

/// Socket that fails if the client takes no bytes for a while.
pub(super) type Socket = Either<TcpSocket, Box<TlsStream<TcpSocket>>>;

/// Limits of a handshake.
pub(super) struct HandshakeLimits<'a> {
    /// Time for the whole handshake.
    pub(super) timeout: Duration,
    /// Another connection can take the slot.
    pub(super) slot: &'a Slot,
    pub(super) shutdown: &'a CancellationToken,
}

/// Wraps the stream of a client. Performs the TLS handshake, if any; returns `None` if it fails.
pub(super) async fn open(
    stream: TcpStream,
    client: SocketAddr,
    write_timeout: Duration,
    tls: Option<&Tls>,
    limits: HandshakeLimits<'_>,
) -> Option<Socket> {
    // Otherwise a response in two writes waits for the client's delayed acknowledgement of the first.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(client.address = %client, error = %error, "failed to set TCP_NODELAY");
    }
    let mut socket = TimeoutStream::new(stream);
    socket.set_write_timeout(Some(write_timeout));
    let socket = Box::pin(socket);
    let Some(tls) = tls else { return Some(Either::Left(socket)) };
    // Boxed, because its size would count for the whole connection.
    let handshake = Box::pin(timeout(limits.timeout, tls.accept(socket)));
    let failure = tokio::select! {
        result = handshake => match result {
            Ok(Ok(stream)) => return Some(Either::Right(Box::new(stream))),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it takes too long".to_owned(),
        },
        () = limits.slot.evicted() => "another connection took its slot".to_owned(),
        () = limits.shutdown.cancelled() => "the server shuts down".to_owned(),
    };
    // Caused by the client or the network, so an operator cannot act on it.
    tracing::debug!(client.address = %client, error = failure, "TLS handshake failed");
    None
}
