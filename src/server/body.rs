//! Bodies that are watched: the request's for silence, the response's for its end.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::Stream;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use super::activity::InFlight;

/// The bytes of a request body; fails when none came for a while.
///
/// The time runs only while somebody waits for bytes. A read timeout of the socket would also run while a handler works
/// or a response is sent, and so would cut slow handlers and large downloads; nor would it see a silent HTTP/2 stream
/// on a connection that is busy otherwise.
pub(super) struct RequestBody {
    inner: Incoming,
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl RequestBody {
    pub(super) fn new(inner: Incoming, limit: Duration) -> Self {
        Self { inner, limit, timer: None, waiting: false }
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(self.limit)));
        if !self.waiting {
            timer.as_mut().reset(Instant::now() + self.limit);
            self.waiting = true;
        }
        timer.as_mut().poll(cx)
    }
}

impl Stream for RequestBody {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let frame = match Pin::new(&mut self.inner).poll_frame(cx) {
                Poll::Ready(frame) => frame,
                Poll::Pending => {
                    let silence = self.poll_silence(cx);
                    return silence.map(|()| Some(Err(io::ErrorKind::TimedOut.into())));
                }
            };
            self.waiting = false;
            match frame.map(|frame| frame.map(Frame::into_data)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(io::Error::other(error)))),
                Some(Ok(Ok(bytes))) => return Poll::Ready(Some(Ok(bytes))),
                Some(Ok(Err(_trailers))) => {}
            }
        }
    }
}

/// A response body that keeps its request counted as in flight until hyper has taken all of it.
pub(super) enum ResponseBody<B> {
    /// All that there is to send.
    Here { inner: B, _in_flight: InFlight },
    /// Not for hyper to send: it never has anything, and never ends. Its size is unknown, so the head announces chunks.
    Elsewhere { _in_flight: InFlight },
}

impl<B: Body + Unpin> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match &mut *self {
            Self::Here { inner, .. } => Pin::new(inner).poll_frame(cx),
            Self::Elsewhere { .. } => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Here { inner, .. } => inner.is_end_stream(),
            Self::Elsewhere { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Here { inner, .. } => inner.size_hint(),
            Self::Elsewhere { .. } => SizeHint::default(),
        }
    }
}
