use std::time::Duration;

/// What one listener allows its clients.
///
/// Every duration bounds something that a client could otherwise hold for ever. The limits of single requests (size of
/// a body, time of a handler) belong to the endpoint, which can answer them with an error; these here only cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at once, at least 1. When all are taken, new ones wait in the backlog of the operating system.
    ///
    /// Most may be streams that are open for minutes and do nothing: a thousand of them have to leave room for
    /// requests. One costs some 7 kB, so that 4096 fit into 30 MB; a connection that hyper serves costs some 35. Each takes
    /// a descriptor: a process that may have fewer accepts as many as it can, and the others wait.
    pub max_connections: usize,
    /// Requests of one HTTP/2 connection at once; further ones are refused with `REFUSED_STREAM`.
    pub max_streams: u32,
    /// Bytes of a request head. HTTP/1.1 answers more with 431 and counts at least 8192, the smallest buffer of hyper;
    /// HTTP/2 counts the uncompressed header list. (The number of header fields is limited by hyper, to 100.)
    pub max_header_bytes: usize,
    /// Time for a whole request head, and for a connection to lie idle before the first and between two requests.
    pub header_timeout: Duration,
    /// Longest silence while a handler waits for bytes of its request body. The handler then sees an
    /// [`io::Error`](std::io::Error) of the kind `TimedOut`; its own, shorter limit for the whole body should come
    /// first. A handler that does not read its body may take longer than this.
    pub read_timeout: Duration,
    /// Longest time in which the client takes nothing of what the server writes.
    pub write_timeout: Duration,
    /// Age at which a connection takes no further request. It bounds what the other limits let pass (a client that
    /// takes one byte at a time, an HTTP/2 stream without window), and lets a load balancer spread clients anew.
    /// No response may take longer than this and the grace together. A stream of events over HTTP/1.1 has as long for
    /// itself; over HTTP/2 it ends with its connection, and its client goes on elsewhere.
    pub max_connection_age: Duration,
    /// Time for what is still in flight once a connection shall end, be it by age, by idleness or by shutdown. Then it
    /// is dropped.
    pub shutdown_grace: Duration,
}

impl Default for Limits {
    /// Values for production, on the open internet and behind a proxy alike.
    fn default() -> Self {
        Self {
            max_connections: 4096,
            max_streams: 100,
            max_header_bytes: 16 * 1024,
            header_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_mins(1),
            write_timeout: Duration::from_secs(30),
            max_connection_age: Duration::from_mins(15),
            shutdown_grace: Duration::from_secs(20),
        }
    }
}
