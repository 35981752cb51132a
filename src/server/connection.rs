//! One connection: from the socket to the endpoint and back, within the limits.
//!
//! A connection ends when its client closes it, when it breaks a limit of hyper or of the socket, or when it is asked
//! to: idle, too old, or at shutdown. Then it takes no further request and has the grace to finish what is in flight.
//! A stream of events over HTTP/1.1 is the last response of its connection: once its head is sent, hyper is gone, and
//! [`event_stream`] writes the rest.
//!
//! The service never fails and does not guard against panics: the endpoint does. Should one come through all the same,
//! it ends the task that ran it, which is one HTTP/1.1 connection or one HTTP/2 stream.

use std::{convert::Infallible, future::poll_fn, io, net::SocketAddr, pin::Pin, sync::Arc, task::Poll, time::Duration};

use hyper::{
    body::{self, Body as _, Bytes, Incoming},
    header::{CONNECTION, HeaderValue},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto,
};
use poem::{
    Addr, Body, Endpoint, Request, RequestParts,
    http::uri::Scheme,
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

use super::{
    activity::{Activity, InFlight},
    body::{RequestBody, ResponseBody},
    event_stream,
    handover::Handover,
    limits::Limits,
    tasks::Tasks,
};

/// The smallest buffer that hyper accepts for HTTP/1.1; it panics below.
const SMALLEST_HEAD_BUFFER: usize = 8192;
/// Finds HTTP/2 peers that are gone without a word, which no other limit sees while a handler runs.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Streams reset before they were served, and streams reset here for errors of the peer: after so many the connection
/// ends. The first is the default of h2, which hyper leaves as it is; the second is 1024 in hyper, far more than an
/// honest client needs. Both are set here so that no update can loosen them unseen.
const MAX_RESET_STREAMS: usize = 20;
const MAX_ERROR_RESET_STREAMS: usize = 100;
/// Bytes that an HTTP/2 peer may send, or be sent, ahead of their being read. hyper's defaults (1 MiB and 400 KiB per
/// stream) would let a few hundred clients fill the memory; the bodies of this kind of service are small.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;
const SEND_BUFFER: usize = 64 * 1024;

/// What all connections share.
pub(super) struct Connections<E> {
    endpoint: Arc<E>,
    limits: Limits,
    shutdown: CancellationToken,
    tasks: Tasks,
}

impl<E: Endpoint + 'static> Connections<E> {
    pub(super) fn new(endpoint: E, limits: Limits, shutdown: CancellationToken, tasks: Tasks) -> Self {
        Self { endpoint: Arc::new(endpoint), limits, shutdown, tasks }
    }

    /// Serves the connection in a task of its own, which holds `slot` to its end.
    pub(super) fn open(&self, stream: TcpStream, client: SocketAddr, slot: OwnedSemaphorePermit) {
        let endpoint = Arc::clone(&self.endpoint);
        let (limits, shutdown) = (self.limits, self.shutdown.clone());
        // The streams of an HTTP/2 connection are tasks below it, and none of them shall outlive it.
        let streams = self.tasks.branch();
        self.tasks.spawn(async move {
            let _slot = slot;
            let _cut_streams = streams.cut_on_drop();
            // In a box, to be gone by the time a stream of events goes on without it.
            let left = Box::pin(run(stream, client, endpoint, limits, shutdown, streams)).await;
            if let Some((socket, body)) = left {
                let longest = limits.max_connection_age + limits.shutdown_grace;
                match timeout(longest, event_stream::write(socket, body)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::debug!(client.address = %client, error = %error, "a stream was cut"),
                    Err(_) => tracing::debug!(client.address = %client, "a stream was dropped after its grace"),
                }
            }
        });
    }
}

type Socket = Pin<Box<TimeoutStream<TcpStream>>>;

