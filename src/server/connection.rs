//! Serves one connection: from the socket to the endpoint and back, within the limits.
//!
//! A connection ends when the client closes it, when it violates a limit, when it is idle and another one needs its slot,
//! or gracefully: when it is idle for too long, too old, or the server shuts down.
//! It then takes no further request and has a grace period to finish those in flight.
//!
//! The endpoint must guard against panics. One that gets through ends its task: one HTTP/1.1 connection or one HTTP/2
//! stream.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use http_body_util::BodyExt as _;
use hyper::{
    HeaderMap, Method, StatusCode, Version,
    body::{Body as _, Incoming},
    header::{CONNECTION, CONTENT_TYPE, EXPECT, HOST, HeaderValue},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use poem::{
    Addr, Body, Endpoint, Request, RequestParts,
    http::uri::Scheme,
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    net::TcpStream,
    sync::Notify,
    time::{sleep, timeout},
};

use super::{
    activity::{Activity, Idle},
    body::{Discarded, Rest, request_body},
    client_io::{ClientIo, Rejection, Unread},
    limits::Limits,
    protocol,
    shutdown::Shutdown,
    slots::Slot,
    socket::{self, HandshakeLimits},
    task_group::TaskGroup,
    tls::Tls,
};

/// Time for the rest of a response when another connection takes the slot.
const EVICTION_GRACE: Duration = Duration::from_secs(1);

/// Extension of the requests of a connection in a reserved slot.
///
/// The endpoint serves only requests that must be served by a busy server, such as health checks, and rejects all others.
#[derive(Debug, Clone, Copy)]
pub struct Reserved;

/// Serves the connections of a listener.
pub(super) struct ConnectionHandler<E> {
    endpoint: Arc<E>,
    rejection: Rejection,
    limits: Limits,
    tls: Option<Tls>,
    shutdown: Shutdown,
    tasks: TaskGroup,
}

impl<E: Endpoint + 'static> ConnectionHandler<E> {
    pub(super) fn new(
        endpoint: E,
        rejection: Rejection,
        limits: Limits,
        tls: Option<Tls>,
        shutdown: Shutdown,
        tasks: TaskGroup,
    ) -> Self {
        Self { endpoint: Arc::new(endpoint), rejection, limits, tls, shutdown, tasks }
    }

    /// Serves a connection in a task of its own, which holds `slot` to its end.
    pub(super) fn open(&self, stream: TcpStream, client: SocketAddr, slot: Slot) {
        let handler = Self {
            endpoint: Arc::clone(&self.endpoint),
            rejection: self.rejection,
            limits: if slot.is_reserved() { self.limits.for_reserved() } else { self.limits },
            tls: self.tls.clone(),
            shutdown: self.shutdown.clone(),
            // The HTTP/2 streams of a connection end with it.
            tasks: self.tasks.child(),
        };
        self.tasks.spawn(async move {
            let _abort_streams = handler.tasks.abort_on_drop();
            run(handler, stream, client, slot).await;
        });
    }
}

