//! The access log: one line per request, and one at the end of an event stream.
//!
//! Everything that a client chooses is bounded and escaped. The query is left out, because it may contain secrets.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use poem::http::{Method, StatusCode, header};
use poem::{Body, Request, Response};
use tracing::Span;

use crate::api::media_types::EVENT_STREAM;

/// Maximum length of a path and of a user agent in a line.
const MAX_TEXT: usize = 256;
/// Statuses that a client without an account can provoke without end.
const SAMPLED: [StatusCode; 4] = [
    StatusCode::NOT_FOUND,
    StatusCode::METHOD_NOT_ALLOWED,
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::SERVICE_UNAVAILABLE,
];
/// Maximum number of lines per sampled status and period. The rest is counted.
const SAMPLE_SIZE: u32 = 10;
const SAMPLE_PERIOD: Duration = Duration::from_secs(1);

/// The access log of a server.
#[derive(Default)]
pub(super) struct AccessLog {
    samples: [Mutex<Sample>; SAMPLED.len()],
}

impl AccessLog {
    /// Begins the line of a request. If it is dropped, the line says that the request was aborted.
    pub(super) fn begin(self: &Arc<Self>, request: &Request, client: IpAddr, span: Span) -> AccessLogEntry {
        AccessLogEntry {
            log: Arc::clone(self),
            method: request.method().clone(),
            path: bounded(request.uri().path().as_bytes()),
            user_agent: request.headers().get(header::USER_AGENT).map(|value| bounded(value.as_bytes())),
            client,
            span,
            begun: Instant::now(),
            is_written: false,
        }
    }

    /// Returns whether to write a line, and writes the number of lines that were left out in past periods.
    fn admits(&self, status: StatusCode, now: Instant) -> bool {
        let mut is_admitted = true;
        for (sampled, sample) in SAMPLED.iter().zip(&self.samples) {
            let mut sample = sample.lock().unwrap_or_else(PoisonError::into_inner);
            write_left_out(*sampled, sample.begin_period(now));
            if status == *sampled {
                is_admitted = sample.admits();
            }
        }
        is_admitted
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        for (status, sample) in SAMPLED.iter().zip(&mut self.samples) {
            write_left_out(*status, sample.get_mut().unwrap_or_else(PoisonError::into_inner).left_out);
        }
    }
}

fn write_left_out(status: StatusCode, count: u64) {
    if count > 0 {
        tracing::info!(parent: None, http.status = status.as_u16(), count, "more requests with this status completed");
    }
}

/// Lines of one status within a period.
#[derive(Default)]
struct Sample {
    begun: Option<Instant>,
    written: u32,
    left_out: u64,
}

impl Sample {
    /// Begins a new period if it is time. Returns the number of lines that the last one left out.
    fn begin_period(&mut self, now: Instant) -> u64 {
        if self.begun.is_some_and(|begun| now < begun + SAMPLE_PERIOD) {
            return 0;
        }
        std::mem::replace(self, Self { begun: Some(now), ..Self::default() }).left_out
    }

    fn admits(&mut self) -> bool {
        let is_admitted = self.written < SAMPLE_SIZE;
        if is_admitted {
            self.written += 1;
        } else {
            self.left_out += 1;
        }
        is_admitted
    }
}

/// The line of a request.
pub(super) struct AccessLogEntry {
    log: Arc<AccessLog>,
    method: Method,
    path: String,
    user_agent: Option<String>,
    client: IpAddr,
    span: Span,
    begun: Instant,
    is_written: bool,
}

macro_rules! write_line {
    ($entry:expr, $message:literal, $status:expr, $bytes:expr) => {
        $entry.span.in_scope(|| {
            tracing::info!(
                http.method = %$entry.method,
                http.path = $entry.path,
                http.status = $status,
                http.response_bytes = $bytes,
                http.user_agent = $entry.user_agent,
                duration_ms = $entry.begun.elapsed().as_secs_f64() * 1000.0,
                client.address = %$entry.client,
                $message
            );
        })
    };
}

