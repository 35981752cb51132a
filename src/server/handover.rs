//! How the socket of a connection comes back from hyper, which has no way to give it back before a response ends.
//!
//! What a service cannot say to hyper (write this head, then leave the socket to me) it leaves here: the body. hyper gets
//! one that never has anything, so it writes the head and nothing else. Once the head is on its way, whoever runs the
//! connection drops it, and with it the borrowed socket, which returns here.
//!
//! All of it happens within the task of one connection: nobody ever waits for the lock.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Where the service of a connection leaves a body, and where the socket returns.
pub(super) struct Handover<S, B>(Arc<Mutex<State<S, B>>>);

struct State<S, B> {
    socket: Option<S>,
    body: Option<B>,
    progress: Progress,
}

/// How far the head is of the response whose body was left here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Nothing of it was written since the body was left.
    Awaited,
    /// Some of it was written.
    Begun,
    /// All of it was: hyper flushes a socket only when it has nothing more to write.
    Sent,
}

impl<S, B> Clone for Handover<S, B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S, B> Handover<S, B> {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State { socket: None, body: None, progress: Progress::Awaited })))
    }

    /// Lends the socket to hyper.
    pub(super) fn lend(&self, socket: S) -> Lent<S, B> {
        Lent { socket: Some(socket), handover: self.clone() }
    }

    /// Leaves the body of the response that hyper is about to be given.
    pub(super) fn leave(&self, body: B) {
        let mut state = self.state();
        state.body = Some(body);
        state.progress = Progress::Awaited;
    }

    /// Whether a body is here, and all that hyper had to write before it is written.
    pub(super) fn is_due(&self) -> bool {
        self.state().progress == Progress::Sent
    }

    /// The socket and the body that was left, once hyper has dropped the one and written the head of the other.
    pub(super) fn take(&self) -> Option<(S, B)> {
        let mut state = self.state();
        state.socket.take().zip(state.body.take())
    }

    fn wrote(&self) {
        let mut state = self.state();
        if state.body.is_some() && state.progress == Progress::Awaited {
            state.progress = Progress::Begun;
        }
    }

    fn flushed(&self) {
        let mut state = self.state();
        if state.progress == Progress::Begun {
            state.progress = Progress::Sent;
        }
    }

    fn state(&self) -> MutexGuard<'_, State<S, B>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The socket as long as it is hyper's; dropping it gives it back.
pub(super) struct Lent<S, B> {
    /// `None` only while it is dropped.
    socket: Option<S>,
    handover: Handover<S, B>,
}

impl<S, B> Drop for Lent<S, B> {
    fn drop(&mut self) {
        self.handover.state().socket = self.socket.take();
    }
}

impl<S: Unpin, B> Lent<S, B> {
    fn with<T>(&mut self, poll: impl FnOnce(Pin<&mut S>) -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match &mut self.socket {
            Some(socket) => poll(Pin::new(socket)),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn writing(&mut self, poll: impl FnOnce(Pin<&mut S>) -> Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let count = ready!(self.with(poll))?;
        self.handover.wrote();
        Poll::Ready(Ok(count))
    }
}

impl<S: AsyncRead + Unpin, B> AsyncRead for Lent<S, B> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.with(|socket| socket.poll_read(cx, buffer))
    }
}

impl<S: AsyncWrite + Unpin, B> AsyncWrite for Lent<S, B> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.writing(|socket| socket.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writing(|socket| socket.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.as_ref().is_some_and(S::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.with(|socket| socket.poll_flush(cx)))?;
        self.handover.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|socket| socket.poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn the_socket_returns_with_the_body_once_the_head_is_flushed() {
        let (socket, mut client) = duplex(64);
        let handover = Handover::new();
        let mut lent = handover.lend(socket);
        lent.write_all(b"an earlier answer, ").await.unwrap();
        lent.flush().await.unwrap();
        assert!(!handover.is_due(), "nothing was left");

        handover.leave("body");
        lent.flush().await.unwrap();
        assert!(!handover.is_due(), "what was flushed is not the head");
        lent.write_all(b"head, ").await.unwrap();
        assert!(!handover.is_due(), "there may be more to write");
        lent.flush().await.unwrap();
        assert!(handover.is_due());
        assert!(handover.take().is_none(), "hyper has the socket");

        drop(lent);
        // It has been asked for too early, so the body is gone; in the program nobody asks before.
        handover.leave("body");
        let (mut socket, body) = handover.take().unwrap();
        socket.write_all(body.as_bytes()).await.unwrap();
        drop(socket);
        let mut read = String::new();
        client.read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "an earlier answer, head, body");
    }
}