async fn run<E: Endpoint + 'static>(handler: ConnectionHandler<E>, stream: TcpStream, client: SocketAddr, slot: Slot) {
    let ConnectionHandler { endpoint, rejection, limits, tls, shutdown, tasks: streams } = handler;
    let local = LocalAddr(stream.local_addr().map_or_else(|_| Addr::default(), Addr::from));
    // A listener on `::` shows IPv4 clients as `::ffff:a.b.c.d`; rate limits and logs need one form.
    let remote = RemoteAddr(SocketAddr::new(client.ip().to_canonical(), client.port()).into());

    let handshake = HandshakeLimits { timeout: limits.header_timeout, slot: &slot, shutdown: &shutdown.closing };
    let socket = socket::open(stream, client, limits.write_timeout, tls.as_ref(), handshake).await;
    let Some(socket) = socket else { return };
    let scheme = if tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP };

    let activity = Activity::new(slot.handle());
    let idle = activity.idle_for(limits.header_timeout, limits.idle_timeout);
    let is_unread = Unread::default();
    let io = ClientIo::new(socket, activity.clone(), rejection, is_unread.clone());
    let connection_activity = activity.clone();
    let event_stream = Arc::new(Notify::new());
    let started = Arc::clone(&event_stream);
    let is_reserved = slot.is_reserved();
    let draining = shutdown.draining.clone();
    let service = service_fn(move |request| {
        let in_flight = activity.begin(request.version() == Version::HTTP_2);
        let (endpoint, started) = (Arc::clone(&endpoint), Arc::clone(&started));
        let (is_unread, draining) = (is_unread.clone(), draining.clone());
        let is_http_1 = request.version() < Version::HTTP_2;
        let may_stream = *request.method() == Method::GET && is_http_1;
        // RFC 9112, section 3.2.
        let is_valid = request.version() != Version::HTTP_11 || has_valid_host(request.headers());
        let is_body_awaited = request.headers().contains_key(EXPECT);
        let (mut request, rest) = to_poem(request, local.clone(), remote.clone(), scheme.clone(), limits.read_timeout);
        if is_reserved {
            request.extensions_mut().insert(Reserved);
        }
        // Boxed, because hyper reserves space for this future as long as the connection lives.
        Box::pin(async move {
            let mut response = if is_valid {
                hyper::Response::from(endpoint.get_response(request).await)
            } else {
                drop(request);
                rejection(StatusCode::BAD_REQUEST).map(|body| Body::from_string(body).into())
            };
            let mut discarded = rest.discard(is_body_awaited).await;
            if matches!(discarded, Discarded::Part(_)) && is_http_1 {
                discarded.abandon();
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                is_unread.set();
            }
            if may_stream && is_event_stream(response.headers()) {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                started.notify_one();
            }
            if is_http_1 && (is_reserved || draining.is_cancelled()) {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            // Held by the body until hyper has taken all of it.
            Ok::<_, Infallible>(response.map(|body| {
                body.map_err(move |error| {
                    let _held = (&in_flight, &discarded);
                    error
                })
            }))
        })
    });

    let http = protocol::builder(&limits, streams);
    // Boxed, because its size would count for each of the futures around it.
    let mut connection = Box::pin(http.serve_connection(TokioIo::new(io), service));

    let ended = tokio::select! {
        ended = connection.as_mut() => Ok(ended),
        reason = idle_or_old(idle, limits.max_connection_age, &event_stream) => {
            if reason == Idle::SlowHead {
                tracing::debug!(client.address = %client, "connection dropped because its request head is too slow");
                return;
            }
            connection.as_mut().graceful_shutdown();
            timeout(limits.shutdown_grace, connection.as_mut()).await
        }
        () = slot.evicted() => {
            connection.as_mut().graceful_shutdown();
            // An idle connection ends at once; one whose client still reads its last response has a moment for that.
            let _ = timeout(EVICTION_GRACE, connection.as_mut()).await;
            tracing::debug!(client.address = %client, "idle connection closed for another one");
            return;
        }
        () = shutdown.closing.cancelled() => {
            if connection_activity.is_in_head() {
                return;
            }
            connection.as_mut().graceful_shutdown();
            // `serve` aborts this task at the end of the grace period of the whole server.
            tokio::select! {
                ended = connection.as_mut() => Ok(ended),
                () = connection_activity.unused_http_2_for(limits.goaway_grace) => {
                    tracing::debug!(client.address = %client, "unused connection dropped, whose client does not close it");
                    return;
                }
            }
        }
    };
    match ended {
        Ok(Ok(())) => {}
        // Caused by the client or the network, so an operator cannot act on it.
        Ok(Err(error)) => tracing::debug!(client.address = %client, error = %error, "connection failed"),
        Err(_) => tracing::debug!(client.address = %client, "connection dropped after its grace period"),
    }
}

/// Returns when a connection is idle or too old.
///
/// An event stream over HTTP/1.1 is the last response of its connection and restarts the age: a stream that began late
/// would otherwise be dropped before its own end.
async fn idle_or_old(idle: impl Future<Output = Idle>, age: Duration, event_stream: &Notify) -> Idle {
    let old = async {
        if timeout(age, event_stream.notified()).await.is_ok() {
            sleep(age).await;
        }
    };
    tokio::select! {
        reason = idle => reason,
        () = old => Idle::Silent,
    }
}

/// Returns whether there is one `Host` header, without characters that no host has.
fn has_valid_host(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let is_valid = |host: &HeaderValue| !host.as_bytes().iter().any(|byte| *byte <= b' ' || b"/\\?#@".contains(byte));
    hosts.next().is_some_and(is_valid) && hosts.next().is_none()
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().is_some_and(|media_type| media_type.trim() == "text/event-stream")
}

/// Converts a request. The second value is the rest of its body, once the request is dropped.
fn to_poem(
    request: hyper::Request<Incoming>,
    local: LocalAddr,
    remote: RemoteAddr,
    scheme: Scheme,
    read_timeout: Duration,
) -> (Request, Rest) {
    let (parts, body) = request.into_parts();
    let parts = RequestParts::from((parts, local, remote, scheme));
    // An absent body stays recognizable: a stream would have no known size.
    let (body, rest) = if body.is_end_stream() {
        (Body::empty(), Rest::none())
    } else {
        let (bytes, rest) = request_body(body, read_timeout);
        (Body::from_bytes_stream(bytes), rest)
    };
    (Request::from_parts(parts, body), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_event_stream_is_an_event_stream() {
        for (value, expected) in [
            ("text/event-stream", true),
            ("text/event-stream; charset=utf-8", true),
            ("text/event-streams", false),
            ("application/json", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]);
            assert_eq!(is_event_stream(&headers), expected, "{value}");
        }
        assert!(!is_event_stream(&HeaderMap::new()));
    }
}