/// Serves what hyper serves. Gives what is left to be written, if the last response is a stream of events.
async fn run<E: Endpoint + 'static>(
    stream: TcpStream,
    client: SocketAddr,
    endpoint: Arc<E>,
    limits: Limits,
    shutdown: CancellationToken,
    streams: Tasks,
) -> Option<(Socket, impl body::Body<Data = Bytes, Error = io::Error> + Unpin)> {
    // Without it, a response in two writes waits for the client's delayed acknowledgement of the first.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(client.address = %client, error = %error, "cannot send small packets without delay");
    }
    let local = LocalAddr(stream.local_addr().map_or_else(|_| Addr::default(), Addr::from));
    // A listener on `::` shows IPv4 clients as `::ffff:a.b.c.d`; limits and logs shall know one name for each client.
    let remote = RemoteAddr(SocketAddr::new(client.ip().to_canonical(), client.port()).into());

    let handover = Handover::new();
    let desk = handover.clone();
    let activity = Activity::default();
    let idle = activity.idle_for(limits.header_timeout);
    let service = service_fn(move |request| {
        let in_flight = activity.begin();
        let (endpoint, desk) = (Arc::clone(&endpoint), desk.clone());
        let may_stream = event_stream::is_possible(request.method(), request.version());
        let request = to_poem(request, local.clone(), remote.clone(), limits.read_timeout);
        // hyper keeps room for this future as long as the connection lives. In a box it is gone when the response
        // begins.
        Box::pin(async move {
            let response = hyper::Response::from(endpoint.get_response(request).await);
            Ok::<_, Infallible>(if may_stream && event_stream::is_meant(response.headers()) {
                leave(response, &desk, in_flight)
            } else {
                response.map(|inner| ResponseBody::Here { inner, _in_flight: in_flight })
            })
        })
    });

    let mut io = TimeoutStream::new(stream);
    io.set_write_timeout(Some(limits.write_timeout));
    let http = http(&limits, streams);
    // In a box of its own, because its size would count once for each of the futures around it.
    let mut connection = Box::pin(http.serve_connection(TokioIo::new(handover.lend(Box::pin(io))), service));

    let ended = tokio::select! {
        ended = served(connection.as_mut(), &handover) => Ok(ended),
        () = idle_or_old(idle, limits.max_connection_age) => {
            connection.as_mut().graceful_shutdown();
            timeout(limits.shutdown_grace, served(connection.as_mut(), &handover)).await
        }
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            // The grace of a shutdown is one for all, counted by `serve`, which cuts this task at its end.
            Ok(served(connection.as_mut(), &handover).await)
        }
    };
    match ended {
        Ok(Some(Ok(()))) => {}
        Ok(None) => {
            drop(connection);
            return handover.take();
        }
        // The fault of the client or of the network, so nothing that an operator could act upon.
        Ok(Some(Err(error))) => tracing::debug!(client.address = %client, error = %error, "a connection was cut"),
        Err(_) => tracing::debug!(client.address = %client, "a connection was dropped after its grace"),
    }
    None
}

/// The end of what hyper does: by itself, or (`None`) because there is something to hand over.
async fn served<C: Future>(
    mut connection: Pin<&mut C>,
    handover: &Handover<impl Sized, impl Sized>,
) -> Option<C::Output> {
    poll_fn(|cx| match connection.as_mut().poll(cx) {
        Poll::Ready(ended) => Poll::Ready(Some(ended)),
        Poll::Pending if handover.is_due() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}

/// Leaves the body of a response, and gives hyper what it may write of it: the head.
fn leave<B>(
    response: hyper::Response<B>,
    handover: &Handover<Socket, B>,
    in_flight: InFlight,
) -> hyper::Response<ResponseBody<B>> {
    let (mut head, body) = response.into_parts();
    handover.leave(body);
    head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    hyper::Response::from_parts(head, ResponseBody::Elsewhere { _in_flight: in_flight })
}

async fn idle_or_old(idle: impl Future<Output = ()>, age: Duration) {
    tokio::select! {
        () = idle => {}
        () = sleep(age) => {}
    }
}

/// Without upgrades: nothing here speaks another protocol.
fn http(limits: &Limits, streams: Tasks) -> auto::Builder<Tasks> {
    let mut http = auto::Builder::new(streams);
    // hyper panics at the first connection when a timeout is set and no timer.
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.max_header_bytes.max(SMALLEST_HEAD_BUFFER));
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

fn to_poem(request: hyper::Request<Incoming>, local: LocalAddr, remote: RemoteAddr, read_timeout: Duration) -> Request {
    let (parts, body) = request.into_parts();
    let parts = RequestParts::from((parts, local, remote, Scheme::HTTP));
    // An absent body stays recognisable as such; a stream would have no known size.
    let body = if body.is_end_stream() {
        Body::empty()
    } else {
        Body::from_bytes_stream::<_, Bytes, io::Error>(RequestBody::new(body, read_timeout))
    };
    Request::from_parts(parts, body)
}
