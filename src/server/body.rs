//! Request body with a read timeout, whose unread rest is discarded after the response is known.
//!
//! Many answers are given before the body was read: 401, 404, 413, 429. A server that closes the socket with unread bytes
//! resets it, and the client loses the answer, or the next request on the connection (RFC 9112, section 9.6).

use std::{io, time::Duration};

use futures_util::{Stream, StreamExt as _, future, stream};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Bytes, Incoming};
use tokio::{runtime::Handle, sync::oneshot, time::timeout};

/// Maximum number of bytes that are read and discarded to keep a connection usable.
const DISCARD_LIMIT: usize = 1024 * 1024;
/// Maximum time for which they are read.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum time for which a client may go on sending after its last response.
pub(super) const LINGER_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum number of bytes that it may go on sending.
pub(super) const LINGER_LIMIT: usize = 16 * 1024 * 1024;

/// Returns the bytes of a request body, or an error if none arrive within a limit, and what is left of the body when the
/// stream is dropped.
///
/// The timer runs only while the handler waits for bytes. A read timeout of the socket would also cut slow handlers and
/// large downloads, and would miss a silent HTTP/2 stream on a busy connection.
pub(super) fn request_body(body: Incoming, limit: Duration) -> (impl Stream<Item = io::Result<Bytes>>, Rest) {
    let (returned, rest) = oneshot::channel();
    let lent = Lent { body: Some(body), is_begun: false, returned: Some(returned) };
    let frames = stream::unfold(lent, move |mut lent| async move {
        lent.is_begun = true;
        let frame = match timeout(limit, lent.body.as_mut()?.frame()).await {
            Ok(frame) => frame?.map_err(io::Error::other),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        Some((frame, lent))
    });
    // Trailers are dropped.
    let bytes = frames.filter_map(|frame| future::ready(frame.map(|frame| frame.into_data().ok()).transpose())).fuse();
    (bytes, Rest(Some(rest)))
}

/// A body that is with the endpoint, and comes back when that drops it.
struct Lent {
    body: Option<Incoming>,
    is_begun: bool,
    returned: Option<oneshot::Sender<Unread>>,
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(body), Some(returned)) =
            (self.body.take().filter(|body| !body.is_end_stream()), self.returned.take())
        {
            // The connection may be gone.
            drop(returned.send(Unread { body, is_begun: self.is_begun }));
        }
    }
}

/// The unread rest of a body.
struct Unread {
    body: Incoming,
    is_begun: bool,
}

/// The part of a body that the endpoint may leave unread.
pub(super) struct Rest(Option<oneshot::Receiver<Unread>>);

/// Result of discarding the rest of a body.
pub(super) enum Discarded {
    /// The connection can serve another request.
    All,
    /// HTTP/1.1 must close the connection after the response. HTTP/2 resets the stream of a dropped body, and some clients
    /// then drop the response, so the rest is read on after the response is on its way.
    Part(Remainder),
}

/// The rest of a body, which is read and discarded for a while after it is dropped.
pub(super) struct Remainder(Option<Incoming>);

impl Drop for Remainder {
    fn drop(&mut self) {
        if let (Some(mut body), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(timeout(LINGER_TIMEOUT, async move { discard(&mut body, LINGER_LIMIT).await }));
        }
    }
}

/// Reads a body to its end, or to a limit in bytes. Returns whether it has ended.
async fn discard(body: &mut Incoming, limit: usize) -> bool {
    let mut length = 0;
    while let Some(Ok(frame)) = body.frame().await {
        length += frame.data_ref().map_or(0, Bytes::len);
        if length > limit {
            return false;
        }
    }
    true
}

impl Discarded {
    /// Drops what is left, where the connection itself lingers.
    pub(super) fn abandon(&mut self) {
        if let Self::Part(rest) = self {
            rest.0 = None;
        }
    }
}

impl Rest {
    /// The rest of an absent body.
    pub(super) const fn none() -> Self {
        Self(None)
    }

    /// Reads and discards what the endpoint left unread, within bounds. `is_awaited` is true if the client sends the body
    /// only when it is told to (`Expect: 100-continue`): reading would ask for it.
    pub(super) async fn discard(self, is_awaited: bool) -> Discarded {
        let Some(Ok(Unread { mut body, is_begun })) = self.0.map(|mut rest| rest.try_recv()) else {
            return Discarded::All;
        };
        if is_awaited && !is_begun {
            return Discarded::Part(Remainder(Some(body)));
        }
        match timeout(DISCARD_TIMEOUT, discard(&mut body, DISCARD_LIMIT)).await {
            Ok(true) => Discarded::All,
            _ => Discarded::Part(Remainder(Some(body))),
        }
    }
}
