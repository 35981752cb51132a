//! The socket of a client, as hyper sees it.
//!
//! It reports what the client sends, replaces the rejections of hyper by those of the API, and closes slowly where the
//! client may still be sending: a socket that is closed with unread bytes is reset, and the client may lose the response
//! (RFC 9112, section 9.6).

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use hyper::StatusCode;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::{
    activity::Activity,
    body::{LINGER_LIMIT, LINGER_TIMEOUT},
};

/// Creates the response to a request that is not valid HTTP and reaches no endpoint.
pub type Rejection = fn(StatusCode) -> hyper::Response<String>;

/// Buffer for bytes that are discarded.
const DISCARD_BUFFER: usize = 16 * 1024;

/// The socket of a client.
pub(super) struct ClientIo<S> {
    socket: S,
    activity: Activity,
    rejection: Rejection,
    /// The rejection that replaces what hyper is writing, and how much of it is written.
    replacement: Option<(Vec<u8>, usize)>,
    is_unread: Unread,
    linger: Linger,
}

/// Set when a response ends a connection although the request is not fully read.
#[derive(Clone, Default)]
pub(super) struct Unread(Arc<AtomicBool>);

impl Unread {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

enum Linger {
    NotYet,
    Until { deadline: Pin<Box<Sleep>>, discarded: usize },
    Done,
}

impl<S> ClientIo<S> {
    pub(super) fn new(socket: S, activity: Activity, rejection: Rejection, is_unread: Unread) -> Self {
        Self { socket, activity, rejection, replacement: None, is_unread, linger: Linger::NotYet }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ClientIo<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(cx, buffer))?;
        if let Some(bytes @ [_, ..]) = buffer.filled().get(before..) {
            self.activity.received(bytes);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ClientIo<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.replacement.is_none() {
            this.replacement = rejected_status(bytes).map(|status| (to_message(&(this.rejection)(status), bytes), 0));
        }
        let Some((replacement, written)) = &mut this.replacement else {
            return Pin::new(&mut this.socket).poll_write(cx, bytes);
        };
        while let Some(rest @ [_, ..]) = replacement.get(*written..) {
            *written += ready!(Pin::new(&mut this.socket).poll_write(cx, rest))?;
        }
        this.is_unread.set();
        // hyper has written its whole response, which is the last.
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = buffers.iter().find(|buffer| !buffer.is_empty()).map_or(&[][..], |buffer| &**buffer);
        if self.replacement.is_some() || rejected_status(first).is_some() {
            return self.poll_write(cx, first);
        }
        Pin::new(&mut self.socket).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if matches!(this.linger, Linger::NotYet) {
            ready!(Pin::new(&mut this.socket).poll_shutdown(cx))?;
            this.linger = if this.is_unread.get() {
                Linger::Until { deadline: Box::pin(sleep(LINGER_TIMEOUT)), discarded: 0 }
            } else {
                Linger::Done
            };
        }
        while let Linger::Until { deadline, discarded } = &mut this.linger {
            let mut space = [0; DISCARD_BUFFER];
            let mut buffer = ReadBuf::new(&mut space);
            let is_over = match Pin::new(&mut this.socket).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) => {
                    *discarded += buffer.filled().len();
                    buffer.filled().is_empty() || *discarded > LINGER_LIMIT
                }
                // The response is on its way, so an error changes nothing.
                Poll::Ready(Err(_)) => true,
                Poll::Pending => {
                    ready!(deadline.as_mut().poll(cx));
                    true
                }
            };
            if is_over {
                this.linger = Linger::Done;
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Formats the last response of a connection.
///
/// `replaced` is the response of hyper, which has the current date.
fn to_message(response: &hyper::Response<String>, replaced: &[u8]) -> Vec<u8> {
    let mut message = format!("HTTP/1.1 {}\r\n", response.status()).into_bytes();
    for (name, value) in response.headers() {
        message.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    let date = replaced.split_inclusive(|byte| *byte == b'\n').find(|line| line.starts_with(b"date: "));
    message.extend(date.unwrap_or_default());
    let length = response.body().len();
    message.extend(format!("content-length: {length}\r\nconnection: close\r\n\r\n{}", response.body()).into_bytes());
    message
}

/// Returns the status of a response that hyper writes without asking a handler: a client error without a body and
/// without the request id that every response of a handler has.
fn rejected_status(bytes: &[u8]) -> Option<StatusCode> {
    let status = bytes.strip_prefix(b"HTTP/1.1 ").or(bytes.strip_prefix(b"HTTP/1.0 "))?.get(..3)?;
    let status = StatusCode::from_bytes(status).ok().filter(StatusCode::is_client_error)?;
    let head = std::str::from_utf8(bytes).ok()?;
    let is_empty = head.contains("\r\ncontent-length: 0\r\n") && head.ends_with("\r\n\r\n");
    (is_empty && !head.contains("\r\nx-request-id: ")).then_some(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_empty_client_error_without_a_request_id_is_a_rejection() {
        for (response, status) in [
            (
                "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
                Some(431),
            ),
            ("HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\ndate: now\r\n\r\n", Some(400)),
            ("HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}", None),
            ("HTTP/1.1 404 Not Found\r\nx-request-id: 1\r\ncontent-length: 0\r\n\r\n", None),
            ("HTTP/1.1 204 No Content\r\n\r\n", None),
            ("HTTP/1.1 100 Continue\r\n\r\n", None),
        ] {
            assert_eq!(rejected_status(response.as_bytes()).map(|status| status.as_u16()), status, "{response}");
        }
    }
}
