//! Request body with a read timeout.

use std::{io, time::Duration};

use futures_util::{Stream, StreamExt as _, future, stream};
use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Incoming};
use tokio::time::timeout;

/// Returns the bytes of a request body, or an error if none arrive within a limit.
///
/// The timer runs only while the handler waits for bytes. A read timeout of the socket would also cut slow handlers and
/// large downloads, and would miss a silent HTTP/2 stream on a busy connection.
pub(super) fn request_body(body: Incoming, limit: Duration) -> impl Stream<Item = io::Result<Bytes>> {
    let frames = stream::unfold(body, move |mut body| async move {
        let frame = match timeout(limit, body.frame()).await {
            Ok(frame) => frame?.map_err(io::Error::other),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        Some((frame, body))
    });
    // Trailers are dropped.
    frames.filter_map(|frame| future::ready(frame.map(|frame| frame.into_data().ok()).transpose())).fuse()
}
