//! The body of a stream of events (`text/event-stream`), written without hyper.
//!
//! A stream is open for minutes and says nothing most of the time, and there may be thousands. hyper keeps 16 kB of
//! buffers for each HTTP/1.1 connection as long as it lives; what is here keeps none: what the body gives is written from
//! where it is, by the chunks of RFC 9112, section 7.1. The response says that the connection closes after it, so
//! nothing that the client sends is looked at, but for its end.

use std::{future::poll_fn, io, pin::Pin};

use hyper::{
    HeaderMap, Method, Version,
    body::{Body, Buf, Bytes, Frame},
    header::CONTENT_TYPE,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// As many bytes may come from a client that was told that nothing is read any more. Who sends more is no client.
const IGNORED: usize = 16 * 1024;

/// Whether a request was made in a way that allows to write the body here: HTTP/1.0 knows no chunks, HTTP/2 has streams
/// of its own, and the answer to `HEAD` has no body.
pub(super) fn is_possible(method: &Method, version: Version) -> bool {
    *method == Method::GET && version == Version::HTTP_11
}

/// Whether a response is a stream of events.
pub(super) fn is_meant(headers: &HeaderMap) -> bool {
    let is_stream = |value: &str| value.split(';').next().unwrap_or_default().trim() == "text/event-stream";
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(is_stream)
}

/// Writes the body to its end, or until the client is gone.
pub(super) async fn write<S, B>(mut socket: S, mut body: B) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<io::Error>,
{
    let mut ignored = 0;
    loop {
        let frame = tokio::select! {
            frame = next_of(&mut body) => frame,
            count = ignore(&mut socket) => {
                match count? {
                    0 => return Ok(()),
                    count => ignored += count,
                }
                if ignored > IGNORED {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                continue;
            }
        };
        match frame.transpose().map_err(Into::into)?.map(Frame::into_data) {
            // An empty chunk would be the end.
            Some(Ok(data)) if !data.is_empty() => write_chunk(&mut socket, data).await?,
            Some(_) => {}
            None => break,
        }
    }
    socket.write_all(b"0\r\n\r\n").await?;
    socket.shutdown().await
}

async fn next_of<B: Body + Unpin>(body: &mut B) -> Option<Result<Frame<B::Data>, B::Error>> {
    poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await
}

async fn ignore(socket: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
    socket.read(&mut [0; 256]).await
}

async fn write_chunk(socket: &mut (impl AsyncWrite + Unpin), data: Bytes) -> io::Result<()> {
    let size = format!("{:X}\r\n", data.len());
    socket.write_all_buf(&mut Buf::chain(size.as_bytes(), data).chain(&b"\r\n"[..])).await?;
    socket.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn only_a_stream_of_events_is_written_here() {
        for (value, is_stream) in [
            ("text/event-stream", true),
            ("text/event-stream; charset=utf-8", true),
            ("text/event-streams", false),
            ("application/json", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]);
            assert_eq!(is_meant(&headers), is_stream, "{value}");
        }
        assert!(!is_meant(&HeaderMap::new()));
        assert!(is_possible(&Method::GET, Version::HTTP_11));
        assert!(!is_possible(&Method::HEAD, Version::HTTP_11));
        assert!(!is_possible(&Method::GET, Version::HTTP_10));
        assert!(!is_possible(&Method::GET, Version::HTTP_2));
    }
}