impl AccessLogEntry {
    /// Writes the line of a response, and another one at the end of an event stream.
    pub(super) async fn complete(mut self, mut response: Response) -> Response {
        let status = response.status();
        let body = response.take_body();
        if response.header(header::CONTENT_TYPE) == Some(EVENT_STREAM) && !body.is_empty() {
            self.write(status, None);
            let mut ended = EventStreamEntry { entry: self, status, bytes: 0 };
            let mut stream = body.into_bytes_stream();
            // The server polls the body outside of the span.
            let in_span = stream::poll_fn(move |context| {
                let polled = ended.entry.span.in_scope(|| stream.poll_next_unpin(context));
                if let Poll::Ready(Some(Ok(bytes))) = &polled {
                    ended.count(bytes.len());
                }
                polled
            });
            response.set_body(Body::from_bytes_stream(in_span));
        } else {
            // All other bodies are in memory.
            let bytes = body.into_bytes().await.unwrap_or_default();
            self.write(status, Some(bytes.len() as u64));
            response.set_body(Body::from_bytes(bytes));
        }
        response
    }

    fn write(&mut self, status: StatusCode, bytes: Option<u64>) {
        self.is_written = true;
        if self.log.admits(status, Instant::now()) {
            write_line!(self, "request completed", status.as_u16(), bytes);
        }
    }
}

impl Drop for AccessLogEntry {
    fn drop(&mut self) {
        // The client has disconnected, or the grace period of a shutdown is over.
        if !self.is_written {
            write_line!(self, "request aborted", None::<u16>, None::<u64>);
        }
    }
}

/// The last line of an event stream, written on drop.
struct EventStreamEntry {
    entry: AccessLogEntry,
    status: StatusCode,
    bytes: u64,
}

impl EventStreamEntry {
    fn count(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }
}

impl Drop for EventStreamEntry {
    fn drop(&mut self) {
        write_line!(self.entry, "event stream ended", self.status.as_u16(), self.bytes);
    }
}

/// Returns the beginning of a text in printable ASCII.
fn bounded(text: &[u8]) -> String {
    // A character has at most four bytes.
    let text = String::from_utf8_lossy(&text[..text.len().min(MAX_TEXT * 4)]);
    let mut bounded = String::with_capacity(text.len().min(MAX_TEXT));
    for character in text.chars() {
        let length = bounded.len();
        if character.is_ascii_graphic() || character == ' ' {
            bounded.push(character);
        } else {
            bounded.extend(character.escape_unicode());
        }
        if bounded.len() > MAX_TEXT {
            bounded.truncate(length);
            break;
        }
    }
    bounded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_clients_is_bounded_and_escaped() {
        assert_eq!(bounded(b"/v1/tasks"), "/v1/tasks");
        assert_eq!(bounded("/\u{1b}[31m\n\u{9b}\u{202e}".as_bytes()), "/\\u{1b}[31m\\u{a}\\u{9b}\\u{202e}");
        assert_eq!(bounded(b"a\xffb"), "a\\u{fffd}b");
        assert_eq!(bounded(&[b'x'; 14_000]), "x".repeat(256));
        assert!(bounded("\u{9b}".repeat(14_000).as_bytes()).len() <= 256);
    }

    #[test]
    fn a_flood_of_one_status_is_sampled_and_counted() {
        let log = AccessLog::default();
        let begun = Instant::now();
        let admitted = |status, after| (0..50).filter(|_| log.admits(status, begun + after)).count();
        let left_out = || log.samples[0].lock().unwrap().left_out;
        assert_eq!(admitted(StatusCode::NOT_FOUND, Duration::ZERO), 10);
        assert_eq!(admitted(StatusCode::TOO_MANY_REQUESTS, Duration::ZERO), 10);
        assert_eq!(admitted(StatusCode::OK, Duration::ZERO), 50);
        assert_eq!(left_out(), 40);
        assert_eq!(admitted(StatusCode::OK, SAMPLE_PERIOD), 50);
        assert_eq!(left_out(), 0, "any request writes the count");
        assert_eq!(admitted(StatusCode::NOT_FOUND, SAMPLE_PERIOD), 10);
    }
}
