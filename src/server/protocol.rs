//! Settings of HTTP/1.1 and HTTP/2.

use std::time::Duration;

use hyper_util::{rt::TokioTimer, server::conn::auto};

use super::{limits::Limits, task_group::TaskGroup};

/// Smallest buffer that hyper accepts for HTTP/1.1; it panics below.
const MIN_HEAD_BUFFER: usize = 8192;
/// Detects dead HTTP/2 peers, which no other limit does while a handler runs.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Reset HTTP/2 streams after which a connection ends: reset by the peer before they were served, and reset here for
/// errors of the peer. Set explicitly so that an update cannot loosen them; hyper's default for the second is 1024.
const MAX_RESET_STREAMS: usize = 20;
const MAX_ERROR_RESET_STREAMS: usize = 100;
/// HTTP/2 flow control. hyper's defaults (1 MiB and 400 KiB per stream) would let a few hundred clients fill the memory.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;
const SEND_BUFFER: usize = 64 * 1024;

/// Returns a builder of connections. Their HTTP/2 streams run as `streams`.
pub(super) fn builder(limits: &Limits, streams: TaskGroup) -> auto::Builder<TaskGroup> {
    let mut http = auto::Builder::new(streams);
    // hyper panics at the first connection if a timeout is set without a timer.
    http.http1()
        .timer(TokioTimer::new())
        // `Activity` distinguishes a slow head from an idle connection.
        .header_read_timeout(None)
        .max_buf_size(limits.max_header_bytes.max(MIN_HEAD_BUFFER));
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(limits.max_streams)
        .max_header_list_size(u32::try_from(limits.max_header_bytes).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(MAX_RESET_STREAMS)
        .max_local_error_reset_streams(MAX_ERROR_RESET_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER);
    http
}
