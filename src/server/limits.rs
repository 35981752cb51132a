//! Limits of a listener and its connections.

use std::time::Duration;

/// Limits of a listener.
///
/// Each duration bounds something that a client could otherwise hold for ever. Limits of single requests (body size,
/// handler time) belong to the endpoint, which can respond with an error; these only close connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Maximum number of open connections, at least 1, without the reserved ones. For a further one, the longest idle
    /// connection is closed.
    ///
    /// Each connection takes a file descriptor and some 35 kB.
    pub max_connections: usize,
    /// Maximum number of these connections from one client address (IPv6: from one /64); `None` behind a proxy, whose
    /// address all clients share.
    pub max_connections_per_address: Option<usize>,
    /// Number of additional connections that are accepted when none of the others is idle. They serve [`Reserved`]
    /// requests and close soon. Further ones wait.
    ///
    /// [`Reserved`]: super::Reserved
    pub reserved_connections: usize,
    /// Maximum number of concurrent requests of an HTTP/2 connection; further ones are refused (`REFUSED_STREAM`).
    pub max_streams: u32,
    /// Maximum size of a request head in bytes, at least 8192 for HTTP/1.1, which responds 431 to a larger one. HTTP/2
    /// counts the uncompressed header list. hyper limits the number of headers to 100.
    pub max_header_bytes: usize,
    /// Time limit for a request head, from its first byte, and for a TLS handshake.
    pub header_timeout: Duration,
    /// Time limit for an idle connection, before the first and between two requests. Longer than that of a load balancer in
    /// front, which would otherwise send a request on a connection that is just being closed.
    pub idle_timeout: Duration,
    /// Maximum pause in a request body while a handler waits for it. The handler receives an
    /// [`io::Error`](std::io::Error) of the kind `TimedOut`.
    pub read_timeout: Duration,
    /// Maximum time in which a client takes no bytes of what the server writes.
    pub write_timeout: Duration,
    /// Age at which a connection takes no further request. It bounds slow readers and stalled HTTP/2 streams, and lets a
    /// load balancer redistribute clients. An event stream over HTTP/1.1 restarts the age; one over HTTP/2 ends with its
    /// connection, and its client reconnects.
    pub max_connection_age: Duration,
    /// Time for requests in flight when a connection ends because of its age, idleness or shutdown.
    pub shutdown_grace: Duration,
    /// Time in which the client of an HTTP/2 connection without requests must close it at shutdown. Until it acknowledges
    /// the announcement (GOAWAY), it may send further requests.
    pub goaway_grace: Duration,
}

/// Limits of a connection in a reserved slot, which serves one short request.
const RESERVED_TIMEOUT: Duration = Duration::from_secs(5);

impl Limits {
    pub(super) fn for_reserved(self) -> Self {
        Self {
            header_timeout: self.header_timeout.min(RESERVED_TIMEOUT),
            idle_timeout: self.idle_timeout.min(RESERVED_TIMEOUT),
            read_timeout: self.read_timeout.min(RESERVED_TIMEOUT),
            write_timeout: self.write_timeout.min(RESERVED_TIMEOUT),
            max_connection_age: self.max_connection_age.min(RESERVED_TIMEOUT),
            shutdown_grace: self.shutdown_grace.min(RESERVED_TIMEOUT),
            ..self
        }
    }
}

impl Default for Limits {
    /// Values for production, with or without a reverse proxy.
    fn default() -> Self {
        Self {
            max_connections: 4096,
            max_connections_per_address: Some(256),
            reserved_connections: 64,
            max_streams: 100,
            max_header_bytes: 16 * 1024,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            read_timeout: Duration::from_mins(1),
            write_timeout: Duration::from_secs(30),
            max_connection_age: Duration::from_mins(15),
            shutdown_grace: Duration::from_secs(20),
            goaway_grace: Duration::from_secs(5),
        }
    }
}
